// Copies of a database that stays in use: whole, checked and synced, by SQLite's own backup.
import { closeSync, fsyncSync, openSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, backup } from 'node:sqlite'
import { makeFolder, removeFile, syncFolder } from '../../kernel/file.ts'
import { hasForeignLog, markCopy } from './belonging.ts'
import { fault, storeFault } from './faults.ts'

export const fileMode = 0o600
const busyTimeoutMs = 5_000

/** How every database file begins (https://www.sqlite.org/fileformat.html §1.3). */
export const databaseMagic = Buffer.from('SQLite format 3\0', 'latin1')

/**
 * Copies the database at `path`, which another process may be writing meanwhile, to `to`. Put back by a plain copy, it never meets an old log.
 * Faults: `store.damaged`, `store.busy`, `store.full`, `store.failed`.
 */
export async function snapshotStore(path: string, to: string): Promise<void> {
  if (hasForeignLog(path)) throw fault.damaged({ path, reason: 'the write-ahead log beside it was written for another file' })
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs })
    await backUp(database, to)
  } catch (error) {
    throw storeFault(path, error)
  } finally {
    database?.close()
  }
}

/** Copies an open database. Throws what SQLite and the file system throw. */
export async function backUp(database: DatabaseSync, to: string): Promise<void> {
  const partial = `${to}.partial`
  makeFolder(dirname(to))
  removeFile(partial)
  try {
    closeSync(openSync(partial, 'wx', fileMode))
    await backup(database, partial)
    const copy = new DatabaseSync(partial)
    try {
      markCopy(copy)
      const check = copy.prepare('PRAGMA quick_check(1)').get() as { quick_check: string }
      if (check.quick_check !== 'ok') throw new Error(`the copy is damaged: ${check.quick_check}`)
    } finally {
      copy.close()
    }
    const file = openSync(partial, 'r+')
    try {
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(partial, to)
    syncFolder(dirname(to))
  } catch (error) {
    removeFile(partial)
    throw error
  }
}
