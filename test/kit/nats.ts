// NATS servers with JetStream on loopback, three as one cluster: killed and started again one by one.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { type ConnectionOptions, connect } from '@nats-io/transport-node'
import { vi } from 'vitest'
import { later } from './cleanup.ts'

export const hasNats = existsSync('/usr/sbin/nats-server') || existsSync('/usr/bin/nats-server')

export type NatsCluster = {
  readonly urls: readonly string[]
  /** Of each server; undefined while it is down. */
  readonly pids: () => readonly (number | undefined)[]
  /** SIGKILL by default; SIGSTOP leaves it there, silent. */
  readonly kill: (server: number, signal?: NodeJS.Signals) => Promise<void>
  /** Or lets one go on that was stopped. */
  readonly start: (server: number) => void
  /** The server that leads a stream. */
  readonly leaderOf: (stream: string) => Promise<number>
  /** True when a stream has a leader, and all its copies are what that has. */
  readonly isWhole: (stream: string) => Promise<boolean>
  /** Takes all messages out of a stream, if there is one; its sequence goes on. */
  readonly empty: (stream: string) => Promise<void>
}

export type NatsOptions = {
  /** Three by default. One alone is no cluster. */
  readonly servers?: 1 | 3
  /** More of each server's configuration, and how one gets in then. */
  readonly lines?: string
  readonly dial?: ConnectionOptions
}

/** Resolves when it takes streams. */
export async function startNats({ servers = 3, lines = '', dial = {} }: NatsOptions = {}): Promise<NatsCluster> {
  const all = Array.from({ length: servers }, (_, at) => at)
  const folder = mkdtempSync(join(tmpdir(), 'nats-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  const ports = await freePorts(2 * servers)
  const [clients, routes] = [ports.slice(0, servers), ports.slice(servers)]
  const children: (ChildProcess | undefined)[] = []
  // 2.9 has no sync_interval: a write is in the page cache of two servers when it is answered, which is what a SIGKILL leaves.
  for (const at of all) {
    const config = `server_name: n${at}
listen: 127.0.0.1:${clients[at]}
jetstream { store_dir: "${join(folder, `n${at}`)}", max_mem: 64M, max_file: 1G }
${servers === 1 ? '' : `cluster { name: bed, listen: 127.0.0.1:${routes[at]}, routes: [${routes.map((port) => `"nats://127.0.0.1:${port}"`).join(', ')}] }`}
${lines}`
    writeFileSync(join(folder, `n${at}.conf`), config)
  }
  const start = (at: number): void => {
    if (children[at]) return void children[at].kill('SIGCONT')
    children[at] = spawn('nats-server', ['-c', join(folder, `n${at}.conf`)], { stdio: 'ignore' })
  }
  const kill = async (at: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    const child = children[at]
    if (!child) return
    if (signal !== 'SIGKILL') {
      child.kill(signal)
      if (signal === 'SIGSTOP') await vi.waitFor(() => isStopped(child.pid!), { interval: 5 })
      return
    }
    const over = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await over
    children[at] = undefined
  }
  later(() => Promise.all(all.map((at) => kill(at))))
  for (const at of all) start(at)
  const urls = clients.map((port) => `nats://127.0.0.1:${port}`)
  const ask = async <Answer>(question: (manager: Awaited<ReturnType<typeof jetstreamManager>>) => Promise<Answer>): Promise<Answer> => {
    const connection = await connect({ ...dial, servers: urls, timeout: 1_000 })
    try {
      return await question(await jetstreamManager(connection, { timeout: 1_000, checkAPI: false }))
    } finally {
      await connection.close()
    }
  }
  const probe = { name: 'bed', subjects: ['bed'], num_replicas: servers }
  await vi.waitFor(() => ask((manager) => manager.streams.add(probe)), { timeout: 30_000, interval: 200 })
  await ask((manager) => manager.streams.delete('bed'))
  return {
    urls,
    pids: () => children.map((child) => child?.pid),
    kill,
    start,
    async leaderOf(stream) {
      const { cluster } = await ask((manager) => manager.streams.info(stream))
      return Number(cluster!.leader!.slice(1))
    },
    async isWhole(stream) {
      const info = await ask((manager) => manager.streams.info(stream)).catch(() => undefined)
      const { leader, replicas = [] } = info?.cluster ?? {}
      return Boolean(leader) && replicas.length === 2 && replicas.every(({ current, offline }) => current && !offline)
    },
    empty: async (stream) => ask((manager) => manager.streams.purge(stream)).then(() => {}, () => {}), // prettier-ignore
  }
}

/** Throws until every thread of it is: a signal takes its time. */
function isStopped(pid: number): void {
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8')
    if (!/\) [Tt] /.test(stat)) throw new Error(`${pid} still runs`)
  }
}

/** Held at once, so that no two are the same. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
