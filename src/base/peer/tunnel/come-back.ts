// How patiently a path that broke is tried again: at once and often at first, then seldom.

const attemptsMs = [2_000, 2_000, 4_000, 10_000] as const

/** How long the nth attempt to come back may take. Short ones first: over a path that swallows packets a dial answers only as late as its last try. */
export function attemptMs(attempt: number): number {
  return attemptsMs[attempt % attemptsMs.length]!
}

/** The wait before the nth attempt, `awayMs` after the cut: 25 ms doubling to 400 ms, then a tenth of the time away, at most 5 s; half of it jitter. */
export function backoffMs(attempt: number, awayMs: number, random: number): number {
  const full = Math.min(5_000, Math.max(Math.min(25 * 2 ** attempt, 400), awayMs / 10))
  return full * (0.5 + random / 2)
}
