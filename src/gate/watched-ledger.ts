// A ledger that remembers whether its last entry could be written: the gate's health tells it.
import { join } from 'node:path'
import { type Fault, asFault } from '../kernel/fault.ts'
import type { LedgerPlace } from '../base/ledger/checkpointing.ts'
import type { Ledger } from '../base/ledger/ledger.ts'

/** What its first entry is chained to, and what it is called where it is signed. */
export const ledgerName = 'fairlead/gate'

/** The ledger of the gate whose state is in `folder`. */
export function gateLedger(folder: string): LedgerPlace {
  return { folder: join(folder, 'ledger'), origin: ledgerName }
}

export type WatchedLedger = Ledger & { readonly problem: Fault | undefined }

export function watchedLedger(ledger: Ledger): WatchedLedger {
  let problem: Fault | undefined
  return {
    get next() {
      return ledger.next
    },
    get last() {
      return ledger.last
    },
    get problem() {
      return problem
    },
    append(entry, durability) {
      const writing = ledger.append(entry, durability)
      writing.then(
        () => (problem = undefined),
        (error: unknown) => (problem = asFault(error)),
      )
      return writing
    },
    conclude: (entry, durability) => ledger.conclude(entry, durability),
    sync: () => ledger.sync(),
    close: () => ledger.close(),
  }
}
