// A file that goes out: opened once, described by its size and SHA-256, and read in pieces; a change meanwhile is found, not sent.
import { createHash } from 'node:crypto'
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename } from 'node:path'
import { reasonOf } from '../../kernel/fault.ts'
import { fault } from './faults.ts'

/** Read at once: memory that is held by a file on its way is a few of these. */
const pieceBytes = 1 << 20

export type FileFacts = {
  readonly sizeBytes: number
  /** 64 lower case hexadecimal digits. */
  readonly sha256: string
}

export interface OutgoingFile extends FileFacts {
  /** The last part of its path. */
  readonly name: string
  /** Its bytes from `offset` on; the next piece is read while one is used. Each piece belongs to whoever gets it. Fault `transfer.changed`. */
  pieces(offset: number): AsyncGenerator<Buffer, void, undefined>
  /** Fault `transfer.changed` if it is not what it was when it was opened. */
  check(): Promise<void>
  close(): Promise<void>
}

/** Opens a file and reads it once, for its SHA-256. Faults: `transfer.missing`, `.no_file`, `.unreadable`, `.changed`, and the reason of `signal`. */
export async function openOutgoing(path: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<OutgoingFile> {
  const unreadable = (error: unknown) =>
    reasonOf(error) === 'ENOENT' ? fault.missing({ path }, error) : fault.unreadable({ path, reason: reasonOf(error) }, error)
  // O_NONBLOCK: a named pipe that nobody writes would hold us for ever
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw unreadable(error)
  })
  try {
    const first = await file.stat({ bigint: true })
    if (!first.isFile()) throw fault.no_file({ path, what: first.isDirectory() ? 'a folder' : 'no plain file' })
    const sizeBytes = Number(first.size)
    const check = async (): Promise<void> => {
      if (!isSame(first, await file.stat({ bigint: true }))) throw fault.changed({ path })
    }
    const pieces = (offset: number) => piecesOf(file, offset, sizeBytes, () => fault.changed({ path }), unreadable)
    const sha256 = await hashOf(file, sizeBytes, signal).catch((error: unknown) => {
      throw signal?.aborted ? error : unreadable(error)
    })
    await check()
    return { name: basename(path), sizeBytes, sha256, pieces, check, close: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** All of it through one buffer; one that has become shorter is found by who looks next. */
async function hashOf(file: FileHandle, sizeBytes: number, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, sizeBytes))
  for (let at = 0; at < sizeBytes;) {
    signal?.throwIfAborted()
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, sizeBytes - at), at)
    if (bytesRead === 0) break
    hash.update(buffer.subarray(0, bytesRead))
    at += bytesRead
  }
  return hash.digest('hex')
}

function isSame(first: BigIntStats, now: BigIntStats): boolean {
  return first.size === now.size && first.mtimeNs === now.mtimeNs && first.ctimeNs === now.ctimeNs
}

async function* piecesOf(
  file: FileHandle,
  offset: number,
  end: number,
  changed: () => Error,
  unreadable: (error: unknown) => Error,
): AsyncGenerator<Buffer, void, undefined> {
  const readAt = async (at: number): Promise<Buffer> => {
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, end - at))
    const { bytesRead } = await file.read(piece, 0, piece.length, at).catch((error: unknown) => {
      throw unreadable(error)
    })
    if (bytesRead === 0) throw changed() // it ends before its end
    return piece.subarray(0, bytesRead)
  }
  let next = offset < end ? readAt(offset) : undefined
  for (let at = offset; next;) {
    const piece = await next
    at += piece.length
    next = at < end ? readAt(at) : undefined
    next?.catch(() => {}) // whoever takes no more pieces does not learn of it
    yield piece
  }
}
