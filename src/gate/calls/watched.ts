// Calls as they end, for those who watch: nothing is kept, and nothing costs anything while nobody watches.
import type { EndedCall } from './api.ts'

type Watcher = (call: EndedCall) => void

export class WatchedCalls {
  readonly #watchers = new Set<Watcher>()

  /** Ask it before you make something to tell. */
  get isWatched(): boolean {
    return this.#watchers.size > 0
  }

  tell(call: EndedCall): void {
    for (const watcher of this.#watchers) watcher(call)
  }

  /** Until the answer is disposed of. */
  watch(watcher: Watcher): Disposable {
    const own: Watcher = (call) => watcher(call) // the same function may watch twice
    this.#watchers.add(own)
    return { [Symbol.dispose]: () => void this.#watchers.delete(own) }
  }
}
