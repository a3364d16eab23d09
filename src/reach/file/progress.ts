// How far a file is, for a person who waits: share, amount, rate and the time that is left.
import type { Clock } from '../../kernel/clock.ts'
import { durationText, percentText, sizeText } from '../../base/terminal/amount.ts'
import type { Terminal } from '../../base/terminal/terminal.ts'
import { visibleText } from '../../base/terminal/visible.ts'

const showEveryMs = 200
/** The rate is that of the last seconds, not of all the time. */
const rateOverMs = 5_000

export interface Progress {
  /** Bytes so far. */
  at(bytes: number): void
}

/** Shows on a terminal, five times a second; what was there at the first call does not count for the rate. */
export function progressOf(
  { terminal, clock }: { readonly terminal: Pick<Terminal, 'progress'>; readonly clock: Pick<Clock, 'mono'> },
  { name, sizeBytes }: { readonly name: string; readonly sizeBytes: number },
): Progress {
  const points: { readonly atMs: number; readonly bytes: number }[] = []
  let shownMs = -Infinity
  return {
    at(bytes) {
      const nowMs = clock.mono()
      if (nowMs - shownMs < showEveryMs) return
      shownMs = nowMs
      if (points.length > 0 && bytes < points.at(-1)!.bytes) points.length = 0 // begun again
      points.push({ atMs: nowMs, bytes })
      while (points.length > 2 && points[1]!.atMs < nowMs - rateOverMs) points.shift()
      terminal.progress(progressText(name, bytes, sizeBytes, rateOf(points)))
    },
  }
}

/** Bytes a second; undefined while nothing can be said. */
function rateOf(points: readonly { readonly atMs: number; readonly bytes: number }[]): number | undefined {
  const [first, last] = [points[0]!, points.at(-1)!]
  return last.atMs > first.atMs ? ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs) : undefined
}

/** `backup.tar  45 %  90 MiB of 200 MiB  120 MiB/s  1 s left`. */
export function progressText(name: string, bytes: number, sizeBytes: number, bytesPerSecond: number | undefined): string {
  const share = percentText(sizeBytes === 0 ? 100 : (bytes / sizeBytes) * 100)
  const head = `${visibleText(name)}  ${share}  ${sizeText(bytes)} of ${sizeText(sizeBytes)}`
  if (bytesPerSecond === undefined) return head
  const left = bytesPerSecond > 0 ? `  ${durationText((sizeBytes - bytes) / bytesPerSecond)} left` : '  waiting'
  return `${head}  ${sizeText(bytesPerSecond)}/s${left}`
}
