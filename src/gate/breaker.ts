// Leaves a server alone that lets one principal's requests run out of time, one after the other: for a while that grows, so that nobody waits in vain. Others are not kept from it.
import type { Clock } from '../kernel/clock.ts'
import type { Fault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import { fault } from './faults.ts'

/** Requests in a row without an answer to any. */
const maxSilent = 3
const firstRestMs = 5_000
const mostRestMs = 300_000
/** Principals that wait for an answer since their last; the oldest are forgotten. */
const maxCounted = 1_000

type Count = { silent: number; restMs: number; untilMs: number }

export class Breaker {
  readonly #clock: Clock
  readonly #log: Log
  readonly #upstream: string
  readonly #counts = new Map<string, Count>()

  constructor({ clock, log }: { clock: Clock; log: Log }, upstream: string) {
    this.#clock = clock
    this.#log = log
    this.#upstream = upstream
  }

  /** Milliseconds until it is tried again by whoever leaves it alone for longest; undefined when nobody does. */
  get restMs(): number | undefined {
    const rests = [...this.#counts.values()].filter(({ silent }) => silent >= maxSilent)
    return rests.length === 0 ? undefined : Math.max(0, ...rests.map(({ untilMs }) => untilMs - this.#clock.mono()))
  }

  /** Why a request is not sent, while it rests: fault `gate.left_alone`. When the rest is over requests pass, and the first that runs out of time begins a longer one. */
  refusal(principal: string): Fault | undefined {
    const count = this.#counts.get(principal)
    if (!count || count.silent < maxSilent) return undefined
    const waitMs = count.untilMs - this.#clock.mono()
    return waitMs > 0 ? fault.left_alone({ upstream: this.#upstream, silent: count.silent, waitMs }) : undefined
  }

  answered(principal: string): void {
    this.#counts.delete(principal)
  }

  silent(principal: string): void {
    const count = this.#counts.get(principal) ?? { silent: 0, restMs: firstRestMs / 2, untilMs: 0 }
    this.#counts.set(principal, count)
    if (this.#counts.size > maxCounted) this.#counts.delete(this.#counts.keys().next().value!)
    if (++count.silent < maxSilent || this.#clock.mono() < count.untilMs) return // what ran beside the last one says nothing new
    count.restMs = Math.min(2 * count.restMs, mostRestMs)
    count.untilMs = this.#clock.mono() + count.restMs
    this.#log.warn('gate.upstream.left_alone', { upstream: this.#upstream, principal, silent: count.silent, forMs: count.restMs })
  }
}
