// One piece of work at a time at each place: a deployment and what the node mends by itself never touch the same container together.
import { fault } from '../faults.ts'

export class Places {
  readonly #busy = new Map<string, string>()

  /** What is being done there; undefined when nothing is. */
  doing(place: string): string | undefined {
    return this.#busy.get(place)
  }

  /** Does the work, alone at all of these places; fault `run.busy` when something is going on at one of them. */
  async alone<Result>(places: readonly string[], doing: string, work: () => Promise<Result>): Promise<Result> {
    for (const place of places) {
      const other = this.#busy.get(place)
      if (other !== undefined) throw fault.busy({ place, doing: other })
    }
    for (const place of places) this.#busy.set(place, doing)
    try {
      return await work()
    } finally {
      for (const place of places) this.#busy.delete(place)
    }
  }
}
