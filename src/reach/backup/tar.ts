// The archive inside a backup: plain files in the ustar format (POSIX.1-2001, pax utility), so that every tar opens it; nothing else of tar is read.
import { fault } from '../faults.ts'

/** `name`: relative, with `/` between its parts. */
export type ArchiveFile = { readonly name: string; readonly bytes: Uint8Array; readonly modifiedAt: number }

const blockBytes = 512
/** Files in one archive. */
export const maxFiles = 100_000
const maxDepth = 8

/** What is wrong with the name of a file in an archive, if anything is. It must lead nowhere but into the folder it is restored to. */
export function nameProblem(name: string): string | undefined {
  const parts = name.split('/')
  if (parts.length > maxDepth) return 'it is nested too deep'
  if (parts.some((part) => part === '' || part.startsWith('.'))) return 'a part of it is empty, or begins with a dot'
  if (/[\p{C}\\]/u.test(name)) return 'it has a control character or a backslash'
  return split(name) ? undefined : 'it is too long'
}

/** The header's two fields: 100 bytes, and up to 155 that come before a `/`. */
function split(name: string): { prefix: string; last: string } | undefined {
  if (Buffer.byteLength(name) <= 100) return { prefix: '', last: name }
  for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) {
    const [prefix, last] = [name.slice(0, at), name.slice(at + 1)]
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(last) <= 100) return { prefix, last }
  }
  return undefined
}

/** The archive of these files, whose names were checked. */
export function packTar(files: readonly ArchiveFile[]): Uint8Array {
  const parts = files.flatMap(({ name, bytes, modifiedAt }) => [
    header(name, bytes.length, modifiedAt),
    bytes,
    Buffer.alloc(-bytes.length & (blockBytes - 1)),
  ])
  return Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)])
}

function header(name: string, sizeBytes: number, modifiedAt: number): Buffer {
  const { prefix, last } = split(name)!
  const block = Buffer.alloc(blockBytes)
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0')
  block.write(last, 0)
  block.write(`${octal(0o600, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100)
  block.write(`${octal(sizeBytes, 11)}\0${octal(Math.max(0, Math.floor(modifiedAt / 1_000)), 11)}\0`, 124)
  block.write('        0', 148)
  block.write('ustar\x0000', 257)
  block.write(prefix, 345)
  block.write(`${octal(sum(block), 6)}\0 `, 148)
  return block
}

function sum(block: Uint8Array): number {
  return block.reduce((total, byte) => total + byte, 0)
}

/** The files of an archive, as parts of `bytes`. Fault `reach.backup_invalid` for anything that `packTar` does not write. */
export function unpackTar(bytes: Uint8Array): ArchiveFile[] {
  const archive = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const taken = new Map<string, 'file' | 'folder'>()
  const files: ArchiveFile[] = []
  let at = 0
  for (;;) {
    const block = archive.subarray(at, at + blockBytes)
    if (block.length < blockBytes) throw fault.backup_invalid({ problem: 'the archive in it is cut off' })
    if (block.every((byte) => byte === 0)) break
    const file = read(archive, at, block)
    const folders = foldersOf(file.name)
    if (taken.has(file.name) || folders.some((folder) => taken.get(folder) === 'file'))
      throw fault.backup_invalid({ problem: `"${file.name}" is in it twice` })
    taken.set(file.name, 'file')
    for (const folder of folders) taken.set(folder, 'folder')
    if (files.length >= maxFiles) throw fault.backup_invalid({ problem: `more than ${maxFiles} files` })
    files.push(file)
    at += blockBytes + Math.ceil(file.bytes.length / blockBytes) * blockBytes
  }
  if (archive.length !== at + 2 * blockBytes || archive.subarray(at).some((byte) => byte !== 0))
    throw fault.backup_invalid({ problem: 'something follows the archive in it' })
  return files
}

/** `a` and `a/b` of `a/b/c`. */
function foldersOf(name: string): string[] {
  return name
    .split('/')
    .slice(0, -1)
    .map((_, i, parts) => parts.slice(0, i + 1).join('/'))
}

function read(archive: Buffer, at: number, block: Buffer): ArchiveFile {
  const text = (from: number, length: number): string => {
    const field = block.subarray(from, from + length)
    const end = field.indexOf(0)
    return field.toString('utf8', 0, end < 0 ? length : end)
  }
  const number = (from: number, length: number): number => {
    const digits = text(from, length).trimEnd()
    if (!/^[0-7]+$/.test(digits)) throw fault.backup_invalid({ problem: `no archive at byte ${at}` })
    return Number.parseInt(digits, 8)
  }
  const checked = Buffer.from(block)
  checked.fill(' ', 148, 156)
  if (text(257, 6) !== 'ustar' || number(148, 8) !== sum(checked)) throw fault.backup_invalid({ problem: `no archive at byte ${at}` })
  const name = text(345, 155) === '' ? text(0, 100) : `${text(345, 155)}/${text(0, 100)}`
  if (block[156] !== 0x30) throw fault.backup_invalid({ problem: `"${name}" is no plain file` })
  const problem = nameProblem(name)
  if (problem) throw fault.backup_invalid({ problem: `a file in it is named "${name}": ${problem}` })
  const start = at + blockBytes
  const end = start + number(124, 12)
  if (end > archive.length) throw fault.backup_invalid({ problem: 'the archive in it is cut off' })
  return { name, bytes: archive.subarray(start, end), modifiedAt: number(136, 12) * 1_000 }
}
