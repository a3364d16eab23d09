// Whole folders, taken to another place and put back: what each thing in it is, with a hash, and no link ever followed, be it put there meanwhile.
import { createHash } from 'node:crypto'
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, lchown, lstat, mkdir, open, readdir, readlink, rm, statfs, symlink } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { reasonOf } from '../../kernel/fault.ts'
import { besideDatabase, copyDatabase, databaseKind } from '../store/copy.ts'
import { beneath, openFolder, openFolderIn } from './beneath.ts'
import { fault } from './faults.ts'
import { partsOf } from './rooted.ts'

/** Things in one tree. */
export const maxTreeItems = 500_000
const maxDepth = 64
const pieceBytes = 1 << 20

/** Something in a tree. `path`: relative to it, with `/` between its parts. */
export type TreeItem = {
  readonly path: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** ms since 1970 */
  readonly modifiedAt: number
} & (
  | { readonly is: 'file'; readonly sizeBytes: number; readonly sha256: string }
  | { readonly is: 'folder' }
  | { readonly is: 'link'; readonly target: string }
)

export type TakenTree = {
  /** Folders before what is in them. */
  readonly items: readonly TreeItem[]
  /** Databases that were copied as they stood at one moment. */
  readonly databases: readonly string[]
  /** What was left out (a socket, a pipe), or taken only as it was lying there (a file that was written meanwhile): with the reason. */
  readonly remarks: readonly { readonly path: string; readonly remark: string }[]
}

type Visited = { readonly path: string; readonly name: string; readonly folder: FileHandle; readonly stat: BigIntStats }

/** How many bytes its files have. Faults: those of `takeTree`. */
export async function treeBytes(root: string, leaveOut: readonly string[] = []): Promise<number> {
  let sizeBytes = 0
  await visitTree(root, leaveOut, async ({ stat }) => {
    if (stat.isFile()) sizeBytes += Number(stat.size)
  })
  return sizeBytes
}

/** Fault `transfer.no_room` when the disk of `folder` has not so many bytes left. */
export async function needRoom(folder: string, needsBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize < needsBytes) throw fault.no_room({ folder, needsBytes })
}

/**
 * Copies all that is in `root`, which others may be writing, to `to`, a new folder of ours. SQLite databases are copied by SQLite. `leaveOut` names things right in `root`. Folders of the copy
 * have mode 0700: the items hold theirs. Faults: `transfer.missing`, `.unreadable`, `.too_many_items`, `.no_room`, `.unwritable`, `store.busy`, `store.full`.
 */
export async function takeTree(
  root: string,
  to: string,
  { leaveOut = [], onBytes = () => {} }: { readonly leaveOut?: readonly string[]; readonly onBytes?: (sizeBytes: number) => void } = {},
): Promise<TakenTree> {
  const items: TreeItem[] = []
  const databases = new Set<string>()
  const remarks: { path: string; remark: string }[] = []
  const visit = async ({ path, name, folder, stat }: Visited): Promise<void> => {
    const facts = {
      path,
      mode: Number(stat.mode & 0o777n),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      modifiedAt: Number(stat.mtimeMs),
    }
    const target = join(to, path)
    if (stat.isDirectory()) {
      await mkdir(target, 0o700).catch(unwritable(to, path))
      items.push({ ...facts, is: 'folder' })
    } else if (stat.isSymbolicLink()) {
      const text = await readlink(beneath(folder, name))
      await symlink(text, target).catch(unwritable(to, path))
      items.push({ ...facts, is: 'link', target: text })
    } else if (!stat.isFile()) remarks.push({ path, remark: 'left out: no file' })
    else if (!besideDatabase.some((suffix) => path.endsWith(suffix) && databases.has(path.slice(0, -suffix.length)))) {
      const found = await takeFile(folder, name, stat, { source: join(root, path), target })
      if (found.isDatabase) databases.add(path)
      if (found.remark !== undefined) remarks.push({ path, remark: found.remark })
      items.push({ ...facts, is: 'file', sizeBytes: found.sizeBytes, sha256: found.sha256 })
      onBytes(found.sizeBytes)
    }
  }
  await visitTree(root, leaveOut, visit, (path) => remarks.push({ path, remark: 'left out: its name is no text' }))
  return { items, databases: [...databases], remarks }
}

/**
 * Makes the items anew right in `into`, of the files below `from`, each checked by its hash. Who is not root owns what it makes; how many items had other owners is told.
 * Faults: `transfer.outside`, `.missing`, `.no_file`, `.damaged`, `.in_the_way`, `.no_room`, `.unwritable`.
 */
