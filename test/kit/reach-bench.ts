// The commands of reach as real processes, each person with a home of their own in a folder that is removed at the end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { type Socket, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { createWallet } from '../../src/base/identity/wallet.ts'
import { homeIn } from '../../src/reach/home.ts'
import { type McpClient, mcpClient } from './mcp-client.ts'
import { main } from './program.ts'

/** The command line of a stdio MCP server that knows nothing of us. */
export const echoCommand = `${process.execPath} ${resolve(import.meta.dirname, 'echo-server.ts')}`
/** Listen on loopback, at any free port. */
export const local = ['--host', '127.0.0.1', '--port', '0'] as const

export type Person = { readonly home: string; readonly peerId: string }
export type Ran = { readonly exitCode: number; readonly stdout: string; readonly stderr: string }
export type Served = { readonly peerId: string; readonly addresses: readonly string[] }
/** `lines`: stdout so far. `stop` answers the exit code, null after a signal. */
export type Service = Served & {
  readonly pid: number
  readonly lines: readonly string[]
  /** What it logged so far. */
  log(): string
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

export type Tap = { readonly address: string; seen(): Buffer; passedBytes(): number }

export interface ReachBench {
  readonly folder: string
  /** Added to that of every command; may be changed between two. */
  readonly environment: Record<string, string>
  /** Runs a command to its end; its stdin stays open. */
  run(home: string, ...words: string[]): Promise<Ran>
  /** Starts a command that serves, and waits for what it says of itself. */
  serve(home: string, ...words: string[]): Promise<Service>
  client(home: string, ...words: string[]): McpClient
  /** The one who serves and those who connect, all new. */
  people(clients: number): Promise<Person[]>
  /** A way to a service that keeps what passes over it, or with a rate, in bytes a second towards the service, only counts it. */
  tap(to: Served, bytesPerSecond?: number): Promise<Tap>
  /** To be done at `reset`, last first. */
  undo(step: () => unknown): void
  reset(): Promise<void>
  close(): Promise<void>
}

/** `more` is added to every environment; it may be changed between two commands. */
export async function reachBench(more: Record<string, string> = {}): Promise<ReachBench> {
  const folder = await mkdtemp(join(tmpdir(), 'fairlead-reach-'))
  const steps: (() => unknown)[] = []
  let groups = 0
  const envOf = (home: string): Record<string, string> => ({ HOME: join(folder, home), PATH: process.env['PATH']!, ...more })
  const person = async (home: string): Promise<Person> => {
    const { wallet } = homeIn(join(folder, home, '.local/state/fairlead/reach'))
    const { identity } = await createWallet(wallet, { name: home })
    return { home, peerId: identity.peerId }
  }
  const reset = async (): Promise<void> => {
    for (const step of steps.splice(0).toReversed()) await step()
  }
  return {
    folder,
    environment: more,
    run: (home, ...words) => run([main, 'reach', ...words], envOf(home)),
    async serve(home, ...words) {
      const service = await serve([main, 'reach', ...words, '--json'], envOf(home))
      steps.push(() => service.stop())
      return service
    },
    client(home, ...words) {
      const client = mcpClient([process.execPath, main, 'reach', 'mcp-connect', ...words], envOf(home))
      steps.push(() => client.process.kill('SIGKILL'))
      return client
    },
    people(clients) {
      const group = ++groups
      return Promise.all(Array.from({ length: clients + 1 }, (_, i) => person(i === 0 ? `box-${group}` : `mac-${group}-${i}`)))
    },
    async tap(to, bytesPerSecond) {
      const passed: Buffer[] = []
      let passedBytes = 0
      const sockets: Socket[] = []
      const server = createServer((near) => {
        const far = connect(portOf(to), '127.0.0.1')
        sockets.push(near, far)
        for (const [from, into] of [
          [near, far],
          [far, near],
        ] as const) {
          from.on('data', (chunk: Buffer) => {
            passedBytes += chunk.length
            if (bytesPerSecond === undefined) passed.push(chunk)
            into.write(chunk)
            if (bytesPerSecond === undefined || into !== far) return
            from.pause()
            setTimeout(() => from.resume(), (chunk.length / bytesPerSecond) * 1000)
          })
          from.on('error', () => {})
          from.on('close', () => into.destroy())
        }
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      steps.push(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
      const { port } = server.address() as { port: number }
      return { address: `/ip4/127.0.0.1/tcp/${port}`, seen: () => Buffer.concat(passed), passedBytes: () => passedBytes }
    },
    undo: (step) => void steps.push(step),
    reset,
    async close() {
      await reset()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function run(words: readonly string[], env: Record<string, string>): Promise<Ran> {
  const child = spawn(process.execPath, words, { env })
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
    })
  }
  const [exitCode] = (await once(child, 'close')) as [number]
  return { exitCode, ...texts }
}

async function serve(words: readonly string[], env: Record<string, string>): Promise<Service> {
  const child = spawn(process.execPath, words, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const ended = once(child, 'close') as Promise<[number | null]>
  const lines: string[] = []
  const said = new Promise<Served>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line)
      if (line === '}') resolve(JSON.parse(lines.join('\n')) as Served)
      else if (line.startsWith('{"listening":')) resolve((JSON.parse(line) as { listening: Served }).listening)
    })
  })
  const first = await Promise.race([said, ended])
  if (Array.isArray(first)) throw new Error(`it ended: ${errors}`)
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal)
    return (await ended)[0]
  }
  return { ...first, pid: child.pid!, lines, log: () => errors, stop }
}

/** A port of loopback on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

export function portOf({ addresses }: Served): number {
  return Number(/\/tcp\/(\d+)/.exec(addresses[0]!)![1])
}

/** The TCP ports that a process listens on (Linux: /proc). */
export function listeningPorts(pid: number): number[] {
  const sockets = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => linkAt(`/proc/${pid}/fd/${fd}`)))
  const lines = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, 'utf8').split('\n').slice(1))
  const columns = lines.map((line) => line.trim().split(/\s+/))
  const listening = columns.filter((column) => column[3] === '0A' && sockets.has(`socket:[${column[9]}]`))
  return listening.map((column) => Number.parseInt(column[1]!.split(':')[1]!, 16))
}

function linkAt(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return '' // closed in the meantime
  }
}

export function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`)
}
