// Room set aside for the last words on a full disk: a file that is given up when a write finds no space.
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { removeFile, statOf } from '../../kernel/file.ts'
import { randomBytes } from '../../kernel/random.ts'
import type { Names } from './segments.ts'

function pathOf({ folder, stem }: Names): string {
  return join(folder, `${stem}.reserve`)
}

/** Makes the reserve if it is not there. Throws when there is not twice its room, so that a disk that is nearly full does not come and go. */
export function fillReserve(names: Names, sizeBytes: number): void {
  const path = pathOf(names)
  if (statOf(path)?.size === sizeBytes) return
  const file = openSync(path, 'w', 0o600)
  try {
    const bytes = randomBytes(2 * sizeBytes) // no file system can make these smaller
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
    ftruncateSync(file, sizeBytes)
  } catch (error) {
    removeFile(path)
    throw error
  } finally {
    closeSync(file)
  }
}

/** Gives up the reserve; false when there was none. */
export function releaseReserve(names: Names): boolean {
  if (!statOf(pathOf(names))) return false
  removeFile(pathOf(names))
  return true
}