export async function putTree(
  from: string,
  items: readonly TreeItem[],
  into: string,
  onBytes: (sizeBytes: number) => void = () => {},
): Promise<{ readonly otherOwners: number }> {
  const { uid: ownUid } = userInfo()
  let otherOwners = 0
  for (const item of items) {
    await using source = await parentOf(from, item.path)
    await using target = await parentOf(into, item.path)
    const path = beneath(target.folder, target.name)
    try {
      if (item.is === 'folder') await mkdir(path, 0o700)
      else if (item.is === 'link') await symlink(item.target, path)
      else await putFile(beneath(source.folder, source.name), path, item)
      if (ownUid === 0) await lchown(path, item.uid, item.gid)
      else if (item.uid !== ownUid) otherOwners++
    } catch (error) {
      return unwritable(into, item.path)(error)
    }
    if (item.is === 'file') onBytes(item.sizeBytes)
  }
  for (const item of items.toReversed()) {
    if (item.is !== 'folder') continue
    await using target = await parentOf(into, item.path)
    const folder = await openFolderIn(target.folder, target.name).catch(unwritable(into, item.path))
    try {
      await folder.sync()
      await folder.utimes(new Date(item.modifiedAt), new Date(item.modifiedAt))
      await folder.chmod(item.mode)
    } finally {
      await folder.close()
    }
  }
  return { otherOwners }
}

async function visitTree(
  root: string,
  leaveOut: readonly string[],
  visit: (visited: Visited) => Promise<void>,
  onNameless: (path: string) => void = () => {},
): Promise<void> {
  let count = 0
  const within = async (folder: FileHandle, at: string, depth: number): Promise<void> => {
    const names = (await readdir(beneath(folder, '.'))).sort() // a database before what lies beside it
    for (const name of names) {
      if (at === '' && leaveOut.includes(name)) continue
      const path = `${at}${name}`
      if (/[\p{Cc}\ufffd]/u.test(name)) {
        onNameless(path) // not UTF-8, or made to mislead: it could not be named again
        continue
      }
      if (++count > maxTreeItems || depth > maxDepth) throw fault.too_many_items({ folder: root, most: maxTreeItems, depth: maxDepth })
      try {
        const stat = await lstat(beneath(folder, name), { bigint: true })
        await visit({ path, name, folder, stat })
        if (!stat.isDirectory()) continue
        await using next = await openFolderIn(folder, name)
        await within(next, `${path}/`, depth + 1)
      } catch (error) {
        if (reasonOf(error) === 'ENOENT') continue // gone since it was listed
        throw (error as Error).name === 'Fault' ? error : fault.unreadable({ path: join(root, path), reason: reasonOf(error) }, error)
      }
    }
  }
  await using folder = await openFolder(root).catch((error: unknown) => {
    throw reasonOf(error) === 'ENOENT'
      ? fault.missing({ path: root }, error)
      : fault.unreadable({ path: root, reason: reasonOf(error) }, error)
  })
  await within(folder, '', 1)
}

type TakenBytes = { readonly sizeBytes: number; readonly sha256: string }
type TakenFile = TakenBytes & { readonly isDatabase?: true; readonly remark?: string }

async function takeFile(
  folder: FileHandle,
  name: string,
  stat: BigIntStats,
  { source, target }: { readonly source: string; readonly target: string },
): Promise<TakenFile> {
  const plain = () => takePlain(beneath(folder, name), target, stat)
  const kind = databaseKind(beneath(folder, name))
  if (kind === undefined) {
    const { isChanged, ...taken } = await plain()
    return isChanged ? { ...taken, remark: 'it was written meanwhile' } : taken
  }
  // One with a write-ahead log that nobody has open is taken as it lies there: SQLite would leave files of ours beside it, which its own program may not be able to use.
  const isResting = async (): Promise<boolean> => kind === 'wal' && (await lstat(`${source}-wal`).catch(() => undefined)) === undefined
  if (await isResting()) {
    const { isChanged, ...taken } = await plain()
    if (!isChanged && (await isResting())) return { ...taken, isDatabase: true }
    await rm(target)
  }
  const copied = await takeDatabase(source, target, stat)
  if (copied) return { ...copied, isDatabase: true }
  const { isChanged, ...taken } = await plain()
  return { ...taken, remark: `SQLite cannot read it as a database: copied as it is${isChanged ? ', and it was written meanwhile' : ''}` }
}

