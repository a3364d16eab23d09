// What is done now and then while the gate runs: idle servers are stopped, idle sessions put to sleep.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { LineUp } from './line-up.ts'
import type { Sessions } from './sessions.ts'

/** Idle servers are looked for so often, or twice within the shortest idle time that is set. */
const sweepMs = 5_000
const leastSweepMs = 250

export type SweepingNeeds = { readonly clock: Clock; readonly log: Log; readonly sessions: Sessions; readonly lineUp: LineUp }

/** Sweeps until the returned function is called. */
export function sweeping({ clock, log, sessions, lineUp }: SweepingNeeds): () => void {
  let cancel = (): void => {}
  const sweep = async (): Promise<void> => {
    try {
      await sessions.sweep()
    } finally {
      for (const upstream of lineUp.upstreams) upstream.sweep()
    }
  }
  const again = (): void => {
    cancel = clock.after(
      everyMs(lineUp),
      () =>
        void sweep()
          .catch((error: unknown) => log.warn('gate.sweep.failed', { error }))
          .finally(again),
    )
  }
  again()
  return () => cancel()
}

function everyMs({ upstreams }: LineUp): number {
  const shortestMs = Math.min(...upstreams.map(({ settings }) => settings.idleMs))
  return Math.max(leastSweepMs, Math.min(sweepMs, shortestMs / 2))
}
