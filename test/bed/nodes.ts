// Machines with systemd as their first process on one network, each with a lingering user `mcp` who has rootless podman: on this machine, and gone without a trace.
// Imports nothing of the program: what is proved with it is seen from outside.
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { obstacle as noPodman } from './containers.ts'

/** Why there can be none here; undefined when there can. */
export function obstacle(): string | undefined {
  const missing = noPodman('ip', 'iptables', 'python3')
  if (missing !== undefined) return missing
  for (const file of [
    '/lib/systemd/systemd',
    '/usr/lib/podman/netavark',
    '/usr/lib/podman/aardvark-dns',
    '/usr/lib/systemd/user/dbus.socket',
  ])
    if (!existsSync(file)) return `${file} is not installed`
  return undefined
}

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string }
export type How = {
  /** root by default. `mcp` has what a login would give it: its session's bus, its runtime folder. */
  readonly user?: 'root' | 'mcp'
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

export interface Nodes {
  /** Of this machine: all that they are lies in it. */
  readonly folder: string
  /** On the network that they share; their names resolve to it. */
  address(node: string): string
  /** Runs a command on a machine to its end, whatever its exit code. */
  exec(node: string, argv: readonly string[], how?: How): Promise<Ran>
  /** argv that does so from this machine, with our streams. */
  inside(node: string, argv: readonly string[], how?: How): [string, ...string[]]
  /** argv that runs a command of this machine on that network: 10.77.0.1. */
  beside(...argv: readonly string[]): [string, ...string[]]
  /** Another machine; with what `createNodes` said of all of them. */
  add(node: string): Promise<void>
  /** Takes its cable out, or puts it in again. */
  cut(node: string, isCut: boolean): void
  /** Power off, at once; its disk is there when it boots. */
  crash(node: string): Promise<void>
  boot(node: string): Promise<void>
  /** The machine is lost, and its disk. */
  destroy(node: string): Promise<void>
  close(): Promise<void>
}

const uid = 20_001
const subnet = '10.77.0' // in a network namespace of its own: nobody else's, whatever runs beside it
const login = {
  HOME: '/home/mcp',
  USER: 'mcp',
  XDG_RUNTIME_DIR: `/run/user/${uid}`,
  DBUS_SESSION_BUS_ADDRESS: `unix:path=/run/user/${uid}/bus`,
}

/** `mounts`: folders of this machine there, such as `/here:/there:ro`. A second or two for each. Needs no `obstacle`. */
export async function createNodes(names: readonly string[], { mounts = [] }: { readonly mounts?: readonly string[] } = {}): Promise<Nodes> {
  const folder = mkdtempSync('/var/tmp/flnode-') // on a disk: the stores of podman lie in it
  const here = import.meta.dirname
  const holder = spawn('unshare', ['--mount', '--net', 'sh', join(here, 'nodes.sh'), folder, subnet], { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(holder, 'exit')
  let said = ''
  holder.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const close = async (): Promise<void> => {
    holder.stdin.end()
    await ended
  }
  const beside = (...argv: readonly string[]): [string, ...string[]] => [
    'nsenter',
    `--mount=/proc/${holder.pid}/ns/mnt`,
    `--net=/proc/${holder.pid}/ns/net`,
    'env',
    '-i',
    'PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
    `CONTAINERS_CONF=${folder}/containers.conf`,
    ...argv,
  ]
  const must = async (...argv: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await ran(beside(...argv), {})
    if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`)
    return stdout
  }
  const places = new Map<string, { readonly address: string; cable: string }>()
  const placeOf = (node: string) => {
    const place = places.get(node)
    if (!place) throw new Error(`there is no machine ${node}`)
    return place
  }
  const inside = (node: string, argv: readonly string[], { user = 'root', env = {} }: How = {}): [string, ...string[]] => {
    const all = { ...(user === 'mcp' ? login : { HOME: '/root', USER: 'root' }), ...env }
    const words = Object.entries(all).map(([name, value]) => `--env=${name}=${value}`)
    return beside('podman', 'exec', '-i', `--user=${user}`, `--workdir=${all.HOME}`, ...words, node, ...argv)
  }
  const exec = (node: string, argv: readonly string[], how: How = {}): Promise<Ran> => ran(inside(node, argv, how), how)
  const isUp = `case $(systemctl is-system-running) in running | degraded) test -S /run/user/${uid}/bus ;; *) exit 1 ;; esac`
  const awaitUp = async (node: string): Promise<void> => {
    for (const from = performance.now(); (await exec(node, ['sh', '-c', isUp])).code !== 0; await wait(50))
      if (performance.now() - from > 60_000) throw new Error(`${node} did not boot: ${await must('podman', 'logs', node)}`)
    const link = (await exec(node, ['cat', '/sys/class/net/eth0/iflink'])).stdout.trim()
    const links = await must('ip', '-o', 'link')
    placeOf(node).cable = new RegExp(`^${link}: ([^@:]+)`, 'm').exec(links)?.[1] ?? ''
  }
  /** Names are in a file of each: podman's own name server does not always outlive the end of a container. */
  const introduce = async (): Promise<void> => {
    const lines = ['127.0.0.1 localhost', ...[...places].map(([name, { address }]) => `${address} ${name}`), '']
    const up = [...places].filter(([, { cable }]) => cable !== '').map(([name]) => name)
    await Promise.all(up.map((name) => exec(name, ['sh', '-c', 'cat >/etc/hosts'], { input: lines.join('\n') })))
  }
  let last = 1
  const add = async (node: string): Promise<void> => {
    const address = `${subnet}.${++last}`
    places.set(node, { address, cable: '' })
    await must('sh', join(here, 'node-up.sh'), folder, node, address, ...mounts.flatMap((mount) => ['-v', mount]))
    await awaitUp(node)
    await exec(node, ['chown', 'mcp:', '/home/mcp/.local', '/home/mcp/.local/share'])
    await introduce()
  }
  try {
    let isReady = false
    for await (const line of createInterface(holder.stdout)) {
      isReady = line === 'ready'
      if (isReady) break
    }
    if (!isReady) throw new Error(`there is no place for machines: ${said}`)
    await Promise.all(names.map(add))
  } catch (error) {
    await close()
    throw error
  }
  return {
    folder,
    address: (node) => placeOf(node).address,
    exec,
    inside,
    beside,
    add,
    cut(node, isCut) {
      const [command, ...args] = beside('ip', 'link', 'set', placeOf(node).cable, isCut ? 'down' : 'up')
      execFileSync(command, args, { stdio: 'pipe' })
    },
    async crash(node) {
      placeOf(node).cable = ''
      await must('podman', 'kill', '--signal=KILL', node)
      await must('podman', 'wait', node)
      await must('podman', 'container', 'cleanup', node) // podman does so itself, later: it might be up again by then
    },
    async boot(node) {
      await must('podman', 'start', node)
      await awaitUp(node)
      await introduce()
    },
    async destroy(node) {
      places.delete(node)
      await must('podman', 'rm', '-f', '-t', '0', node)
      await must('sh', '-c', 'umount "$1/ram/$2/root"; rm -rf "$1/ram/$2" "$1/stores/$2"', 'sh', folder, node)
    },
    close,
  }
}

function ran([command, ...args]: readonly [string, ...string[]], { input = '', timeoutMs = 120_000 }: How): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { encoding: 'utf8', timeout: timeoutMs, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : 255) : 0
      resolve({ code, stdout, stderr })
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}