async function takePlain(path: string, target: string, { mode }: BigIntStats): Promise<TakenBytes & { readonly isChanged: boolean }> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  const before = await file.stat({ bigint: true })
  if (!before.isFile()) throw fault.changed({ path: target })
  const taken = await copyBytes(file, target, Number(mode & 0o777n) | 0o600)
  const after = await file.stat({ bigint: true })
  return { ...taken, isChanged: after.mtimeNs !== before.mtimeNs || after.size !== before.size }
}

/** By SQLite; undefined when that cannot read it. SQLite takes a path: the file at it is the one that was found, before and after. Faults `transfer.changed`, `store.busy`, `store.full`. */
async function takeDatabase(source: string, target: string, stat: BigIntStats): Promise<TakenBytes | undefined> {
  const same = async (): Promise<void> => {
    const now = await lstat(source, { bigint: true }).catch(() => undefined)
    if (now?.ino !== stat.ino || now.dev !== stat.dev) throw fault.changed({ path: source })
  }
  await same()
  try {
    await copyDatabase(source, target)
  } catch (error) {
    const { code } = error as { code?: string }
    if (code !== 'store.damaged' && code !== 'store.failed') throw error
    await rm(target, { force: true })
    return undefined
  }
  await same()
  await using copy = await open(target, constants.O_RDWR | constants.O_NOFOLLOW)
  await copy.chmod(Number(stat.mode & 0o777n) | 0o600)
  await copy.sync()
  return await hashOf(copy) // before it is closed
}

async function putFile(source: string, path: string, { sha256, mode, modifiedAt }: Extract<TreeItem, { is: 'file' }>): Promise<void> {
  const file = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error: unknown) => {
    throw reasonOf(error) === 'ENOENT'
      ? fault.missing({ path: source }, error)
      : fault.no_file({ path: source, what: reasonOf(error) }, error)
  })
  try {
    if (!(await file.stat()).isFile()) throw fault.no_file({ path: source, what: 'no plain file' })
    const put = await copyBytes(file, path, mode, modifiedAt)
    if (put.sha256 !== sha256) throw fault.damaged({ expected: sha256, found: put.sha256 })
  } finally {
    await file.close()
  }
}

/** To a new file, synced. What grows meanwhile is read to its end. */
async function copyBytes(
  from: FileHandle,
  to: string,
  mode: number,
  modifiedAt?: number,
): Promise<{ readonly sizeBytes: number; readonly sha256: string }> {
  const target = await open(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
  try {
    const found = await hashOf(from, async (piece) => {
      for (let at = 0; at < piece.length;) at += (await target.write(piece, at)).bytesWritten
    })
    await target.chmod(mode)
    if (modifiedAt !== undefined) await target.utimes(new Date(modifiedAt), new Date(modifiedAt))
    await target.sync()
    return found
  } finally {
    await target.close()
  }
}

async function hashOf(
  file: FileHandle,
  onPiece: (piece: Buffer) => Promise<void> = async () => {},
): Promise<{ readonly sizeBytes: number; readonly sha256: string }> {
  const hash = createHash('sha256')
  const piece = Buffer.allocUnsafe(pieceBytes)
  let sizeBytes = 0
  for (;;) {
    const { bytesRead } = await file.read(piece, 0, piece.length, sizeBytes)
    if (bytesRead === 0) return { sizeBytes, sha256: hash.digest('hex') }
    hash.update(piece.subarray(0, bytesRead))
    await onPiece(piece.subarray(0, bytesRead))
    sizeBytes += bytesRead
  }
}

/** The open folder that the last part of the path is in; no folder on the way is a link. Faults: `transfer.outside`, `.in_the_way`. */
async function parentOf(root: string, path: string): Promise<AsyncDisposable & { readonly folder: FileHandle; readonly name: string }> {
  const parts = partsOf(path)
  let folder = await openFolder(root)
  for (const part of parts.slice(0, -1)) {
    const next = await openFolderIn(folder, part).catch((error: unknown) => error as Error)
    await folder.close()
    if (next instanceof Error) throw fault.in_the_way({ path: part, what: 'a link, or no folder' }, next)
    folder = next
  }
  return { folder, name: parts.at(-1)!, [Symbol.asyncDispose]: () => folder.close() }
}

function unwritable(root: string, path: string): (error: unknown) => never {
  return (error) => {
    if ((error as Error).name === 'Fault') throw error
    const reason = reasonOf(error)
    throw reason === 'ENOSPC' || reason === 'EDQUOT'
      ? fault.no_room({ folder: root, needsBytes: 0 }, error)
      : fault.unwritable({ path: join(root, path), reason }, error)
  }
}
