// What the tests of `fairlead up` stand on: the real program as a person starts it, in folders of its own, looked at from outside.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { commandOf, everyProcess, isRunning } from '../../src/base/supervise/processes.fixture.ts'
import type { Shown } from '../../src/commands/up/screen.ts'
import { later } from '../kit/cleanup.ts'
import { type McpClient, mcpClient } from '../kit/mcp-client.ts'
import { main } from '../kit/program.ts'

export const program = [process.execPath, main] as const
export const echoServer = [process.execPath, resolve(import.meta.dirname, '../kit/echo-server.ts')] as const

export type Bed = { readonly home: string; readonly env: Readonly<Record<string, string>> }

/** Folders of one node, with this fairlead.toml in them. */
export function bed(toml?: string): Bed {
  const home = mkdtempSync(join(tmpdir(), 'fairlead-up-'))
  later(() => rmSync(home, { recursive: true, force: true }))
  mkdirSync(join(home, 'config'))
  if (toml !== undefined) writeFileSync(join(home, 'config', 'fairlead.toml'), toml)
  return { home, env: { HOME: home, FAIRLEAD_HOME: home, PATH: process.env['PATH']! } }
}

export type Ports = { readonly registry: number; readonly peer: number; readonly machine: number; readonly gate: number }

const anyPorts: Ports = { registry: 0, peer: 0, machine: 0, gate: 0 }

export function portFlags(ports: Partial<Ports> = {}): string[] {
  return Object.entries({ ...anyPorts, ...ports }).flatMap(([part, port]) => [`--${part}-port`, String(port)])
}

export type Ran = {
  readonly exitCode: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
  readonly tookMs: number
}

/** Runs the program to its end, which must come within 30 s; its input is empty. */
export async function run({ env }: Bed, words: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return finished(spawn(program[0], [program[1], ...words], { env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] }))
}

/** What a process said until its end, which must come in time; a node that serves has as long as its test. */
export async function finished(child: ChildProcess, limitMs: number | 'any' = 30_000): Promise<Ran> {
  const from = performance.now()
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name]?.setEncoding('utf8').on('data', (text: string) => (said[name] += text))
  const timer = limitMs === 'any' ? undefined : setTimeout(() => child.kill('SIGKILL'), limitMs)
  const [exitCode, signal] = (await once(child, 'close')) as [number | null, string | null]
  clearTimeout(timer)
  return { exitCode, signal, ...said, tookMs: performance.now() - from }
}

export type Up = {
  readonly pid: number
  readonly shown: Shown
  readonly ports: Ports
  /** The bearer token of the node's owner. */
  readonly token: string
  readonly ended: Promise<Ran>
  url(upstream: string): string
  stop(signal: NodeJS.Signals): Promise<Ran>
}

/** A node that is up; it ends with the test. */
export async function up({ env, home }: Bed, ports: Partial<Ports> = {}): Promise<Up> {
  const child = spawn(program[0], [program[1], 'up', '--json', ...portFlags(ports)], { env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  later(() => child.kill('SIGKILL'))
  let text = ''
  const told = new Promise<Shown>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more
      if (text.endsWith('\n}\n')) resolve(JSON.parse(text) as Shown)
    })
  })
  const ended = finished(child, 'any')
  const first = await Promise.race([told, ended])
  if ('exitCode' in first) throw new Error(`it ended with ${first.exitCode}: ${first.stderr}`)
  const { addresses } = first
  const port = (address: string): number => Number(/(?:\/tcp\/|:)(\d+)(?:\/|$)/.exec(address)![1])
  return {
    pid: child.pid!,
    shown: first,
    ports: { registry: port(addresses.registry), peer: port(addresses.peer), machine: port(addresses.machine), gate: port(addresses.gate) },
    token: readFileSync(join(home, 'state', 'owner.token'), 'utf8').trim(),
    ended,
    url: (upstream) => first.http.url.replace(/[^/]+$/, upstream),
    stop(signal) {
      child.kill(signal)
      return ended
    },
  }
}

/** A raw MCP client that starts what the snippet says; it ends with the test. */
export function lineClient({ env: { HOME, PATH } }: Bed, { shown }: Pick<Up, 'shown'>, ...more: string[]): McpClient {
  const { command, args } = shown.client.mcpServers['this-machine']!
  return ownedClient([command, ...args, ...more], { HOME: HOME!, PATH: PATH! })
}

/** A raw MCP client of any command line. */
export function ownedClient(argv: readonly [string, ...string[]], env: Readonly<Record<string, string>>): McpClient {
  const client = mcpClient(argv, env)
  later(() => client.process.kill('SIGKILL'))
  return client
}

/** The promise, or an error that names `what` when that takes longer. */
export async function within<T>(limitMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${limitMs} ms: ${what}`)), limitMs)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** When the process began, in clock ticks since boot (proc_pid_stat(5)); 0 when there is none. */
function begun(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  } catch {
    return 0
  }
}

/** Guards and clients of ours, younger than this test's process, that nobody's child are any more, though they run. */
export function orphans(): number[] {
  const isOurs = (pid: number): boolean => commandOf(pid).includes('fairlead-guard') || commandOf(pid).includes('reach mcp-connect')
  return everyProcess()
    .filter(({ pid, ppid }) => isOurs(pid) && isRunning(pid) && !commandOf(ppid).includes('node') && begun(pid) > begun(process.pid))
    .map(({ pid }) => pid)
}

/** Listens on a port of loopback until the test ends. */
export async function hold(port = 0): Promise<number> {
  const server = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1')
  await once(server, 'listening')
  later(() => new Promise((resolve) => server.close(resolve)))
  return (server.address() as { port: number }).port
}

export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(Boolean(socket.destroy())))
    socket.once('error', () => resolve(false))
  })
}
