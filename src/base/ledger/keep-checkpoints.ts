// Keeps a ledger's checkpoint fresh while it is written: now and then, and at the end. What is signed is read from the files, so that an append costs nothing more.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Identity } from '../identity/identity.ts'
import { type LedgerPlace, checkpointLedger } from './checkpointing.ts'

/** Everything added since the last one is read each time, in turns with whatever else runs: see bench/ledger.ts for what that costs. */
const defaultEveryMs = 60_000

export interface KeptCheckpoints {
  /** Signs once more. To be called after the ledger was closed. */
  close(): Promise<void>
}

/**
 * Signs the ledger at `place`, in the name of whoever `identity` is then, every so often if something was added; what goes wrong is logged, for entries do not
 * depend on it.
 */
export function keepCheckpoints(
  { identity, clock, log }: { readonly identity: () => Identity; readonly clock: Clock; readonly log: Log },
  place: LedgerPlace,
  { everyMs = defaultEveryMs }: { readonly everyMs?: number } = {},
): KeptCheckpoints {
  let cancel = (): void => {}
  let signing: Promise<void> = Promise.resolve()
  let isClosed = false
  const sign = async (): Promise<void> => {
    try {
      await checkpointLedger({ identity: identity(), log }, place)
    } catch (error) {
      const { code, message } = asFault(error)
      log.warn('ledger.not_signed', { folder: place.folder, code, problem: message })
    }
  }
  const later = (): void => {
    cancel = clock.after(everyMs, () => {
      signing = sign().then(() => (isClosed ? undefined : later()))
    })
  }
  later()
  return {
    async close() {
      isClosed = true
      cancel()
      await signing
      await sign()
    },
  }
}
