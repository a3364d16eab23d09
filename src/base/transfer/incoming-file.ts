// A file that comes in: appended piece by piece to its part, hashed on the way, what an earlier attempt left included.
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { reasonOf } from '../../kernel/fault.ts'
import { fault } from './faults.ts'
import type { FileFacts } from './outgoing-file.ts'

/** Held in memory, and as much again that is being written. */
const batchBytes = 1 << 20
/** Read and hashed at once when an attempt goes on. */
const hashBytes = 256 << 10
/** Written to the disk itself whenever this much is new, while more arrives: else all of it would wait at the end. */
const syncBytes = 32 << 20

/** Where the part of a file lies, and how it ends there. */
export type PartEnds = {
  /** Removes the part. */
  readonly remove: () => void
  /** Gives the whole part its final name, and returns that. */
  readonly settle: (name: string) => string
  /** Called once when the part is let go of, in any way. */
  readonly released: () => void
}

export class IncomingFile {
  readonly #file: FileHandle
  readonly #path: string
  readonly #facts: FileFacts
  readonly #ends: PartEnds
  readonly #hash = createHash('sha256')
  #batch: Uint8Array[] = []
  #batchedBytes = 0
  #heldBytes: number
  #unsyncedBytes = 0
  readonly #hashing: Promise<void>
  #writing: Promise<void> = Promise.resolve()
  #syncing: Promise<void> = Promise.resolve()
  #isOpen = true

  /** `heldBytes`: how much of it an earlier attempt left in `file`. */
  constructor(file: FileHandle, path: string, facts: FileFacts, heldBytes: number, ends: PartEnds) {
    this.#file = file
    this.#path = path
    this.#facts = facts
    this.#heldBytes = heldBytes
    this.#ends = ends
    this.#hashing = this.#hashHeld()
    this.#hashing.catch(() => {}) // met by the next write
  }

  /** Bytes from its beginning that are in its part: an attempt that is cut off goes on from here. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Takes the next bytes, which are its own from now on; resolves when there is room for more. Faults: `transfer.too_long`, `.no_room`, `.unwritable`. */
  async write(piece: Uint8Array): Promise<void> {
    const { sizeBytes } = this.#facts
    if (this.#heldBytes + this.#batchedBytes + piece.length > sizeBytes) throw fault.too_long({ sizeBytes })
    await this.#hashing
    this.#hash.update(piece) // piece by piece: a whole batch at once would hold up all else in the process
    this.#batch.push(piece)
    this.#batchedBytes += piece.length
    if (this.#batchedBytes >= batchBytes) await this.#begin()
  }

  /**
   * When all of it has arrived: checks the SHA-256, makes it survive a loss of power, and only then gives it its name, or the next free one. Returns that. Faults:
   * `transfer.damaged` (the part is gone then), those of `write` and of `settle`.
   */
  async finish(name: string): Promise<string> {
    await this.#hashing
    await this.#begin()
    await this.#writing
    const found = this.#hash.digest('hex')
    if (found !== this.#facts.sha256) {
      await this.discard()
      throw fault.damaged({ expected: this.#facts.sha256, found })
    }
    await this.#syncing
    await this.#file.sync().catch((error: unknown) => this.#failed(error))
    const stored = this.#ends.settle(name)
    await this.#release()
    return stored
  }

  /** Lets go of it; its part stays, for another attempt. */
  async close(): Promise<void> {
    if (!this.#isOpen) return
    await this.#begin().catch(() => {})
    await this.#writing.catch(() => {})
    await this.#release()
  }

  /** Lets go of it, and of its part. */
  async discard(): Promise<void> {
    if (!this.#isOpen) return
    await this.#writing.catch(() => {})
    this.#ends.remove()
    await this.#release()
  }

  async #release(): Promise<void> {
    this.#isOpen = false
    await this.#hashing.catch(() => {})
    await this.#syncing.catch(() => {})
    await this.#file.close()
    this.#ends.released()
  }

  async #hashHeld(): Promise<void> {
    const piece = Buffer.allocUnsafe(Math.min(hashBytes, this.#heldBytes))
    const end = this.#heldBytes
    for (let at = 0; at < end && this.#isOpen;) {
      const most = Math.min(piece.length, end - at)
      const { bytesRead } = await this.#file.read(piece, 0, most, at).catch((error: unknown) => this.#failed(error))
      if (bytesRead === 0) throw fault.unwritable({ path: this.#path, reason: 'somebody else cut it off' })
      this.#hash.update(piece.subarray(0, bytesRead))
      at += bytesRead
    }
  }

  /** Waits for the batch before, and starts to write this one. */
  async #begin(): Promise<void> {
    await this.#writing
    if (this.#batchedBytes === 0) return
    const batch = this.#batch
    this.#batch = []
    this.#writing = this.#append(batch, this.#batchedBytes)
    this.#batchedBytes = 0
    this.#writing.catch(() => {})
  }

  async #append(batch: Uint8Array[], sizeBytes: number): Promise<void> {
    const at = this.#heldBytes
    this.#heldBytes += sizeBytes
    try {
      await this.#writeAll(batch, at)
    } catch (error) {
      this.#heldBytes = at
      throw error
    }
    this.#unsyncedBytes += sizeBytes
    if (this.#unsyncedBytes < syncBytes) return
    this.#unsyncedBytes = 0
    this.#syncing = this.#syncing.then(() => this.#file.datasync()).catch((error: unknown) => this.#failed(error))
    this.#syncing.catch(() => {}) // met by finish()
  }

  async #writeAll(batch: Uint8Array[], from: number): Promise<void> {
    let at = from
    for (let left = batch; left.length > 0;) {
      const { bytesWritten } = await this.#file.writev(left, at).catch((error: unknown) => this.#failed(error))
      at += bytesWritten
      left = after(left, bytesWritten)
    }
  }

  #failed(error: unknown): never {
    const reason = reasonOf(error)
    if (isFull(reason)) throw fault.no_room({ folder: this.#path, needsBytes: this.#facts.sizeBytes - this.#heldBytes }, error)
    throw fault.unwritable({ path: this.#path, reason }, error)
  }
}

/** What the system says when a disk, or what this user may have of it, is full. */
export function isFull(reason: string): boolean {
  return reason === 'ENOSPC' || reason === 'EDQUOT'
}

/** What is left when the first `count` bytes are gone. */
function after(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  const left: Uint8Array[] = []
  let gone = count
  for (const piece of pieces) {
    if (gone < piece.length) left.push(piece.subarray(gone))
    gone = Math.max(0, gone - piece.length)
  }
  return left
}
