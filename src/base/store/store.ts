// The one door to SQLite: opens a database that is whole and up to date, or sets a damaged one aside and begins a fresh one, loudly.
import { closeSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Clock } from '../../kernel/clock.ts'
import { makeFolder } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { hasForeignLog, moveAside, renewMark } from './belonging.ts'
import { fault, isDamage, storeFault } from './faults.ts'
import { mustBePlain } from './plain.ts'
import { backUp, fileMode } from './snapshot.ts'

type SqlValue = null | number | bigint | string | Uint8Array

export type StoreOptions = {
  readonly path: string
  /** SQL scripts; the n-th brings version n−1 to n. Only add: a file of a later version is opened too, so a script expands first and contracts a release later. */
  readonly migrations: readonly string[]
  readonly log: Log
  readonly clock: Clock
  /** Whether what is written survives a loss of power, too, and not only SIGKILL: each write then waits for the disk. */
  readonly isSynced?: boolean
  /** How long a statement waits for another connection's lock; 5,000 by default. */
  readonly busyTimeoutMs?: number
  /** 0o600 by default. Whom it lets read the file can read it also when it is closed: then there is no log beside it, which only a writer could open. */
  readonly mode?: number
  /** A file that this makes can get smaller, by `PRAGMA incremental_vacuum`. */
  readonly canShrink?: boolean
}

export interface Store {
  readonly path: string
  /** Where the damaged file (or a log that did not belong to it) went at this opening; undefined when all was well. */
  readonly setAside: string | undefined
  run(sql: string, ...values: SqlValue[]): { changes: number; lastId: number }
  get<Row>(sql: string, ...values: SqlValue[]): Row | undefined
  all<Row>(sql: string, ...values: SqlValue[]): Row[]
  /** Runs `work` in one write transaction, undone when it throws. `work` must not wait: the connection is shared. */
  transaction<Result>(work: () => Result): Result
  /** Makes a whole, checked, synced copy at `to` while the store stays in use. Put back by a plain copy, it never meets an old log. */
  backup(to: string): Promise<void>
  close(): void
}

const maxPrepared = 200

/**
 * Opens the database at `path`. The caller is its folder's only writer (`lockFolder`); other processes may read.
 * Faults: `store.busy`, `store.full`, `store.failed`, `store.migration_failed`; from statements also `store.constraint` and `store.damaged`.
 */
export function openStore(options: StoreOptions): Store {
  const { path, log, clock } = options
  let setAside: string | undefined
  let database: DatabaseSync
  makeFolder(dirname(path))
  mustBePlain(path)
  if (hasForeignLog(path)) {
    setAside = moveAside(path, ['-wal', '-shm'], clock.now())
    log.error('store.log_set_aside', { path, setAside, reason: 'the write-ahead log was written for another file than the one beside it' })
  }
  try {
    database = prepare(options)
  } catch (error) {
    if (!isDamage(error)) throw error
    setAside = moveAside(path, ['', '-wal', '-shm', '-journal', '-mark'], clock.now())
    log.error('store.set_aside', { path, setAside, reason: (error as Error).message })
    database = prepare(options)
  }
  return storeOver(database, options, setAside)
}

function prepare({
  path,
  migrations,
  log,
  isSynced = false,
  busyTimeoutMs = 5_000,
  mode = fileMode,
  canShrink,
}: StoreOptions): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    closeSync(openSync(path, 'a', mode)) // an empty file is a valid database, and its mode becomes that of -wal and -shm
    database = new DatabaseSync(path, { timeout: busyTimeoutMs })
    if (canShrink) database.exec('PRAGMA auto_vacuum = incremental') // before the journal's mode, which writes the first page
    const journal = database.prepare('PRAGMA journal_mode = wal').get() as { journal_mode: string }
    if (journal.journal_mode !== 'wal') log.warn('store.no_wal', { path, journalMode: journal.journal_mode })
    // normal: what is written survives SIGKILL, not every loss of power
    database.exec(`PRAGMA synchronous = ${isSynced ? 'full' : 'normal'}; PRAGMA foreign_keys = on; PRAGMA trusted_schema = off`)
    const check = database.prepare('PRAGMA quick_check(1)').get() as { quick_check: string }
    if (check.quick_check !== 'ok') throw fault.damaged({ path, reason: check.quick_check })
    migrate(database, path, migrations, log)
    if (!renewMark(database, path)) log.warn('store.unmarked', { path, reason: 'another process is reading it' })
    return database
  } catch (error) {
    database?.close()
    throw isDamage(error) || (error as Error).name === 'Fault' ? error : storeFault(path, error)
  }
}

function migrate(database: DatabaseSync, path: string, migrations: readonly string[], log: Log): void {
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number }
  if (version > migrations.length) log.warn('store.later_version', { path, version, known: migrations.length })
  for (let next = version + 1; next <= migrations.length; next++) {
    try {
      database.exec(`BEGIN IMMEDIATE; ${migrations[next - 1]}; PRAGMA user_version = ${next}; COMMIT`)
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      const meant = storeFault(path, error)
      throw meant.code === 'store.failed' || meant.code === 'store.constraint'
        ? fault.migration_failed({ path, version: next, reason: (error as Error).message }, error)
        : error
    }
  }
}

function storeOver(database: DatabaseSync, { path, mode = fileMode }: StoreOptions, setAside: string | undefined): Store {
  const prepared = new Map<string, StatementSync>()
  const statement = (sql: string): StatementSync => {
    let found = prepared.get(sql)
    if (found) return found
    if (prepared.size >= maxPrepared) prepared.clear()
    prepared.set(sql, (found = database.prepare(sql)))
    return found
  }
  const attempt = <Result>(work: () => Result): Result => {
    try {
      return work()
    } catch (error) {
      throw (error as { code?: unknown }).code === 'ERR_SQLITE_ERROR' ? storeFault(path, error) : error
    }
  }
  return {
    path,
    setAside,
    run: (sql, ...values) =>
      attempt(() => {
        const { changes, lastInsertRowid } = statement(sql).run(...values)
        return { changes: Number(changes), lastId: Number(lastInsertRowid) }
      }),
    get: <Row>(sql: string, ...values: SqlValue[]) => attempt(() => statement(sql).get(...values) as Row | undefined),
    all: <Row>(sql: string, ...values: SqlValue[]) => attempt(() => statement(sql).all(...values) as Row[]),
    transaction: (work) =>
      attempt(() => {
        database.exec('BEGIN IMMEDIATE')
        try {
          const result = work()
          database.exec('COMMIT')
          return result
        } catch (error) {
          if (database.isTransaction) database.exec('ROLLBACK')
          throw error
        }
      }),
    backup: async (to) => {
      try {
        await backUp(database, to)
      } catch (error) {
        throw storeFault(to, error)
      }
    },
    close: () => {
      prepared.clear()
      if (!database.isOpen) return
      try {
        if (mode !== fileMode) database.exec('PRAGMA journal_mode = delete')
      } catch {
        // somebody reads it: the log stays
      }
      database.close()
    },
  }
}
