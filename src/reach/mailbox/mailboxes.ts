// The registry's mailboxes: sealed items in one file, by their owner, with an end for each and bounds for all. Nothing here tells who left an item.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { openStore } from '../../base/store/store.ts'
import { fault } from '../faults.ts'
import { maxItemBytes } from './protocol.ts'
import { digestOf } from '../message/message.ts'

export interface Mailboxes {
  /** The owner is here: from now on it has a mailbox, for 30 days, if it is registered or had one: whoever made up an id has none. Fault `reach.mailboxes_full`. */
  open(owner: string): void
  /**
   * Keeps an item, so that it survives a loss of power when this returns; the same item again changes nothing. Answers its end (wall time, ms).
   * Faults: `reach.item_too_large`, `reach.no_mailbox`, `reach.mailbox_full`, `reach.mailboxes_full`.
   */
  leave(owner: string, sealed: Uint8Array): number
  /** The owner's items, oldest first; at most `limit`. */
  oldest(owner: string, limit: number): Uint8Array[]
  /** Removes those of the owner's items that have these ids (see `digestOf`). */
  remove(owner: string, ids: readonly string[]): void
  close(): void
}

export type MailboxesNeeds = {
  readonly clock: Clock
  readonly log: Log
  /** Whether a peer without a mailbox gets one, because it is registered. */
  readonly isRegistered: (peerId: string) => boolean
}

export type MailboxesSettings = {
  readonly path: string
  /** How long an item is kept: 7 days by default. */
  readonly keepMs?: number
  /** Of all items together: 256 MiB by default. */
  readonly maxBytes?: number
  /** Items in one mailbox: 256 by default. */
  readonly maxItemsEach?: number
  /** 20,000 by default. */
  readonly maxMailboxes?: number
}

const migrations = [
  `CREATE TABLE mailbox (owner TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT;
   CREATE TABLE item (seq INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, id TEXT NOT NULL, expiresAt INTEGER NOT NULL, sealed BLOB NOT NULL, UNIQUE (owner, id)) STRICT;
   CREATE INDEX item_end ON item (expiresAt);`,
]
const dayMs = 24 * 3_600_000
const absenceMs = 30 * dayMs
const sweepEveryMs = 60_000

/** Opens the mailboxes in the file at `path`, whose only writer we are. Faults of `openStore`. */
export function openMailboxes({ clock, log, isRegistered }: MailboxesNeeds, settings: MailboxesSettings): Mailboxes {
  const { path, keepMs = 7 * dayMs, maxBytes = 256 << 20, maxItemsEach = 256, maxMailboxes = 20_000 } = settings
  const store = openStore({ path, migrations, clock, log, isSynced: true })
  const number = (sql: string, ...values: (string | number)[]): number => store.get<{ n: number | null }>(sql, ...values)?.n ?? 0
  const sizeBytes = (): number => number('SELECT sum(length(sealed)) AS n FROM item')
  /** Kept beside the file, for a sum over all items costs too much for each that comes. */
  let totalBytes = sizeBytes()

  const sweep = (): void => {
    const now = clock.now()
    store.run('DELETE FROM item WHERE expiresAt <= ?', now)
    store.run('DELETE FROM mailbox WHERE until <= ?', now)
    totalBytes = sizeBytes()
  }
  let cancel = (): void => {}
  const keepSweeping = (): void => {
    try {
      sweep()
    } catch (error) {
      log.warn('reach.mailbox.not_swept', { problem: asFault(error).message })
    }
    cancel = clock.after(sweepEveryMs, keepSweeping)
  }
  keepSweeping()

  const until = (owner: string): number => number('SELECT until AS n FROM mailbox WHERE owner = ?', owner)
  const open = (owner: string): void => {
    const now = clock.now()
    const before = until(owner)
    if (before <= now && !isRegistered(owner)) return
    if (before > now + absenceMs - dayMs) return // said once a day, for each time waits for the disk
    if (before === 0 && number('SELECT count(*) AS n FROM mailbox') >= maxMailboxes)
      throw fault.mailboxes_full({ limit: `${maxMailboxes} owners` })
    store.run('INSERT INTO mailbox VALUES (?, ?) ON CONFLICT DO UPDATE SET until = excluded.until', owner, now + absenceMs)
  }
  return {
    open,
    leave(owner, sealed) {
      if (sealed.length > maxItemBytes) throw fault.item_too_large({ sizeBytes: sealed.length, limit: maxItemBytes })
      const id = digestOf(sealed)
      const known = number('SELECT expiresAt AS n FROM item WHERE owner = ? AND id = ?', owner, id)
      const now = clock.now()
      if (known > now) return known
      if (until(owner) <= now) {
        if (!isRegistered(owner)) throw fault.no_mailbox({ peer: owner })
        open(owner)
      }
      if (number('SELECT count(*) AS n FROM item WHERE owner = ?', owner) >= maxItemsEach) throw fault.mailbox_full({ peer: owner })
      if (totalBytes + sealed.length > maxBytes) throw fault.mailboxes_full({ limit: `${maxBytes >> 20} MiB` })
      const insert =
        'INSERT INTO item (owner, id, expiresAt, sealed) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET expiresAt = excluded.expiresAt'
      store.run(insert, owner, id, now + keepMs, sealed)
      totalBytes += sealed.length
      return now + keepMs
    },
    oldest: (owner, limit) =>
      store
        .all<{ sealed: Uint8Array }>(
          'SELECT sealed FROM item WHERE owner = ? AND expiresAt > ? ORDER BY seq LIMIT ?',
          owner,
          clock.now(),
          limit,
        )
        .map(({ sealed }) => sealed),
    remove(owner, ids) {
      const one = 'SELECT length(sealed) AS n FROM item WHERE owner = ? AND id = ?'
      store.transaction(() => {
        for (const id of ids) {
          totalBytes -= number(one, owner, id)
          store.run('DELETE FROM item WHERE owner = ? AND id = ?', owner, id)
        }
      })
    },
    close() {
      cancel()
      store.close()
    },
  }
}
