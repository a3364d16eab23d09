// The tarball of an npm package, read and written in memory: nothing of it touches the disk before it is known to be what somebody signed.
import { gunzipSync, gzipSync } from 'node:zlib'
import { fault } from './faults.ts'

/** `path`: relative to the package, with `/` between its parts. */
export type PackedFile = { readonly path: string; readonly bytes: Uint8Array; readonly isExecutable: boolean }

export const maxTarballBytes = 256 << 20
const maxUnpackedBytes = 512 << 20
const maxFiles = 20_000
const blockBytes = 512
/** npm puts all that a package has into this folder of its tarball. */
const top = 'package/'

const plainName = /^(?:[A-Za-z0-9@_+-][A-Za-z0-9@._+-]*\/)*[A-Za-z0-9@_+-][A-Za-z0-9@._+-]*$/

/** Its files, by their paths. Plain files alone, under plain names: fault `update.bad_tarball` for all else. */
export function unpackTarball(tarball: Uint8Array): readonly PackedFile[] {
  const archive = unzipped(tarball)
  const files = new Map<string, PackedFile>()
  for (let at = 0; ;) {
    const block = archive.subarray(at, at + blockBytes)
    if (block.length < blockBytes) throw fault.bad_tarball({ problem: 'it is cut off' })
    if (block.every((byte) => byte === 0)) break
    const { name, sizeBytes, kind, mode } = header(block)
    const start = at + blockBytes
    if (start + sizeBytes > archive.length) throw fault.bad_tarball({ problem: 'it is cut off' })
    if (kind !== '0' && kind !== '\0') throw fault.bad_tarball({ problem: `"${name}" is no plain file` })
    const path = name.startsWith(top) ? name.slice(top.length) : ''
    if (!plainName.test(path)) throw fault.bad_tarball({ problem: `a file in it is named "${name.slice(0, 200)}"` })
    if (files.has(path)) throw fault.bad_tarball({ problem: `"${name}" is in it twice` })
    if (files.size >= maxFiles) throw fault.bad_tarball({ problem: `it has more than ${maxFiles} files` })
    files.set(path, { path, bytes: archive.subarray(start, start + sizeBytes), isExecutable: (mode & 0o100) !== 0 })
    at = start + Math.ceil(sizeBytes / blockBytes) * blockBytes
  }
  return [...files.values()]
}

function unzipped(tarball: Uint8Array): Buffer {
  if (tarball.length > maxTarballBytes) throw fault.bad_tarball({ problem: `it has more than ${maxTarballBytes} bytes` })
  try {
    return gunzipSync(tarball, { maxOutputLength: maxUnpackedBytes })
  } catch (error) {
    throw fault.bad_tarball(
      { problem: error instanceof RangeError ? `unpacked it has more than ${maxUnpackedBytes} bytes` : 'it is not gzip, or damaged' },
      error,
    )
  }
}

/** POSIX.1-2001, pax utility: the ustar header, which is what npm writes for names of up to 255 bytes. */
function header(block: Buffer): { readonly name: string; readonly sizeBytes: number; readonly kind: string; readonly mode: number } {
  const text = (from: number, length: number): string => block.toString('latin1', from, from + length).replace(/\0[\s\S]*$/, '')
  const number = (from: number, length: number): number => {
    const digits = text(from, length).trim()
    if (!/^[0-7]{1,11}$/.test(digits)) throw fault.bad_tarball({ problem: 'a header in it cannot be read' })
    return Number.parseInt(digits, 8)
  }
  const checked = Buffer.from(block)
  checked.fill(' ', 148, 156)
  if (text(257, 5) !== 'ustar' || number(148, 8) !== checked.reduce((sum, byte) => sum + byte, 0))
    throw fault.bad_tarball({ problem: 'a header in it cannot be read' })
  const prefix = text(345, 155)
  return {
    name: prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`,
    sizeBytes: number(124, 12),
    kind: block.toString('latin1', 156, 157),
    mode: number(100, 8),
  }
}

/** The tarball of these files, as npm would publish it; the same files give the same bytes. */
export function packTarball(files: readonly PackedFile[]): Uint8Array {
  const parts = files.flatMap(({ path, bytes, isExecutable }) => [
    headerOf(`${top}${path}`, bytes.length, isExecutable ? 0o755 : 0o644),
    bytes,
    Buffer.alloc(-bytes.length & (blockBytes - 1)),
  ])
  return gzipSync(Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)]))
}

function headerOf(name: string, sizeBytes: number, mode: number): Buffer {
  const cut = name.length <= 100 ? -1 : name.indexOf('/', name.length - 101)
  if (cut > 155 || (name.length > 100 && cut < 0)) throw fault.bad_tarball({ problem: `a file in it is named "${name.slice(0, 200)}"` })
  const block = Buffer.alloc(blockBytes)
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0')
  block.write(name.slice(cut + 1), 0, 'latin1')
  block.write(`${octal(mode, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0${octal(sizeBytes, 11)}\0${octal(0, 11)}\0        0`, 100)
  block.write('ustar\x0000', 257)
  block.write(name.slice(0, Math.max(0, cut)), 345, 'latin1')
  block.write(
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0 `,
    148,
  )
  return block
}
