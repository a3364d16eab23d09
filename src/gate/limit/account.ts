// What is counted for one principal under one limit: here alone, or together with the other gates of a cluster.
import { Bucket } from './bucket.ts'

export type Limit = {
  /** Patterns. */
  readonly principals: readonly string[]
  readonly upstreams: readonly string[]
  readonly tools: readonly string[]
  /** What is counted together: the calls of each tool by itself, or of all these tools; of one principal in any case. */
  readonly per: 'tool' | 'principal'
  readonly callsPerMinute?: number | undefined
  /** So many calls may come at once after a pause; as many as in a minute when absent. */
  readonly burst?: number | undefined
  /** Of calls and their results together. A result is counted when it is there, so one may go over: the next call waits for it. */
  readonly bytesPerMinute?: number | undefined
  readonly concurrent?: number | undefined
}

/** Why a call may not be made now. `more`: how to ask for what is missing, where there may be some elsewhere; then the account is to be asked again. */
export type Problem = { readonly what: string; readonly waitMs: number; readonly more?: () => Promise<void> }

export interface Account {
  /** Undefined when one more call may be made. */
  problem(nowMs: number): Problem | undefined
  /** One call more. */
  begin(): void
  spend(sizeBytes: number): void
  end(): void
  /** Nothing is remembered of it that a new one would not say. */
  isAtRest(nowMs: number): boolean
  /** It counts for no new call any more. */
  leave?(): void
}

/** A call that was refused because as many run already may be tried again after so long. */
export const againMs = 1_000

export function mostCalls({ callsPerMinute = 0, burst }: Limit): number {
  return burst ?? Math.max(1, callsPerMinute)
}

export class OwnAccount implements Account {
  readonly #limit: Limit
  readonly #calls: Bucket | undefined
  readonly #bytes: Bucket | undefined
  #running = 0

  constructor(limit: Limit, nowMs: number) {
    this.#limit = limit
    const { callsPerMinute, bytesPerMinute } = limit
    if (callsPerMinute !== undefined) this.#calls = new Bucket(callsPerMinute, mostCalls(limit), nowMs)
    if (bytesPerMinute !== undefined) this.#bytes = new Bucket(bytesPerMinute, bytesPerMinute, nowMs)
  }

  problem(nowMs: number): Problem | undefined {
    const { callsPerMinute, bytesPerMinute, concurrent } = this.#limit
    if (concurrent !== undefined && this.#running >= concurrent) return { what: `for ${concurrent} at once`, waitMs: againMs }
    const callsMs = this.#calls?.waitMs(1, nowMs) ?? 0
    if (callsMs > 0) return { what: `for ${callsPerMinute} calls a minute`, waitMs: callsMs }
    const bytesMs = this.#bytes?.waitMs(1, nowMs) ?? 0
    return bytesMs > 0 ? { what: `for ${bytesPerMinute} bytes a minute`, waitMs: bytesMs } : undefined
  }

  begin(): void {
    this.#calls?.take(1)
    this.#running++
  }

  spend(sizeBytes: number): void {
    this.#bytes?.take(sizeBytes)
  }

  end(): void {
    this.#running--
  }

  isAtRest(nowMs: number): boolean {
    return this.#running === 0 && (this.#calls?.isFull(nowMs) ?? true) && (this.#bytes?.isFull(nowMs) ?? true)
  }
}
