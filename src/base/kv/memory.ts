// Keyed state in this process: the whole contract without a file, for tests and for what need not outlive its process.
import type { Clock } from '../../kernel/clock.ts'
import { fault } from './faults.ts'
import { type Backing, type Bucket, type Kv, type Stored, bucketOver } from './kv.ts'
import { createWatchers } from './watchers.ts'

export type MemoryKvOptions = {
  readonly clock: Clock
  /** Of each bucket; 65,536 by default. */
  readonly maxEntries?: number
}

export interface MemoryKv extends Kv {
  /** The same state seen by another observer, who counts expiry on a clock of its own. */
  observer(clock: Clock): Kv
}

/** Keyed state in memory, gone with the process: for tests and simulations. */
export function createMemoryKv({ clock, maxEntries = 65_536 }: MemoryKvOptions): MemoryKv {
  const backings = new Map<string, Backing>()
  const observer = (clock: Clock): Kv => {
    const buckets = new Map<string, Bucket>()
    return {
      bucket(name) {
        const backing = backings.get(name) ?? memoryBacking(name, maxEntries)
        backings.set(name, backing)
        const bucket = buckets.get(name) ?? bucketOver(backing, clock)
        buckets.set(name, bucket)
        return bucket
      },
      close: async () => {},
    }
  }
  return { ...observer(clock), observer }
}

function memoryBacking(name: string, maxEntries: number): Backing {
  const entries = new Map<string, Stored>()
  let last = 0
  const watchers = createWatchers(name, () => [...entries.values()])
  return {
    get: async (key) => entries.get(key),
    async put(key, bytes, expected) {
      const present = entries.get(key)
      if ((present?.revision ?? 0) !== expected) return undefined
      if (!present && entries.size >= maxEntries) throw fault.full({ bucket: name, maxEntries })
      const stored = { key, bytes, revision: ++last }
      entries.set(key, stored)
      watchers.tell({ is: 'set', stored })
      return stored.revision
    },
    async remove(key, expected) {
      if (entries.get(key)?.revision !== expected) return false
      entries.delete(key)
      watchers.tell({ is: 'deleted', key, revision: ++last })
      return true
    },
    async *list(prefix) {
      for (const stored of entries.values()) if (stored.key.startsWith(prefix)) yield stored
    },
    watch: (signal) => watchers.watch(signal),
  }
}
