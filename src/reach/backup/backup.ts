// What a backup holds: all that makes an identity what it is, as it stands at one moment, with a list by which a restore checks it. The format: spec/backup.md.
import { hash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { asFault, reasonOf } from '../../kernel/fault.ts'
import { makeFolder, removeFolder, statOf } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import type { WalletCard } from '../../base/identity/wallet.ts'
import { databaseMagic, snapshotStore } from '../../base/store/snapshot.ts'
import { type ArchiveFile, maxFiles, nameProblem, packTar, unpackTar } from './tar.ts'
import { fault } from '../faults.ts'

/** Of all files in a backup, and so of what may be read of one. */
export const maxBackupBytes = 256 << 20
const manifestName = 'fairlead-backup.json'
const maxTries = 5

export type LeftOut = { readonly name: string; readonly problem: string }
export type ListedFile = { readonly name: string; readonly sizeBytes: number; readonly sha256: string }

export type Manifest = {
  readonly backup: 1
  /** RFC 3339. */
  readonly madeAt: string
  readonly name: string
  readonly peerId: string
  readonly files: readonly ListedFile[]
  /** What is not in it, though it belongs to the identity. */
  readonly leftOut: readonly LeftOut[]
}

/** What belongs to the process that made it, or to a moment that is over; what was set aside; other backups. */
const passing = /^\.|(?:\.lock|\.sock|\.partial|\.tmp|\.reserve|\.age|-wal|-shm|-mark|-journal)$|\.damaged-/
/** Files that peers sent, which may be large and have places of their own; and what restores put aside. */
const elsewhere = /^(?:downloads|before-.*)$/

/** What of a home stays where it is when another one is put in its place. */
export function staysInPlace(name: string): boolean {
  return name.startsWith('.') || /\.(?:lock|sock)$/.test(name) || elsewhere.test(name)
}

type Found = { readonly name: string; readonly path: string; readonly rank: number }

/** Heads of ledgers come before the ledgers, so that none says more than its ledger; databases last, so that they remember every message that is in the inbox. */
function rankOf(path: string): number {
  if (path.endsWith('.head')) return 0
  const head = Buffer.alloc(databaseMagic.length)
  opened(path, (file) => readSync(file, head))
  return head.equals(databaseMagic) ? 2 : 1
}

type Read = { readonly bytes: Buffer; readonly inode: number; readonly modifiedAt: number }

function read(path: string): Read | undefined {
  return opened(path, (file) => {
    const { size, ino, mtimeMs } = fstatSync(file)
    if (size > maxBackupBytes) throw fault.backup_too_large({ sizeBytes: size, limitBytes: maxBackupBytes })
    return { bytes: readFileSync(file), inode: ino, modifiedAt: mtimeMs }
  })
}

/** Undefined when the file has gone meanwhile. */
function opened<Result>(path: string, use: (file: number) => Result): Result | undefined {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    if (reasonOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}

function filesIn(folder: string, leftOut: LeftOut[], below = ''): Found[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry): Found[] => {
    const name = below + entry.name
    const path = join(folder, entry.name)
    if (passing.test(entry.name) || (below === '' && elsewhere.test(entry.name)) || entry.isSocket()) return []
    const problem = nameProblem(name) ?? (entry.isFile() || entry.isDirectory() ? undefined : 'it is no plain file')
    if (problem) {
      leftOut.push({ name, problem })
      return []
    }
    return entry.isDirectory() ? filesIn(path, leftOut, `${name}/`) : [{ name, path, rank: rankOf(path) }]
  })
}

/** Up to the last whole line: another process may be writing one. */
function wholeLines(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1)
}

