// What was sent and received, as a ledger that anyone can check: who, when, and the digest of the signed message, never its text. It is a record, no part of the
// way of a message: whatever is wrong with it, messages come and go.
import { basename } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import { readText } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import { type VerifyWitnessedOptions, type WitnessedVerdict, verifyWitnessed } from '../base/ledger/verify-witnessed.ts'
import type { Checkpointed, LedgerPlace } from '../base/ledger/checkpointing.ts'
import type { Identity } from '../base/identity/identity.ts'
import { fault } from './faults.ts'
import type { FileFacts } from '../base/transfer/outgoing-file.ts'
import type { Home } from './home.ts'

/** What the history is called where it is signed. */
export const historyName = 'fairlead/messages'
/** With each message the ledger is at rest: its tree is signed so often at most. */
const signEveryMs = 60_000
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
  /** Of a file: what it was, but for its name. */
  readonly file?: FileFacts
  /** Of a sent one: whether the recipient's receipt came. */
  readonly delivered?: boolean
  /** It was left in a mailbox, or came out of one. */
  readonly mailbox?: boolean
}

/** Where the history lies, as a ledger. */
export function historyPlace(home: Home): LedgerPlace {
  return { folder: home.folder, file: basename(home.history), origin: historyName }
}

export type HistoryNeeds = {
  readonly clock: Clock
  readonly log: Log
  /** Signs the history now and then. */
  readonly identity?: Identity
}

/**
 * Adds an entry; whether it is there. Several processes write, so each opens and closes the ledger, waiting up to 2 s for its turn. Never fails: what goes
 * wrong is logged, for a message does not depend on it.
 */
export async function addToHistory(needs: HistoryNeeds, home: Home, entry: HistoryEntry): Promise<boolean> {
  const { clock, log, identity } = needs
  const until = clock.mono() + patienceMs
  const { openLedger } = await import('../base/ledger/ledger.ts')
  for (;;) {
    let ledger: Ledger | undefined
    try {
      ledger = openLedger({ ...historyPlace(home), clock, log, mayBeDeleted: true, reserveBytes: 0 })
      await ledger.append(entry)
      await ledger.close()
      if (identity) await signAtRest({ clock, log, identity }, home)
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

/** Whoever does it just now does it for all. */
async function signAtRest({ clock, log, identity }: Required<HistoryNeeds>, home: Home): Promise<void> {
  try {
    const { checkpointAgeMs, checkpointLedger } = await import('../base/ledger/checkpointing.ts')
    if (checkpointAgeMs(historyPlace(home), clock.now()) < signEveryMs) return
    await checkpointLedger({ identity, log }, historyPlace(home))
  } catch (error) {
    const { code, message } = asFault(error)
    if (code !== 'store.locked') log.warn('reach.history.not_signed', { file: home.history, problem: message })
  }
}

/** Signs the history as it is now, waiting up to 2 s for its turn. Faults: `reach.no_history`, those of `checkpointLedger`. */
export async function signHistory(
  { clock, log, identity }: Required<HistoryNeeds>,
  home: Home,
  signal?: AbortSignal,
): Promise<Checkpointed> {
  const until = clock.mono() + patienceMs
  const { checkpointLedger } = await import('../base/ledger/checkpointing.ts') // most who read the history sign nothing
  for (;;) {
    try {
      const made = await checkpointLedger({ identity, log }, historyPlace(home), signal)
      if (!made) throw fault.no_history({ path: home.history })
      return made
    } catch (error) {
      if (asFault(error).code !== 'store.locked' || clock.mono() > until) throw error
      await clock.wait(againMs, signal)
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
      const { seq, time, event, peer, id, message, file, delivered, mailbox } = JSON.parse(line) as PastEntry
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
              ...(file ? { file } : {}),
              ...(delivered === undefined ? {} : { delivered }),
              ...(mailbox === undefined ? {} : { mailbox }),
            },
          ]
        : []
    } catch {
      return []
    }
  })
}

/** Checks the whole history, and everything that was signed of it; fault `ledger.unreadable`. */
export function verifyHistory(home: Home, options: VerifyWitnessedOptions): Promise<WitnessedVerdict> {
  return verifyWitnessed(historyPlace(home), options)
}
