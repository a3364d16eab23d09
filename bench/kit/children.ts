// Starts what is measured and ends every bit of it: at the end, on an error, on SIGINT and SIGTERM.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Interface, createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { tree } from './process.ts'

export type Started = {
  readonly pid: number
  /** Why it has ended, with the last of what it printed; undefined while it lives. */
  readonly over: () => string | undefined
  readonly stop: () => Promise<void>
}

export type Talking = Started & {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly lines: () => Interface
  readonly say: (line: string) => void
}

const graceMs = 5_000

/** The environment of every child: no more than a path, with this very Node first on it, so that all run on the same one. */
export const childEnv: Readonly<Record<string, string>> = {
  PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
  HOME: process.env['HOME'] ?? '/',
  NODE_ENV: 'production',
}

function killAll(pids: Iterable<number>): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // has ended by itself
    }
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Asks `look` until it answers, or throws what `problem` says when `limitMs` have passed or it has become hopeless. */
export async function until<Value>(
  look: () => Promise<Value | undefined> | Value | undefined,
  what: string,
  options: { limitMs?: number; hopeless?: () => string | undefined } = {},
): Promise<Value> {
  const deadline = performance.now() + (options.limitMs ?? 30_000)
  for (;;) {
    const seen = await look()
    if (seen !== undefined) return seen
    const hopeless = options.hopeless?.()
    if (hopeless !== undefined) throw new Error(`${what}: ${hopeless}`)
    if (performance.now() > deadline) throw new Error(`${what}: not within ${options.limitMs ?? 30_000} ms`)
    await pause(25)
  }
}

/** A port of loopback that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}

/** True once something listens there; undefined until then. */
export function listens(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(undefined))
  })
}

/** Everything one benchmark starts and every folder it makes; `close` leaves nothing behind. */
export class Household {
  readonly folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
  readonly #living = new Map<number, ChildProcess>()
  #count = 0

  constructor() {
    for (const [signal, exitCode] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      process.on(signal, () => {
        this.close()
        process.exit(exitCode)
      })
    }
    process.on('exit', () => this.close())
  }

  /** A new folder below the household's. */
  place(name: string): string {
    return mkdtempSync(join(this.folder, `${name}-`))
  }

  /** Starts `argv` in a process group of its own; what it prints goes to a file that `over` quotes. */
  start(argv: readonly string[], options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {}): Started {
    const log = join(this.folder, `${++this.#count}.log`)
    const file = openSync(log, 'w')
    const child = spawn(argv[0]!, argv.slice(1), {
      cwd: options.cwd ?? this.folder,
      env: { ...childEnv, ...options.env },
      stdio: ['ignore', file, file],
      detached: true,
    })
    closeSync(file)
    const watched = this.#watch(child)
    return {
      pid: child.pid ?? -1,
      over: () => {
        const why = watched.over()
        return why === undefined
          ? undefined
          : `${argv.slice(0, 3).join(' ')} ended (${why}): ${readFileSync(log, 'utf8').trim().slice(-600)}`
      },
      stop: watched.stop,
    }
  }

  /** Starts `argv` to be talked with: its stdin and stdout as lines. */
  talk(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Talking {
    const child = spawn(argv[0]!, argv.slice(1), { env: { ...childEnv, ...env }, stdio: ['pipe', 'pipe', 'inherit'], detached: true })
    child.stdin.on('error', () => {}) // its end is seen on stdout
    const watched = this.#watch(child)
    return {
      pid: child.pid ?? -1,
      stdin: child.stdin,
      stdout: child.stdout,
      lines: () => createInterface({ input: child.stdout }),
      say: (line) => void child.stdin.write(`${line}\n`),
      ...watched,
    }
  }

  close(): void {
    for (const pid of this.#living.keys()) killAll(tree(pid).map((stat) => stat.pid))
    this.#living.clear()
    rmSync(this.folder, { recursive: true, force: true })
  }

  #watch(child: ChildProcess): Pick<Started, 'over' | 'stop'> {
    let why: string | undefined
    const ended = new Promise<void>((resolve) => {
      const end = (reason: string): void => {
        why ??= reason
        if (child.pid !== undefined && tree(child.pid).length === 0) this.#living.delete(child.pid)
        resolve()
      }
      child.on('error', (error) => end(error.message))
      child.on('exit', (code, signal) => end(signal ?? `exit ${code}`))
    })
    if (child.pid !== undefined) this.#living.set(child.pid, child)
    return {
      over: () => why,
      stop: async () => {
        if (child.pid === undefined) return
        const pids = tree(child.pid).map((stat) => stat.pid) // before the parent's end makes orphans of them
        if (why === undefined) child.kill('SIGTERM')
        await Promise.race([ended, pause(graceMs)])
        killAll(pids)
        await ended
        this.#living.delete(child.pid)
      },
    }
  }
}
