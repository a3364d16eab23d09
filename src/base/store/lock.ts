// One writer per folder: a SQLite file held exclusively, which the operating system lets go of when its holder dies, SIGKILL included.
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { makeFolder, statOf } from '../../kernel/file.ts'
import { fault, storeFault } from './faults.ts'

/** Being the writer of a folder, until `release()`; releasing twice does nothing. */
export interface FolderLock extends Disposable {
  release(): void
}

/**
 * Becomes the writer of `folder`, or throws `store.locked` at once. `name` tells apart locks of parts that share a folder: the file is `<name>.lock`.
 * Held as long as the returned object is reachable and not released. The process must not open that file in any other way: POSIX drops a
 * process's locks on a file when it closes any descriptor of it.
 */
export function lockFolder(folder: string, name = 'fairlead'): FolderLock {
  makeFolder(folder)
  const path = join(folder, `${name}.lock`)
  let database: DatabaseSync | undefined
  try {
    if (!statOf(path)) closeSync(openSync(path, 'a', 0o600)) // not readable by others: they could hold a shared lock against us
    database = new DatabaseSync(path, { timeout: 0 })
    database.exec('PRAGMA journal_mode = memory; BEGIN EXCLUSIVE') // a journal in a file would need room, and the disk may be full
  } catch (error) {
    database?.close()
    const meant = storeFault(path, error)
    throw meant.code === 'store.busy' ? fault.locked({ folder }, error) : meant
  }
  const held = database
  const release = (): void => {
    if (held.isOpen) held.close()
  }
  return { release, [Symbol.dispose]: release }
}
