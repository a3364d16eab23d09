// Looks at the machine, and knows what CPU use is to be counted from: for a sample the sample before, for whoever asks a moment ago.
import type { Clock } from '../../kernel/clock.ts'
import type { Host } from '../host.ts'
import { type Look, look } from './series.ts'

type Reading = { readonly cpu: Look['cpu']; readonly at: number }

/** Below that the counters, which tick each 10 ms, say little; above it, it is no more "now". */
const leastMs = 200
const mostMs = 60_000
const maxReadings = 8

export class Looking {
  readonly #host: Host
  readonly #clock: Clock
  #sampled: Look['cpu']
  #readings: Reading[] = []

  constructor({ host, clock }: { readonly host: Host; readonly clock: Clock }) {
    this.#host = host
    this.#clock = clock
  }

  /** CPU use is that since the last call of this. */
  async sample(): Promise<Look> {
    const seen = this.#note(await look(this.#host, this.#sampled))
    this.#sampled = seen.cpu
    return seen
  }

  /** CPU use is that since the latest look that is not too near; missing, when there was none within a minute. */
  async now(): Promise<Look> {
    const now = this.#clock.mono()
    const from = this.#readings.findLast(({ at }) => now - at >= leastMs && now - at <= mostMs)
    return this.#note(await look(this.#host, from?.cpu))
  }

  #note(seen: Look): Look {
    const at = this.#clock.mono()
    if (at - (this.#readings.at(-1)?.at ?? Number.NEGATIVE_INFINITY) >= leastMs)
      this.#readings = [...this.#readings.slice(1 - maxReadings), { cpu: seen.cpu, at }]
    return seen
  }
}
