// Tells whether a write-ahead log belongs to the database file beside it, and sets aside what does not, or what is damaged.
//
// SQLite replays any well-formed `-wal` into the file of that name, even when the file was replaced by a backup meanwhile, and its integrity
// check finds nothing. So the file carries a random mark (SQLite's application id, bytes 68 to 71), renewed whenever we open it, and a small
// file beside it (`<name>-mark`) remembers which mark the present log was written for. Our backups get a mark of their own.
import { closeSync, openSync, readSync, renameSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { readText, removeFile, statOf, writeWhole } from '../../kernel/file.ts'
import { randomBytes } from '../../kernel/random.ts'

const markOffset = 68

function freshMark(): number {
  return Buffer.from(randomBytes(4)).readUInt32BE() & 0x7fff_ffff || 1
}

function markInFile(path: string): number | undefined {
  if ((statOf(path)?.size ?? 0) < markOffset + 4) return undefined
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(4)
    readSync(file, bytes, 0, 4, markOffset)
    return bytes.readUInt32BE()
  } finally {
    closeSync(file)
  }
}

/** Whether `<path>-wal` holds anything and was written for another file than `path`. A log without a known mark gets the benefit of the doubt. */
export function hasForeignLog(path: string): boolean {
  if ((statOf(`${path}-wal`)?.size ?? 0) === 0) return false
  const inFile = markInFile(path)
  if (inFile === undefined) return true
  const remembered = readText(`${path}-mark`)
  return remembered !== undefined && Number(remembered) !== inFile
}

/** Gives a database without connections but this one a new mark; returns false, with no mark remembered, when a reader keeps the log from being emptied. */
export function renewMark(database: DatabaseSync, path: string): boolean {
  removeFile(`${path}-mark`) // while neither the old nor the new mark is sure, none is remembered
  const mark = freshMark()
  database.exec(`PRAGMA application_id = ${mark}`)
  const { busy } = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number }
  if (busy !== 0) return false
  writeWhole(`${path}-mark`, `${mark}\n`)
  return true
}

/** Marks a finished copy as a file of its own, so that no log of the original is ever replayed into it. */
export function markCopy(database: DatabaseSync): void {
  database.exec(`PRAGMA journal_mode = delete; PRAGMA application_id = ${freshMark()}`)
}

/** Renames `<path><suffix>` for each suffix to `<path>.damaged-<utc><suffix>` and returns the name without suffix. */
export function moveAside(path: string, suffixes: readonly string[], nowMs: number): string {
  const utc = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  let aside = `${path}.damaged-${utc}`
  for (let again = 2; suffixes.some((suffix) => statOf(`${aside}${suffix}`)); again++) aside = `${path}.damaged-${utc}.${again}`
  for (const suffix of suffixes) {
    if (statOf(`${path}${suffix}`)) renameSync(`${path}${suffix}`, `${aside}${suffix}`)
  }
  return aside
}
