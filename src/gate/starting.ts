// How a server is started: greeted within its time, and not in a loop when it will not start.
import type { Clock } from '../kernel/clock.ts'
import { Fault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import { UpstreamRefusal } from '../base/mcp/leg/ask.ts'
import type { Leg } from '../base/mcp/exchange.ts'
import { code } from '../base/mcp/protocol.ts'
import { type Backoff, failed, healthy, rested } from '../base/supervise/backoff.ts'
import { fault } from './faults.ts'
import type { Pooled } from './pooled.ts'

/** What is known of a server from the last attempt to start it. */
export type UpstreamState =
  | { readonly is: 'unused' | 'ready' }
  /** Without `retryInMs` nothing holds the next try back. */
  | { readonly is: 'failing'; readonly reason: string; readonly retryInMs?: number }

export type StartingSettings = {
  readonly name: string
  /** How long it may take from the start to the answer to the greeting. */
  readonly timeoutMs: number
  /** True when a start costs a process: then it is tried ever more rarely. */
  readonly isCostly: boolean
}

/** Connecting to a server that runs elsewhere costs little, so it is soon tried again. */
const cheapRestMs = 1_000

export class Starting {
  readonly #clock: Clock
  readonly #log: Log
  readonly #settings: StartingSettings
  /** Ends what has been started and has not answered yet. */
  readonly #underWay = new Set<() => Promise<void>>()
  #backoff: Backoff = rested
  #restUntilMs = 0
  #failedAtMs = -1
  readonly #starts = { begun: 0, failed: 0 }
  #state: 'unused' | 'ready' | { readonly reason: string } = 'unused'

  constructor(needs: { clock: Clock; log: Log }, settings: StartingSettings) {
    this.#clock = needs.clock
    this.#log = needs.log
    this.#settings = settings
  }

  get state(): UpstreamState {
    if (typeof this.#state === 'string') return { is: this.#state }
    return { is: 'failing', reason: this.#state.reason, retryInMs: Math.max(0, this.#restUntilMs - this.#clock.mono()) }
  }

  /** How often it was tried since the gate began. */
  get starts(): { readonly begun: number; readonly failed: number } {
    return this.#starts
  }

  /**
   * Opens a leg and greets the server, unless it failed a moment ago; one that never answers the greeting is stopped. Faults: `gate.resting`,
   * `gate.silent`, and whatever `open` and `greet` have.
   */
  async start<L extends Leg, T>(open: () => Promise<L>, greet: (leg: L) => Promise<T>, pooled?: Pooled): Promise<{ leg: L; answer: T }> {
    this.checkRest()
    const { name, timeoutMs } = this.#settings
    const startedMs = this.#clock.mono()
    let leg: L | undefined
    let isLate = false
    this.#starts.begun++
    const stop = async (): Promise<void> => {
      await pooled?.close()
      await leg?.close()
    }
    this.#underWay.add(stop)
    const cancel = this.#clock.after(timeoutMs, () => {
      isLate = true
      stop().catch(() => {}) // `start` itself tells of it
    })
    try {
      leg = await open()
      if (isLate) throw fault.silent({ upstream: name, timeoutMs })
      const answer = await greet(leg)
      this.#backoff = healthy(this.#backoff, this.#clock.mono())
      this.#state = 'ready'
      return { leg, answer }
    } catch (error) {
      const failure = isLate ? fault.silent({ upstream: name, timeoutMs }) : error
      if (!isWrongEra(error) && !isOurLimit(error)) this.#failed(failure, startedMs)
      await stop()
      throw failure
    } finally {
      cancel()
      this.#underWay.delete(stop)
    }
  }

  /** Fault `gate.resting` for a moment after a failure. */
  checkRest(): void {
    const waitMs = this.#restUntilMs - this.#clock.mono()
    const reason = typeof this.#state === 'string' ? '' : this.#state.reason
    if (waitMs > 0) throw fault.resting({ upstream: this.#settings.name, reason, waitMs })
  }

  /** Ends all that has not answered yet. */
  async stop(): Promise<void> {
    await Promise.all([...this.#underWay].map((stop) => stop()))
  }

  /** Attempts that ran side by side and failed together count as one. */
  #failed(error: unknown, startedMs: number): void {
    const { name, isCostly } = this.#settings
    this.#starts.failed++
    const reason = error instanceof Error ? error.message : String(error)
    this.#state = { reason }
    if (startedMs < this.#failedAtMs) return
    const { next, delayMs } = failed(this.#backoff, this.#clock.mono())
    this.#backoff = next
    this.#failedAtMs = this.#clock.mono()
    this.#restUntilMs = this.#failedAtMs + (isCostly ? delayMs : Math.min(delayMs, cheapRestMs))
    this.#log.warn('gate.upstream.failed', { upstream: name, reason, retryInMs: this.#restUntilMs - this.#failedAtMs })
  }
}

/** What was never started has not failed. */
function isOurLimit(error: unknown): boolean {
  return error instanceof Fault && error.kind === 'limited'
}

/** A server that speaks only the other era has not failed: it refuses what it was greeted with by one of these. */
export function isWrongEra(error: unknown): boolean {
  return error instanceof UpstreamRefusal && (error.error.code === code.unsupportedVersion || error.error.code === code.methodNotFound)
}
