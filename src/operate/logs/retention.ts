// How long closed files of a record are kept, by number and by age: looked at each minute. What went is told, so that a verifier's gap can be held against an entry.
import { dropClosed } from '../../base/ledger/retention.ts'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { LoggingSettings } from './settings.ts'

const everyMs = 60_000
/** Nothing goes for its age before the clock has run for so long without a jump: a wrong one must not empty a record. */
const settledMs = 60 * 60_000
const maxSlipMs = 60_000

export type Kept = { readonly folder: string; readonly file: string }
export type Dropped = { readonly from: number; readonly to: number; readonly files: number }

/** `place`: as it is then; undefined: nowhere yet. Returns what ends it. */
export function keepRetained(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  { backup_count: keepCount, retention_days: days }: Pick<LoggingSettings, 'backup_count' | 'retention_days'>,
  place: () => Kept | undefined,
  told: (dropped: Dropped) => void,
): () => void {
  let cancel = (): void => {}
  let [wallMs, monoMs, settledAt] = [clock.now(), clock.mono(), clock.mono() + settledMs]
  const retain = (): void => {
    const kept = place()
    const hasJumped = Math.abs(clock.now() - wallMs - (clock.mono() - monoMs)) > maxSlipMs
    ;[wallMs, monoMs] = [clock.now(), clock.mono()]
    if (hasJumped) settledAt = monoMs + settledMs
    const beforeMs = monoMs < settledAt ? Number.NEGATIVE_INFINITY : wallMs - days * 86_400_000
    try {
      const dropped = kept ? dropClosed(kept, keepCount, beforeMs) : []
      if (dropped.length > 0) told({ from: dropped[0]!.from, to: dropped.at(-1)!.to, files: dropped.length })
    } catch (error) {
      log.error('audit.not_retained', { folder: kept?.folder, reason: asFault(error).message })
    }
    cancel = clock.after(everyMs, retain)
  }
  retain()
  return () => cancel()
}
