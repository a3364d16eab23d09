// How often one credential may knock: a token bucket each, for credentials that the gate knows, so there are never many.
import type { Clock } from '../../kernel/clock.ts'

export type Rate = { readonly burst: number; readonly perSecond: number }

const maxKeys = 1_024

/** Takes a token of `key`: 0 when there was one, else the milliseconds until there is one. */
export function rateOf(clock: Clock, { burst, perSecond }: Rate): (key: string) => number {
  const buckets = new Map<string, { tokens: number; atMs: number }>()
  return (key) => {
    const nowMs = clock.mono()
    const { tokens, atMs } = buckets.get(key) ?? { tokens: burst, atMs: nowMs }
    buckets.delete(key)
    if (buckets.size >= maxKeys) buckets.delete(buckets.keys().next().value!)
    const filled = Math.min(burst, tokens + ((nowMs - atMs) / 1_000) * perSecond)
    buckets.set(key, { tokens: filled < 1 ? filled : filled - 1, atMs: nowMs })
    return filled < 1 ? Math.ceil(((1 - filled) / perSecond) * 1_000) : 0
  }
}
