// Bytes by key, bounded by their sum: who was used longest ago goes first.

export interface Recent {
  get(key: string): Uint8Array | undefined
  /** What alone is more than a quarter of the bound is not taken: it would drive out too much. */
  set(key: string, bytes: Uint8Array): void
  remove(key: string): void
  clear(): void
}

export function createRecent(maxBytes: number): Recent {
  const held = new Map<string, Uint8Array>()
  let sizeBytes = 0
  const remove = (key: string): void => {
    sizeBytes -= held.get(key)?.length ?? 0
    held.delete(key)
  }
  return {
    get(key) {
      const found = held.get(key)
      if (found) {
        held.delete(key)
        held.set(key, found)
      }
      return found
    },
    set(key, bytes) {
      remove(key)
      if (bytes.length > maxBytes / 4) return
      held.set(key, bytes)
      sizeBytes += bytes.length
      for (const oldest of held.keys()) {
        if (sizeBytes <= maxBytes) break
        remove(oldest)
      }
    },
    remove,
    clear() {
      held.clear()
      sizeBytes = 0
    },
  }
}
