// How a path that broke is tried again: at once, and often for as long as somebody may wait for it, then seldom.
import { type Clock, deadline } from '../../../kernel/clock.ts'

const attemptsMs = [2_000, 2_000, 4_000, 10_000] as const

/** How long the nth attempt to come back may take. Short ones first: over a path that swallows packets a dial answers only as late as its last try. */
export function attemptMs(attempt: number): number {
  return attemptsMs[attempt % attemptsMs.length]!
}

/** So long a session is kept for somebody who may wait for its next answer; after that nobody does. */
const hurryMs = 300_000

/**
 * The wait before the nth attempt, `awayMs` after the cut: 25 ms doubling to 400 ms for as long as a session may wait for it; then a tenth of the time that
 * went by since, at most 5 s; half of it jitter.
 */
export function backoffMs(attempt: number, awayMs: number, random: number): number {
  const full = Math.min(5_000, Math.max(Math.min(25 * 2 ** attempt, 400), (awayMs - hurryMs) / 10))
  return full * (0.5 + random / 2)
}

export type FirstBackNeeds<Found> = {
  readonly clock: Clock
  /** One attempt. What comes of it after another one was first is dropped. */
  readonly open: (signal: AbortSignal) => Promise<Found & { abort(): void }>
  readonly random: () => number
  /** Told why an attempt failed. */
  readonly missed: (error: unknown) => void
}

/** Attempts under way at once. */
const maxUnderWay = 3

/**
 * The first of attempts that are begun again and again until `over`, each beside those under way: one of those may hang on an address where nobody answers, while
 * the path is back. `attempts` counts them, over several calls of the same cut; `from` is when that was. Rejects when `over` aborts.
 */
export async function firstBack<Found>(
  { clock, open, random, missed }: FirstBackNeeds<Found>,
  cut: { readonly from: number; attempts: number },
  over: AbortSignal,
): Promise<Found> {
  const enough = new AbortController()
  const signal = AbortSignal.any([over, enough.signal])
  const { promise: first, resolve, reject } = Promise.withResolvers<Found>()
  const underWay = new Set<Promise<void>>()
  const attempt = async (limitMs: number): Promise<void> => {
    try {
      const found = await open(deadline(clock, limitMs, signal))
      if (signal.aborted) return found.abort()
      resolve(found)
      enough.abort()
    } catch (error) {
      if (!signal.aborted) missed(error)
    }
  }
  const begin = async (): Promise<void> => {
    for (;;) {
      await clock.wait(backoffMs(cut.attempts, clock.mono() - cut.from, random()), signal)
      if (underWay.size === maxUnderWay) await Promise.race(underWay)
      signal.throwIfAborted()
      const one = attempt(attemptMs(cut.attempts++)).finally(() => underWay.delete(one))
      underWay.add(one)
    }
  }
  begin().catch(reject) // it is over, or enough: then nobody hears it
  return first
}