const ledgerStart = /^\{"seq":\d{1,16},"time":"/

/** Everything in `folder` at one moment, while it stays in use. The caller has its `backup` lock. Faults: `reach.backup_too_large`, `reach.backup_moving`. */
async function collect(folder: string): Promise<{ files: ArchiveFile[]; leftOut: LeftOut[] }> {
  const scratch = join(folder, `.backup-${randomId(6)}`)
  for (const name of readdirSync(folder)) if (name.startsWith('.backup-')) removeFolder(join(folder, name)) // of one that was killed
  makeFolder(scratch)
  try {
    for (let tries = 0; tries < maxTries; tries++) {
      const collected = await collectOnce(folder, scratch)
      if (collected) return collected
    }
    throw fault.backup_moving({ folder })
  } finally {
    removeFolder(scratch)
  }
}

/** Undefined when a ledger went on in a new file meanwhile: then the one before it may be missing. */
async function collectOnce(folder: string, scratch: string): Promise<{ files: ArchiveFile[]; leftOut: LeftOut[] } | undefined> {
  const leftOut: LeftOut[] = []
  const found = filesIn(folder, leftOut).sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1))
  if (found.length > maxFiles) throw fault.backup_invalid({ problem: `more than ${maxFiles} files` })
  const files: ArchiveFile[] = []
  const ledgers = new Map<string, number>()
  let sizeBytes = 0
  for (const { name, path, rank } of found) {
    const source = rank === 2 ? await snapshot(name, path, scratch, leftOut) : path
    const got = source === undefined ? undefined : read(source)
    if (!got) continue
    const isLedger = ledgerStart.test(got.bytes.toString('latin1', 0, 40))
    if (isLedger) ledgers.set(path, got.inode)
    const bytes = isLedger ? wholeLines(got.bytes) : got.bytes
    sizeBytes += bytes.length
    if (sizeBytes > maxBackupBytes) throw fault.backup_too_large({ sizeBytes, limitBytes: maxBackupBytes })
    files.push({ name, bytes, modifiedAt: got.modifiedAt })
  }
  const isStill = [...ledgers].every(([path, inode]) => statOf(path)?.ino === inode)
  return isStill ? { files, leftOut } : undefined
}

/** A copy of a database; a damaged one is left out, for the wallet beside it matters more. */
async function snapshot(name: string, path: string, scratch: string, leftOut: LeftOut[]): Promise<string | undefined> {
  const copy = join(scratch, `${randomId(6)}-${basename(path)}`)
  try {
    await snapshotStore(path, copy)
    return copy
  } catch (error) {
    leftOut.push({ name, problem: asFault(error).message })
    return undefined
  }
}

/** The archive of the identity in `folder`, and the list that is its first file. Faults: `reach.backup_too_large`, `reach.backup_moving`. */
export async function makeBackup(
  folder: string,
  { name, peerId }: WalletCard,
  now: number,
): Promise<{ readonly archive: Uint8Array; readonly manifest: Manifest }> {
  const { files, leftOut } = await collect(folder)
  const listed = files.map(({ name: file, bytes }) => ({ name: file, sizeBytes: bytes.length, sha256: hash('sha256', bytes, 'hex') }))
  const manifest: Manifest = { backup: 1, madeAt: new Date(now).toISOString(), name, peerId, files: listed, leftOut }
  const first = { name: manifestName, bytes: Buffer.from(`${JSON.stringify(manifest, undefined, 1)}\n`), modifiedAt: now }
  return { archive: packTar([first, ...files]), manifest }
}

/** Reads an archive and checks every file of it against its list; fault `reach.backup_invalid`. */
export function openBackup(archive: Uint8Array): { readonly manifest: Manifest; readonly files: readonly ArchiveFile[] } {
  const [first, ...files] = unpackTar(archive)
  if (first?.name !== manifestName) throw fault.backup_invalid({ problem: `it does not begin with ${manifestName}` })
  const manifest = readManifest(Buffer.from(first.bytes).toString('utf8'))
  if (files.length !== manifest.files.length) throw fault.backup_invalid({ problem: 'it holds other files than it lists' })
  for (const [i, { name, bytes }] of files.entries()) {
    const listed = manifest.files[i]!
    if (listed.name !== name || listed.sizeBytes !== bytes.length || listed.sha256 !== hash('sha256', bytes, 'hex'))
      throw fault.backup_invalid({ problem: `"${name}" is not as it is listed` })
    if (staysInPlace(name.split('/')[0]!)) throw fault.backup_invalid({ problem: `"${name}" has no place in one` })
  }
  if (!files.some(({ name }) => name === 'wallet.json')) throw fault.backup_invalid({ problem: 'there is no wallet in it' })
  return { manifest, files }
}

function readManifest(text: string): Manifest {
  const invalid = (cause?: unknown) => fault.backup_invalid({ problem: `its ${manifestName} cannot be understood` }, cause)
  let manifest: Partial<Manifest> | null
  try {
    manifest = JSON.parse(text) as Partial<Manifest> | null
  } catch (error) {
    throw invalid(error)
  }
  const isText = (value: unknown): value is string => typeof value === 'string'
  const isListed = (file: Partial<ListedFile> | null): boolean =>
    isText(file?.name) && isText(file.sha256) && Number.isSafeInteger(file.sizeBytes)
  const isLeftOut = (file: Partial<LeftOut> | null): boolean => isText(file?.name) && isText(file.problem)
  const { backup, madeAt, name, peerId, files, leftOut } = manifest ?? {}
  const isWhole = backup === 1 && isText(madeAt) && isText(name) && isText(peerId) && Array.isArray(files) && Array.isArray(leftOut)
  if (!isWhole || !files.every(isListed) || !leftOut.every(isLeftOut)) throw invalid()
  return manifest as Manifest
}
