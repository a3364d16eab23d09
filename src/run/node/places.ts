// One piece of work at a time at each place: a deployment and what the node mends by itself never touch the same container together.
import type { Clock } from '../../kernel/clock.ts'
import { fault } from '../faults.ts'

export class Places {
  readonly #clock: Pick<Clock, 'after'>
  readonly #busy = new Map<string, { readonly doing: string; readonly over: Promise<void> }>()

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock
  }

  /** What is being done there; undefined when nothing is. */
  doing(place: string): string | undefined {
    return this.#busy.get(place)?.doing
  }

  /** Does the work, alone at all of these places, and takes them at once where they are free; fault `run.busy` when something still goes on at one of them after `waitMs`. */
  async alone<Result>(places: readonly string[], doing: string, work: () => Promise<Result>, waitMs = 0): Promise<Result> {
    const { promise: late, resolve: beLate } = Promise.withResolvers<'late'>()
    const cancel = this.#clock.after(waitMs, () => beLate('late'))
    try {
      for (let place = this.#busyOf(places); place !== undefined; place = this.#busyOf(places)) {
        const other = this.#busy.get(place)!
        if (waitMs === 0 || (await Promise.race([other.over, late])) === 'late') throw fault.busy({ place, doing: other.doing })
      }
    } finally {
      cancel()
    }
    const { promise: over, resolve } = Promise.withResolvers<void>()
    for (const place of places) this.#busy.set(place, { doing, over })
    try {
      return await work()
    } finally {
      for (const place of places) this.#busy.delete(place)
      resolve()
    }
  }

  #busyOf(places: readonly string[]): string | undefined {
    return places.find((place) => this.#busy.has(place))
  }
}
