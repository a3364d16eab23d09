// Files below one folder, and nowhere else: every part of a path is opened from the one before, without following a link, so that a link put there meanwhile leads nowhere.
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, rename, statfs, unlink } from 'node:fs/promises'
import { reasonOf } from '../../kernel/fault.ts'
import { randomId } from '../../kernel/random.ts'
import { beneath, openFolder, openFolderIn } from './beneath.ts'
import { fault } from './faults.ts'
import type { FileFacts } from './outgoing-file.ts'

const maxParts = 64
const maxPartBytes = 255
const pieceBytes = 256 << 10

/** The parts of a relative path. Fault `transfer.outside`: absolute, with `..`, empty, NUL or control characters, too long. */
export function partsOf(path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  const problem = path.startsWith('/')
    ? 'it is absolute'
    : parts.includes('..')
      ? 'it leads upwards'
      : /\p{Cc}/u.test(path)
        ? 'it holds control characters'
        : parts.length === 0 || path.endsWith('/')
          ? 'it names no file'
          : parts.length > maxParts || parts.some((part) => Buffer.byteLength(part) > maxPartBytes)
            ? 'it is too long'
            : undefined
  if (problem !== undefined) throw fault.outside({ path, problem })
  return parts
}

/** `sha256` may be known only when all of it has come. */
export type StoredFile = Pick<FileFacts, 'sizeBytes'> & { readonly sha256: string | Promise<string>; readonly mode: number }

/**
 * Puts a file at `path` below `root` as one step, over what is there: whole, with the right hash, synced, with `mode` (of 0o777), owned by this user. Folders on the way
 * are made (0750). Faults: `transfer.outside`, `.in_the_way`, `.no_room`, `.too_long`, `.damaged`, `.unwritable`.
 */
export async function storeBelow(
  root: string,
  path: string,
  { sizeBytes, sha256, mode }: StoredFile,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  const { folder, name } = await walk(root, path, true)
  const part = beneath(folder, `.${randomId(9)}.part`)
  try {
    const target = await lstat(beneath(folder, name)).catch(() => undefined)
    if (target?.isDirectory()) throw fault.in_the_way({ path, what: 'a folder' })
    const { bavail, bsize } = await statfs(root)
    if (bavail * bsize < sizeBytes) throw fault.no_room({ folder: root, needsBytes: sizeBytes })
    const file = await open(part, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
    try {
      const hash = createHash('sha256')
      let held = 0
      for await (const piece of bytes) {
        held += piece.length
        if (held > sizeBytes) throw fault.too_long({ sizeBytes })
        hash.update(piece)
        await writeAll(file, piece)
      }
      const found = hash.digest('hex')
      const expected = await sha256
      if (found !== expected) throw fault.damaged({ expected, found })
      await file.chmod(mode & 0o777)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(part, beneath(folder, name))
    await folder.sync()
  } catch (error) {
    await unlink(part).catch(() => {})
    const reason = reasonOf(error)
    if ((error as Error).name === 'Fault') throw error
    throw reason === 'ENOSPC' || reason === 'EDQUOT'
      ? fault.no_room({ folder: root, needsBytes: sizeBytes }, error)
      : fault.unwritable({ path, reason }, error)
  } finally {
    await folder.close()
  }
}

async function writeAll(file: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.length;) at += (await file.write(piece, at)).bytesWritten
}

export type FoundFile = { readonly sizeBytes: number; readonly mode: number; readonly uid: number; readonly gid: number }

/**
 * Reads the file at `path` below `root`: `onFound` first, then its bytes, in pieces of at most 256 KiB; resolves with their SHA-256. What grows meanwhile is read up to the size that
 * it had. Faults: `transfer.outside`, `.missing`, `.no_file`, `.unreadable`, `.changed`.
 */
export async function readBelow(
  root: string,
  path: string,
  onFound: (found: FoundFile) => unknown,
  onPiece: (piece: Uint8Array) => unknown,
): Promise<{ readonly sha256: string }> {
  const { folder, name } = await walk(root, path, false)
  let file: FileHandle | undefined
  try {
    file = await open(beneath(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const stat = await file.stat()
    if (!stat.isFile()) throw fault.no_file({ path, what: stat.isDirectory() ? 'a folder' : 'no plain file' })
    await onFound({ sizeBytes: stat.size, mode: stat.mode & 0o777, uid: stat.uid, gid: stat.gid })
    const hash = createHash('sha256')
    for (let at = 0; at < stat.size;) {
      const piece = Buffer.allocUnsafe(Math.min(pieceBytes, stat.size - at)) // its own: who takes it may keep it
      const { bytesRead } = await file.read(piece, 0, piece.length, at)
      if (bytesRead === 0) throw fault.changed({ path })
      at += bytesRead
      hash.update(piece.subarray(0, bytesRead))
      await onPiece(piece.subarray(0, bytesRead))
    }
    return { sha256: hash.digest('hex') }
  } catch (error) {
    const reason = reasonOf(error)
    if (reason === 'ENOENT') throw fault.missing({ path }, error)
    if (reason === 'ELOOP') throw fault.no_file({ path, what: 'a symbolic link' })
    if (reason === 'EACCES' || reason === 'EPERM') throw fault.unreadable({ path, reason }, error)
    throw error
  } finally {
    await file?.close()
    await folder.close()
  }
}

/** The open folder that the last part of the path is in. */
async function walk(root: string, path: string, isMade: boolean): Promise<{ folder: FileHandle; name: string }> {
  const parts = partsOf(path)
  let folder = await openFolder(root).catch((error: unknown) => {
    throw fault.missing({ path: root }, error)
  })
  for (const part of parts.slice(0, -1)) {
    try {
      const next = beneath(folder, part)
      if (isMade) await mkdir(next, 0o750).catch((error: unknown) => reasonOf(error) === 'EEXIST' || Promise.reject(error as Error))
      const opened = await openFolderIn(folder, part)
      await folder.close()
      folder = opened
    } catch (error) {
      await folder.close()
      const reason = reasonOf(error)
      if (reason === 'ENOENT') throw fault.missing({ path }, error)
      // Linux says ENOTDIR of a link that is opened with both flags
      throw reason === 'ELOOP' || reason === 'ENOTDIR'
        ? fault.in_the_way({ path: part, what: 'a link, or no folder' }, error)
        : fault.unwritable({ path, reason }, error)
    }
  }
  return { folder, name: parts.at(-1)! }
}
