// Searches that read the whole record, one at a time: calls go on beside one of them, and nobody waits behind all that one person asks for.
import { fault } from './faults.ts'

/** That wait or run. A page asks for two. */
const maxOfOne = 8
const maxOfAll = 32

export class Turns {
  readonly #of = new Map<string, number>()
  #count = 0
  #last: Promise<unknown> = Promise.resolve()

  /** What `work` gives, when those before it are done. Faults: `calls.too_many_searches`, the reason of `signal`, those of `work`. */
  async take<T>(person: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const own = this.#of.get(person) ?? 0
    if (own >= maxOfOne || this.#count >= maxOfAll) throw fault.too_many_searches({ waiting: this.#count })
    this.#of.set(person, own + 1)
    this.#count++
    const turn = this.#last.then(() => {
      signal.throwIfAborted()
      return work()
    })
    this.#last = turn.catch(() => {})
    try {
      return await turn
    } finally {
      this.#leave(person)
    }
  }

  #leave(person: string): void {
    this.#count--
    const left = this.#of.get(person)! - 1
    if (left === 0) this.#of.delete(person)
    else this.#of.set(person, left)
  }
}
