// Token buckets by key, in bounded memory: how often one peer or one address may ask.
import type { Clock } from '../../kernel/clock.ts'

export type Rate = {
  /** Requests at once. */
  readonly burst: number
  /** Requests a second, in the long run. */
  readonly perSecond: number
}

export interface RateLimit {
  /** Takes one token: 0 when there was one, else the milliseconds until there is one. */
  take(key: string): number
}

const maxKeys = 10_000

/** At most 10,000 keys are remembered; the one not seen for longest is forgotten first. */
export function rateLimit(clock: Clock, { burst, perSecond }: Rate): RateLimit {
  const buckets = new Map<string, { tokens: number; at: number }>()
  return {
    take(key) {
      const now = clock.mono()
      const bucket = buckets.get(key) ?? { tokens: burst, at: now }
      buckets.delete(key)
      if (buckets.size >= maxKeys) buckets.delete(buckets.keys().next().value!)
      buckets.set(key, bucket)
      bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond)
      bucket.at = now
      if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / perSecond) * 1000)
      bucket.tokens--
      return 0
    },
  }
}
