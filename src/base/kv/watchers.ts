// The watch of an adapter that makes all changes itself: the present entries, then each change, through a bounded queue per watcher.
import { fault } from './faults.ts'
import type { Stored, StoredChange } from './kv.ts'

type Watcher = { queue: StoredChange[]; hasMissed: boolean; wake: () => void }

const maxQueued = 1_024
const maxWatchers = 1_024

/** Who watches a bucket: each gets every change, in order, through a bounded queue. */
export interface Watchers {
  tell(change: StoredChange): void
  watch(signal: AbortSignal): AsyncIterable<StoredChange>
}

/** `present` gives all entries as of now, at once, so that no change falls between them and the queue. */
export function createWatchers(bucket: string, present: () => readonly Stored[]): Watchers {
  const watchers = new Set<Watcher>()
  return {
    tell(change) {
      for (const watcher of watchers) {
        if (watcher.queue.length >= maxQueued) watcher.hasMissed = true
        if (!watcher.hasMissed) watcher.queue.push(change)
        watcher.wake()
      }
    },
    async *watch(signal) {
      if (watchers.size >= maxWatchers) throw fault.too_many_watchers({ bucket, maxWatchers })
      const watcher: Watcher = { queue: [], hasMissed: false, wake() {} }
      const stop = (): void => watcher.wake()
      signal.addEventListener('abort', stop)
      watchers.add(watcher)
      try {
        for (let isFirst = true; !signal.aborted; isFirst = false) {
          if (!isFirst) yield { is: 'reset' }
          watcher.queue = []
          watcher.hasMissed = false
          for (const stored of present()) yield { is: 'set', stored }
          yield { is: 'ready' }
          while (!watcher.hasMissed && !signal.aborted) {
            const changes = watcher.queue
            watcher.queue = []
            yield* changes
            if (watcher.queue.length === 0 && !watcher.hasMissed && !signal.aborted)
              await new Promise<void>((resolve) => (watcher.wake = resolve))
          }
        }
      } finally {
        watchers.delete(watcher)
        signal.removeEventListener('abort', stop)
      }
    },
  }
}
