// The file that a ledger writes, which may be moved away under it, and those it has left but not yet synced.
import { closeSync, constants, existsSync, fstatSync, ftruncateSync, openSync, renameSync, statSync } from 'node:fs'
import { makeFolder } from '../../kernel/file.ts'
import type { Disk } from './disk.ts'
import { type Names, closedName } from './segments.ts'

export class ActiveFile {
  readonly #names: Names
  readonly #disk: Disk
  readonly #mode: number
  #file = -1
  #inode = 0
  #device = 0
  #retired: number[] = []
  #hasNewName = false
  #sizeBytes = 0

  constructor(names: Names, disk: Disk, mode: number) {
    this.#names = names
    this.#disk = disk
    this.#mode = mode
    this.#open()
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Whether the file still bears its name; if not, it is left, and the next `append` goes to a new one. One stat: 1 µs. */
  notice(): 'here' | 'moved' | 'deleted' {
    const stat = statSync(this.#names.active, { throwIfNoEntry: false })
    if (stat?.ino === this.#inode && stat.dev === this.#device) {
      this.#sizeBytes = stat.size // smaller than we left it, when somebody copied and emptied it
      return 'here'
    }
    const wasDeleted = fstatSync(this.#file).nlink === 0
    this.#leave()
    return wasDeleted ? 'deleted' : 'moved'
  }

  /** All the bytes or none: what a failed write left is cut off, or else the file is left. */
  append(bytes: Uint8Array): void {
    try {
      this.#disk.append(this.#file, bytes)
      this.#sizeBytes += bytes.length
    } catch (error) {
      this.#undo()
      throw error
    }
  }

  /** Goes on in a new file; this one gets its closed name. */
  beginSegment(): void {
    if (existsSync(this.#names.active) && statSync(this.#names.active).size > 0) renameSync(this.#names.active, closedName(this.#names))
    this.#leave()
  }

  /** Resolves when everything appended before this call survives a loss of power. One call at a time. */
  async sync(): Promise<void> {
    const retired = this.#retired.splice(0)
    const hasNewName = this.#hasNewName
    this.#hasNewName = false
    try {
      for (const file of [...retired, this.#file]) await this.#disk.sync(file)
      if (!hasNewName) return
      const folder = openSync(this.#names.folder, 'r')
      await this.#disk.sync(folder).finally(() => closeSync(folder))
    } catch (error) {
      this.#hasNewName ||= hasNewName
      throw error
    } finally {
      for (const file of retired) closeSync(file)
    }
  }

  /** After a failed sync nothing more can be known of this file: begins a new one and forgets it. */
  abandon(): void {
    const failed = this.#file
    this.beginSegment()
    this.#retired = this.#retired.filter((file) => file !== failed)
    closeSync(failed)
  }

  close(): void {
    for (const file of [...this.#retired.splice(0), this.#file]) closeSync(file)
  }

  /** Whoever clears old files away may take the empty folder, too. */
  #open(): void {
    makeFolder(this.#names.folder, this.#mode | ((this.#mode & 0o444) >> 2))
    this.#file = openSync(this.#names.active, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, this.#mode)
    const stat = fstatSync(this.#file)
    this.#inode = stat.ino
    this.#device = stat.dev
    this.#sizeBytes = stat.size
    this.#hasNewName = true
  }

  #leave(): void {
    const left = this.#file
    this.#open()
    this.#retired.push(left)
  }

  #undo(): void {
    try {
      if (fstatSync(this.#file).size > this.#sizeBytes) ftruncateSync(this.#file, this.#sizeBytes)
    } catch {
      this.beginSegment() // a torn end is left behind in a file of its own, where a verifier reports it
    }
  }
}
