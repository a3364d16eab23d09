// Copies databases of other programs while they use them: each as it stood at one moment, and not a byte of it changed.
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { DatabaseSync, backup } from 'node:sqlite'
import { storeFault } from './faults.ts'
import { databaseMagic } from './snapshot.ts'

/** How long a program that holds its database for itself is waited for: the whole process waits so long, so it is not much. */
const patienceMs = 1_000
const pagesAtOnce = 256

/** What lies beside a database, and is in the copy already. */
export const besideDatabase: readonly string[] = ['-wal', '-shm', '-journal']

/** Where the header says which journal there is: 2 is a write-ahead log (§1.3.3). */
const versionOffset = 18

/** Whether the file begins as databases do, and which journal it has; undefined for others, for links, and for what cannot be read. */
export function databaseKind(path: string): 'wal' | 'rollback' | undefined {
  let file: number | undefined
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK) // a pipe that nobody writes would hold us for ever
    const begin = Buffer.alloc(versionOffset + 1)
    const isWhole = readSync(file, begin, 0, begin.length, 0) === begin.length
    if (!isWhole || !begin.subarray(0, databaseMagic.length).equals(databaseMagic)) return undefined
    return begin[versionOffset] === 2 ? 'wal' : 'rollback'
  } catch {
    return undefined
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/**
 * Copies the database at `path`, which its program may be writing, to `to`. One read transaction holds from beginning to end, so that no writer makes it begin anew; with a
 * rollback journal writers wait for that long. Unlike `snapshotStore` it marks nothing: the file is another's. Faults: `store.busy`, `.damaged`, `.full`, `.failed`.
 */
export async function copyDatabase(path: string, to: string): Promise<void> {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: patienceMs })
    database.exec('BEGIN')
    database.prepare('SELECT count(*) FROM sqlite_schema').get() // the transaction begins with the first read
    await backup(database, to, { rate: pagesAtOnce })
  } catch (error) {
    throw storeFault(path, error)
  } finally {
    database?.close()
  }
}
