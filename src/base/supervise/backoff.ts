// How long to wait before a child that ended is started again: a value and two steps, without a clock of its own.

/** The first restart is at once, later ones wait 250 ms, doubled up to 30 s; a minute of health forgets what was before. */
const backoffLimits = { firstMs: 250, mostMs: 30_000, healthyMs: 60_000 } as const

export type Backoff = {
  /** Ends in a row, without a minute of health between them. */
  readonly failures: number
  /** Monotonic milliseconds at which this life was first seen to be healthy. */
  readonly healthySinceMs: number | undefined
}

/** Nothing has failed yet. */
export const rested: Backoff = { failures: 0, healthySinceMs: undefined }

/** The child did its work (a round trip, not merely a start) at `nowMs` of `Clock.mono`. Later proofs of the same life change nothing. */
export function healthy(backoff: Backoff, nowMs: number): Backoff {
  return backoff.healthySinceMs === undefined ? { ...backoff, healthySinceMs: nowMs } : backoff
}

/** The child ended at `nowMs` of `Clock.mono`: wait `delayMs` (0 to 30,000), then start the next life with `next`. */
export function failed(backoff: Backoff, nowMs: number): { readonly next: Backoff; readonly delayMs: number } {
  const { firstMs, mostMs, healthyMs } = backoffLimits
  const isForgiven = backoff.healthySinceMs !== undefined && nowMs - backoff.healthySinceMs >= healthyMs
  const before = isForgiven ? 0 : backoff.failures
  const delayMs = before === 0 ? 0 : Math.min(firstMs * 2 ** (before - 1), mostMs)
  return { next: { failures: before + 1, healthySinceMs: undefined }, delayMs }
}
