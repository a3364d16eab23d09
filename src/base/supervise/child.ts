// A child process that cannot be lost: its own process group, ended whole, in order, and with its owner in any case.
import type { Readable, Writable } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { type Command, type Latched, spawnLatched } from './latch.ts'
import { hasLiving, signalGroup } from './group.ts'
import type { Guard } from './guard.ts'
import { LastWords } from './last-words.ts'

export type ChildNeeds = { readonly guard: Guard; readonly clock: Clock; readonly log: Log }

export type ChildCommand = Command & {
  /** Each line of stderr, cut at 2 Ki characters. It is free text and never an error. By default it is logged as debug. */
  readonly onStderr?: (line: string) => void
}

export type ChildEnd = {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** The last lines of stderr. */
  readonly lastWords: string
}

/** How long each step of an orderly end may take, in milliseconds. */
type Patience = {
  /** From the end of its stdin to SIGTERM; 1 s by default (MCP's stdio transport: close the input, wait, then signals). */
  readonly eofMs?: number
  /** From SIGTERM to SIGKILL, both for the whole group; 2 s by default. */
  readonly termMs?: number
}

export interface Child {
  readonly pid: number
  /** The same number: a child leads its group. */
  readonly pgid: number
  readonly stdin: Writable
  readonly stdout: Readable
  /** At most 64 lines and 8 Ki characters. */
  lastWords(): string
  /** The child itself has ended, by itself or not. Never rejects. Others of its group may go on for a moment: see `gone`. */
  readonly ended: Promise<ChildEnd>
  /** No process of the group is left, grandchildren included. Never rejects. When the child ends by itself, what it leaves of its group is ended too. */
  readonly gone: Promise<void>
  /** Ends stdin, waits, SIGTERM, waits, SIGKILL to the whole group; resolves with `gone`. May be called again, the first call decides. */
  stop(patience?: Patience): Promise<void>
}

/** How long the rest of a group that lost its leader may take to obey SIGTERM. */
const orphansTermMs = 500
/** A killed group ends at once, except a process that the kernel holds (a dead network file system). */
const killMs = 2_000
/** How long stderr may come in after the exit: a process that left the group can hold it open. */
const drainMs = 250

/**
 * Starts `command` in a process group of its own, registered with the guard before it runs. Faults: `supervise.command_not_found`, `_not_executable`,
 * `folder_missing`, `environment_unusable`, `failed_to_start`, `no_guard`; whichever comes, no process is left.
 */
export async function startChild(needs: ChildNeeds, command: ChildCommand): Promise<Child> {
  const latched = await spawnLatched(command)
  const child = new GroupChild(needs, command, latched)
  try {
    await needs.guard.register(latched.pid)
  } catch (error) {
    await child.stop({ eofMs: 0, termMs: 0 })
    throw error
  }
  latched.open()
  needs.log.info('supervise.child.started', { name: command.name, pid: latched.pid, command: command.argv[0] }) // arguments may hold a secret
  return child
}

class GroupChild implements Child {
  readonly pid: number
  readonly stdin: Writable
  readonly stdout: Readable
  readonly ended: Promise<ChildEnd>
  readonly gone: Promise<void>
  readonly #needs: ChildNeeds
  readonly #name: string
  readonly #words: LastWords
  #ask!: (patience: Patience) => void

  constructor(needs: ChildNeeds, command: ChildCommand, { process: child, pid }: Latched) {
    const { name, onStderr = (line) => needs.log.debug('supervise.child.stderr', { name, pid, line }) } = command
    this.pid = pid
    this.#needs = needs
    this.#name = name
    this.stdin = child.stdin!
    this.stdout = child.stdout!
    this.stdin.on('error', () => {}) // whoever stops reading is told by its exit
    this.stdout.on('error', () => {})
    this.#words = new LastWords(onStderr)
    child.stderr!.on('data', (chunk: Buffer) => this.#words.take(chunk)).on('error', () => {})
    const spoken = new Promise<void>((resolve) => child.stderr!.once('close', resolve))
    const exit = new Promise<Omit<ChildEnd, 'lastWords'>>((resolve) => {
      child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
    })
    const asked = new Promise<Patience>((resolve) => {
      this.#ask = resolve
    })
    this.ended = this.#end(exit, spoken)
    this.gone = this.#live(exit, asked)
  }

  get pgid(): number {
    return this.pid
  }

  lastWords(): string {
    return this.#words.text()
  }

  stop(patience: Patience = {}): Promise<void> {
    this.#ask(patience)
    return this.gone
  }

  async #end(exit: Promise<Omit<ChildEnd, 'lastWords'>>, spoken: Promise<void>): Promise<ChildEnd> {
    const end = await exit
    await within(this.#needs.clock, drainMs, spoken)
    this.#words.end()
    this.#needs.log.info('supervise.child.ended', { name: this.#name, pid: this.pid, ...end })
    return { ...end, lastWords: this.lastWords() }
  }

  async #live(exit: Promise<unknown>, asked: Promise<Patience>): Promise<void> {
    const { clock, guard, log } = this.#needs
    const patience = await Promise.race([exit.then(() => undefined), asked])
    if (patience) {
      this.stdin.end()
      await within(clock, patience.eofMs ?? 1_000, exit)
    }
    let left = await this.#signal('SIGTERM', patience ? (patience.termMs ?? 2_000) : orphansTermMs)
    if (left !== 'nobody') left = await this.#signal('SIGKILL', killMs)
    if (left === 'living') log.error('supervise.child.stuck', { name: this.#name, pgid: this.pid })
    else guard.unregister(this.pid) // a group that lives stays with the guard: its number is nobody else's so long
  }

  /** Sends the signal to the whole group and says who is left of it, as soon as nobody lives, at the latest `waitMs` later. */
  async #signal(signal: NodeJS.Signals, waitMs: number): Promise<'nobody' | 'dead' | 'living'> {
    const { clock } = this.#needs
    if (!signalGroup(this.pid, signal)) return 'nobody'
    const from = clock.mono()
    let lookMs = 30
    // nobody tells of the end of a grandchild, so it is asked for: soon at first, then every 50 ms; the dearer question ever more rarely
    for (let pauseMs = 2; clock.mono() - from < waitMs; pauseMs = Math.min(pauseMs * 2, 50)) {
      await clock.wait(pauseMs)
      if (!signalGroup(this.pid, 0)) return 'nobody'
      if (clock.mono() - from < lookMs) continue
      lookMs *= 2
      if (!(await hasLiving(this.pid))) return 'dead'
    }
    return 'living'
  }
}

/** Resolves with the promise, or after `waitMs` without it. */
async function within(clock: Clock, waitMs: number, promise: Promise<unknown>): Promise<void> {
  const over = new AbortController()
  await Promise.race([promise, clock.wait(waitMs, over.signal).catch(() => {})])
  over.abort()
}
