// Three NATS servers, each in a network namespace of its own, with a bridge between them whose cables can be taken out; who asks them has another way to each, which stays.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ip } from '../bed/namespaces.ts'
import { later } from './cleanup.ts'

export type NatsLab = {
  /** Of each server, from here. */
  readonly urls: readonly string[]
  /** Takes the cable of a server to the other two out, or puts it in again; nobody is told: what is sent is gone. */
  readonly cable: (server: number, isIn: boolean) => void
}

/** Takes it all away with `later`. */
export function startNatsLab(): NatsLab {
  const all = [0, 1, 2]
  const id = `fn${process.pid}`
  const hub = `${id}-hub`
  const folder = mkdtempSync(join(tmpdir(), 'nats-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  const net = `198.18.${process.pid % 256}`
  namespace(hub)
  ip('-n', hub, 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0')
  ip('-n', hub, 'link', 'set', 'br0', 'up')
  for (const at of all) {
    const name = `${id}-${at}`
    namespace(name)
    ip('link', 'add', `to-${at}`, 'netns', hub, 'type', 'veth', 'peer', 'name', 'others', 'netns', name)
    ip('-n', hub, 'link', 'set', `to-${at}`, 'master', 'br0', 'up')
    ip('-n', name, 'addr', 'add', `10.9.0.${at + 1}/24`, 'dev', 'others')
    ip('-n', name, 'link', 'set', 'others', 'up')
    ip('link', 'add', `${id}-${at}`, 'type', 'veth', 'peer', 'name', 'asker', 'netns', name)
    ip('addr', 'add', `${net}.${4 * at + 1}/30`, 'dev', `${id}-${at}`)
    ip('link', 'set', `${id}-${at}`, 'up')
    ip('-n', name, 'addr', 'add', `${net}.${4 * at + 2}/30`, 'dev', 'asker')
    ip('-n', name, 'link', 'set', 'asker', 'up')
    const config = `server_name: n${at}
listen: 0.0.0.0:4222
ping_interval: "1s"
jetstream { store_dir: "${join(folder, name)}", max_mem: 64M, max_file: 1G }
cluster { name: bed, listen: 10.9.0.${at + 1}:6222, no_advertise: true, routes: [${all.map((one) => `"nats://10.9.0.${one + 1}:6222"`).join(', ')}] }`
    writeFileSync(join(folder, `${name}.conf`), config)
    const server = spawn('ip', ['netns', 'exec', name, 'nats-server', '-c', join(folder, `${name}.conf`)], { stdio: 'ignore' })
    later(() => ended(server))
  }
  return {
    urls: all.map((at) => `nats://${net}.${4 * at + 2}:4222`),
    cable: (server, isIn) => ip('-n', hub, 'link', 'set', `to-${server}`, isIn ? 'up' : 'down'),
  }
}

function namespace(name: string): void {
  ip('netns', 'add', name)
  later(() => ip('netns', 'del', name))
  ip('-n', name, 'link', 'set', 'lo', 'up')
}

async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const over = new Promise((resolve) => server.once('exit', resolve))
  server.kill('SIGKILL')
  await over
}
