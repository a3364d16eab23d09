// Reads and writes of whole files, safe against a stop at any moment: a reader sees the old file or the new one, never a part.
import {
  type Stats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import { cp } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { faults, reasonOf } from './fault.ts'
import { randomId } from './random.ts'

const fault = faults('file', {
  unreadable: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `cannot read ${d.path}: ${d.reason}`,
    hint: 'check that it is a plain file, and that this user may read it',
  }),
  unwritable: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `cannot write ${d.path}: ${d.reason}`,
    hint: 'check that this user may write its folder, and that there is room on the disk',
  }),
})

/** The file's text (UTF-8), or undefined when there is no such file. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (reasonOf(error) === 'ENOENT') return undefined
    throw fault.unreadable({ path, reason: reasonOf(error) }, error)
  }
}

/** What is known of a path, or undefined when nothing is there. */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw fault.unreadable({ path, reason: reasonOf(error) }, error)
  }
}

/** A text that differs whenever the file may have changed: written, replaced, removed. */
export function changeMark(path: string): string {
  const stat = statOf(path)
  return stat ? [stat.ino, stat.size, stat.mtimeMs, stat.ctimeMs].join(' ') : 'missing'
}

/** Makes the folder and its parents; folders that this call makes get `mode`. */
export function makeFolder(path: string, mode = 0o700): void {
  try {
    makeWithParents(path, mode)
  } catch (error) {
    throw fault.unwritable({ path, reason: reasonOf(error) }, error)
  }
}

/** Node's `recursive` never ends below /proc, where a folder that is there says ENOENT of all that is to be made in it. */
function makeWithParents(path: string, mode: number): void {
  try {
    return mkdirSync(path, { mode })
  } catch (error) {
    if (reasonOf(error) !== 'ENOENT') return throwUnlessFolder(path, error)
  }
  const parent = dirname(path)
  if (parent !== path) makeWithParents(parent, mode)
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    throwUnlessFolder(path, error) // somebody else may have made it
  }
}

function throwUnlessFolder(path: string, error: unknown): void {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error
}

/** Replaces the file as one step: written beside it, synced, renamed over it, the folder synced. With `owner`, which only root may give, its mode does not heed the umask. */
export function writeWhole(path: string, content: string | Uint8Array, mode = 0o600, owner?: Pick<Stats, 'uid' | 'gid'>): void {
  const beside = join(dirname(path), `.${randomId(6)}.tmp`)
  try {
    const file = openSync(beside, 'wx', mode)
    try {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
      if (owner) {
        fchownSync(file, owner.uid, owner.gid)
        fchmodSync(file, mode)
      }
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(beside, path)
    syncFolder(dirname(path))
  } catch (error) {
    rmSync(beside, { force: true })
    throw fault.unwritable({ path, reason: reasonOf(error) }, error)
  }
}

/** Puts a file in another's place, or under a new name in the same file system, as one step. */
export function moveFile(from: string, to: string): void {
  try {
    renameSync(from, to)
    syncFolder(dirname(to))
  } catch (error) {
    throw fault.unwritable({ path: to, reason: reasonOf(error) }, error)
  }
}

/** Makes `path` a symbolic link to `target`, as one step: a link that is there led elsewhere before, and nothing lies between. */
export function pointLink(path: string, target: string): void {
  const beside = join(dirname(path), `.${randomId(6)}.tmp`)
  try {
    symlinkSync(target, beside)
    renameSync(beside, path)
    syncFolder(dirname(path))
  } catch (error) {
    rmSync(beside, { force: true })
    throw fault.unwritable({ path, reason: reasonOf(error) }, error)
  }
}

/** Makes renames and new names in the folder survive a loss of power. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Moves what is at `from` to `to` on the same file system as one step; a file that is there is replaced. */
export function movePath(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    throw fault.unwritable({ path: to, reason: reasonOf(error) }, error)
  }
}

/** Removes a folder with all that is in it, if it is there. */
export function removeFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true })
  } catch (error) {
    throw fault.unwritable({ path, reason: reasonOf(error) }, error)
  }
}

/** Copies a folder with all that is in it, modes and links as they are, to `to`, which must not be there. Shares the blocks where the file system can. */
export async function copyFolder(from: string, to: string): Promise<void> {
  try {
    await cp(from, to, { recursive: true, verbatimSymlinks: true, errorOnExist: true, force: false, mode: constants.COPYFILE_FICLONE })
  } catch (error) {
    throw fault.unwritable({ path: to, reason: reasonOf(error) }, error)
  }
}

/** Removes a file if it is there. */
export function removeFile(path: string): void {
  rmSync(path, { force: true })
}

/** Sets who may use what is at `path`. */
export function setMode(path: string, mode: number): void {
  try {
    chmodSync(path, mode)
  } catch (error) {
    throw fault.unwritable({ path, reason: reasonOf(error) }, error)
  }
}

/** Gives what is at `path` to a group (its number); the owner stays. */
export function setGroup(path: string, group: number): void {
  try {
    chownSync(path, -1, group)
  } catch (error) {
    throw fault.unwritable({ path, reason: reasonOf(error) }, error)
  }
}
