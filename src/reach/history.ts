// What was sent and received, as a ledger that anyone can check: who, when, and the digest of the signed message, never its text. It is a record, no part of the
// way of a message: whatever is wrong with it, messages come and go.
import { basename } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import { readText } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import { type LedgerVerdict, verifyLedger } from '../base/ledger/verify.ts'
import type { Home } from './home.ts'

const origin = 'fairlead/messages'
const patienceMs = 2_000
const againMs = 20

export type HistoryEntry = {
  readonly event: 'sent' | 'received' | 'rotated' | 'revoked'
  /** Of a rotation: the new id; of a revocation: the one that ended. */
  readonly peer: string
  /** Of a message. */
  readonly id?: string
  /** The digest of the signed message or statement: see `digestOf`. */
  readonly message: string
  /** Of a sent one: whether the recipient's receipt came. */
  readonly delivered?: boolean
}

/**
 * Adds an entry; whether it is there. Several processes write, so each opens and closes the ledger, waiting up to 2 s for its turn. Never fails: what goes
 * wrong is logged, for a message does not depend on it.
 */
export async function addToHistory({ clock, log }: { clock: Clock; log: Log }, home: Home, entry: HistoryEntry): Promise<boolean> {
  const until = clock.mono() + patienceMs
  const { openLedger } = await import('../base/ledger/ledger.ts')
  for (;;) {
    let ledger: Ledger | undefined
    try {
      ledger = openLedger({ folder: home.folder, file: basename(home.history), origin, clock, log, mayBeDeleted: true, reserveBytes: 0 })
      await ledger.append(entry)
      await ledger.close()
      return true
    } catch (error) {
      await ledger?.close().catch(() => {})
      const { code, message } = asFault(error)
      if (code !== 'store.locked' || clock.mono() > until) {
        log.warn('reach.history.not_written', { file: home.history, problem: message })
        return false
      }
      await clock.wait(againMs)
    }
  }
}

export type PastEntry = { readonly seq: number; readonly time: string } & Partial<HistoryEntry>

const events: ReadonlySet<string> = new Set<HistoryEntry['event']>(['sent', 'received', 'rotated', 'revoked'])

/** The last entries, oldest first; lines that cannot be read are left out (`verifyHistory` names them). */
export function pastEntries(home: Home, most: number): PastEntry[] {
  const lines = (readText(home.history) ?? '').split('\n').slice(-most - 1)
  return lines.flatMap((line) => {
    try {
      const { seq, time, event, peer, id, message, delivered } = JSON.parse(line) as PastEntry
      const known = event !== undefined && events.has(event)
      return known && typeof seq === 'number' && typeof time === 'string'
        ? [
            {
              seq,
              time,
              event,
              ...(peer ? { peer } : {}),
              ...(id ? { id } : {}),
              ...(message ? { message } : {}),
              ...(delivered === undefined ? {} : { delivered }),
            },
          ]
        : []
    } catch {
      return []
    }
  })
}

/** Checks the whole history; fault `ledger.unreadable`. */
export function verifyHistory(home: Home, signal: AbortSignal): Promise<LedgerVerdict> {
  return verifyLedger(home.folder, { file: basename(home.history), origin, signal })
}
