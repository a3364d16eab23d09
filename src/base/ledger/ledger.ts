// The writer of a ledger: a chain of lines in files that only grow, one write per turn of the event loop, synced on demand and each second.
import type { Clock } from '../../kernel/clock.ts'
import { type Fault, asFault, reasonOf } from '../../kernel/fault.ts'
import { makeFolder } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { type FolderLock, lockFolder } from '../store/lock.ts'
import { ActiveFile } from './active-file.ts'
import { type Disk, systemDisk } from './disk.ts'
import { fault } from './faults.ts'
import { type Place, genesis, seal } from './line.ts'
import { recover } from './recover.ts'
import { fillReserve, releaseReserve } from './reserve.ts'
import { type Names, listSegments, namesOf } from './segments.ts'
import { Syncer, type Waiter } from './syncer.ts'

/** `written` survives SIGKILL of this process, `synced` a loss of power. */
export type Durability = 'written' | 'synced'

/** What an entry says: an object, or for hot paths its members as JSON text without braces (`"event":"begin","tool":"read"`), which is not checked. */
type LedgerEntry = Readonly<Record<string, unknown>> | string

export interface Ledger {
  /** The number that the next entry gets. True until the next append. */
  readonly next: number
  /** The last entry in the file; number 0 before the first. */
  readonly last: Place
  /**
   * Adds an entry; it gets `seq`, `time`, `prev` and `hash`. Resolves when it is as durable as asked: until then nothing may be done that the entry stands
   * for. Faults: `ledger.unwritable`, `ledger.not_synced`, `ledger.closed`, `ledger.too_large`, `ledger.overloaded`. Costs 2 to 4 µs.
   */
  append(entry: LedgerEntry, durability?: Durability): Promise<Place>
  /** As `append`, for an entry that ends what an earlier one began: on a full disk it still goes through, as long as the reserve lasts. */
  conclude(entry: LedgerEntry, durability?: Durability): Promise<Place>
  /** Resolves when everything appended so far is synced. */
  sync(): Promise<void>
  /** Writes and syncs what is left, and lets go of the folder. */
  close(): Promise<void>
}

export type LedgerOptions = {
  readonly folder: string
  /** Name of the file that is written; full ones lie beside it. `ledger.jsonl` by default. */
  readonly file?: string
  /** Names the ledger, as in `gate.example/calls`: what its first entry is chained to. */
  readonly origin: string
  readonly clock: Clock
  readonly log: Log
  /** The file is closed and a new one begun above this; 64 MiB by default. */
  readonly maxSegmentBytes?: number
  /** What was only written is synced after so long; 1,000 by default. */
  readonly syncEveryMs?: number
  /** Kept free for the last words on a full disk; 256 KiB by default. */
  readonly reserveBytes?: number
  /** Of the files; 0o600 by default. */
  readonly mode?: number
  /** Its owner may delete it, and then a new chain begins. Otherwise a deletion leaves a gap that a verifier reports. */
  readonly mayBeDeleted?: boolean
  readonly disk?: Disk
}

type Pending = Waiter & { readonly durability: Durability }

const maxBodyLength = 65_536
const maxTextLength = 1 << 20
const maxWaiting = 65_536
const resumeEveryMs = 1_000
const reserved = ['seq', 'time', 'prev', 'hash', 'ledger']
const noSpace = new Set(['ENOSPC', 'EDQUOT'])

/** Becomes the writer of the ledger and puts in order what a stop left behind. Faults: `store.locked`, `ledger.unwritable`, `ledger.unreadable`. */
export function openLedger(options: LedgerOptions): Ledger {
  const names = namesOf(options.folder, options.file ?? 'ledger.jsonl')
  makeFolder(options.folder)
  const lock = lockFolder(options.folder, names.stem)
  try {
    return new LedgerWriter(names, options, lock)
  } catch (error) {
    lock.release()
    throw asFault(error).kind === 'bug' ? fault.unreadable({ path: names.active, reason: reasonOf(error) }, error) : error
  }
}

class LedgerWriter implements Ledger {
  readonly #names: Names
  readonly #options: LedgerOptions
  readonly #lock: FolderLock
  readonly #active: ActiveFile
  readonly #syncer: Syncer
  /** `full`: only conclusions; `broken`: nothing at all. Both are left when writing works again. */
  #state: 'open' | 'full' | 'broken' | 'closed' = 'open'
  #problem = ''
  #refused = 0
  /** The end of the chain as it is in the file, and as it will be when what is pending has been written. */
  #written: Place
  #sealedSeq: number
  #sealedHash: string
  #pending: Pending[] = []
  #text = ''
  #hasFlushComing = false
  #timeMs = Number.NaN
  #timeText = ''
  #cancelResume: (() => void) | undefined

  constructor(names: Names, options: LedgerOptions, lock: FolderLock) {
    this.#names = names
    this.#options = options
    this.#lock = lock
    const { last, note } = recover(names)
    this.#written = last ?? genesis(options.origin)
    this.#sealedSeq = this.#written.seq
    this.#sealedHash = this.#written.hash
    const mode = options.mode ?? 0o600
    this.#active = new ActiveFile(names, options.disk ?? systemDisk, mode)
    this.#syncer = new Syncer(
      {
        names,
        active: this.#active,
        clock: options.clock,
        log: options.log,
        written: () => this.#written,
        failed: (from, to) => this.#doubt(from, to),
      },
      { syncEveryMs: options.syncEveryMs ?? 1_000, marksIn: options.mayBeDeleted ? undefined : mode },
    )
    try {
      fillReserve(names, options.reserveBytes ?? 262_144)
    } catch (error) {
      this.#stop('full', error)
    }
    if (note) {
      options.log.error('ledger.recovered', { path: names.active, ...note })
      this.#addOwn({ ledger: 'recovered', ...note })
    }
  }

  get next(): number {
    return this.#sealedSeq + 1
  }

  get last(): Place {
    return this.#written
  }

  append(entry: LedgerEntry, durability: Durability = 'written'): Promise<Place> {
    return this.#state === 'open' ? this.#add(entry, durability) : this.#refuse()
  }

  conclude(entry: LedgerEntry, durability: Durability = 'written'): Promise<Place> {
    return this.#state === 'open' || this.#state === 'full' ? this.#add(entry, durability) : this.#refuse()
  }

  sync(): Promise<void> {
    this.#flush()
    if (this.#state === 'closed') return Promise.reject(fault.closed({ path: this.#names.active }))
    return new Promise((resolve, reject) => this.#syncer.wrote([{ place: this.#written, resolve: () => resolve(), reject }]))
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#flush()
    this.#state = 'closed'
    this.#cancelResume?.()
    await this.#syncer.close()
    this.#active.close()
    this.#lock.release()
  }

  // ---- adding

  #add(entry: LedgerEntry, durability: Durability): Promise<Place> {
    let body: string
    try {
      body = this.#bodyOf(entry)
      if (durability === 'synced' && this.#syncer.waiting >= maxWaiting) throw fault.overloaded({ path: this.#names.active, maxWaiting })
      if (this.#pending.length === 0) this.#notice()
    } catch (error) {
      return Promise.reject(asFault(error))
    }
    const now = this.#options.clock.now()
    if (now !== this.#timeMs) {
      this.#timeMs = now
      this.#timeText = new Date(now).toISOString()
    }
    const { line, hash } = seal(this.#sealedSeq + 1, this.#timeText, body, this.#sealedHash)
    const place = { seq: ++this.#sealedSeq, hash }
    this.#sealedHash = hash
    this.#text += line
    return new Promise((resolve, reject) => {
      this.#pending.push({ place, durability, resolve, reject })
      if (this.#text.length >= maxTextLength) this.#flush()
      else if (!this.#hasFlushComing) {
        this.#hasFlushComing = true
        // After the poll phase: what all sockets that were readable in this turn of the event loop asked for goes out in one write.
        setImmediate(() => {
          this.#hasFlushComing = false
          this.#flush()
        })
      }
    })
  }

  #bodyOf(entry: LedgerEntry): string {
    const path = this.#names.active
    let body: string
    if (typeof entry === 'string') {
      if (entry.includes('\n')) throw fault.bad_entry({ path, problem: 'a line feed in its text' })
      body = entry
    } else {
      for (const key of reserved)
        if (Object.hasOwn(entry, key)) throw fault.bad_entry({ path, problem: `the member "${key}" is the ledger's own` })
      body = JSON.stringify(entry).slice(1, -1)
    }
    if (body.length > maxBodyLength) throw fault.too_large({ path, maxLength: maxBodyLength })
    return body
  }

  /** An entry of the ledger itself, which nobody waits for. */
  #addOwn(members: Readonly<Record<string, unknown>>): void {
    if (this.#state !== 'closed') this.#add(JSON.stringify(members).slice(1, -1), 'written').catch(() => {})
  }

  #refuse(): Promise<never> {
    this.#refused++
    return Promise.reject(this.#state === 'closed' ? fault.closed({ path: this.#names.active }) : this.#unwritable())
  }

  #unwritable(cause?: unknown): Fault {
    return fault.unwritable({ path: this.#names.active, reason: this.#problem }, cause)
  }

  #notice(): void {
    try {
      const found = this.#active.notice()
      if (found === 'here') return
      this.#options.log.info('ledger.moved', { path: this.#names.active, found })
      if (found === 'deleted' && this.#options.mayBeDeleted && listSegments(this.#names).length === 0) {
        this.#chainTo(genesis(this.#options.origin))
        this.#syncer.restart(this.#written)
      }
    } catch (error) {
      this.#stop('broken', error)
      throw this.#unwritable(error)
    }
  }

  #chainTo(place: Place): void {
    this.#written = place
    this.#sealedSeq = place.seq
    this.#sealedHash = place.hash
  }

  // ---- writing

  #flush(): void {
    if (this.#pending.length === 0) return
    const batch = this.#pending
    const bytes = Buffer.from(this.#text)
    this.#pending = []
    this.#text = ''
    try {
      this.#write(bytes)
    } catch (error) {
      this.#stop('broken', error)
      this.#chainTo(this.#written)
      const unwritable = this.#unwritable(error)
      for (const { reject } of batch) reject(unwritable)
      return
    }
    this.#written = batch.at(-1)!.place
    const waiters: Waiter[] = []
    for (const pending of batch) {
      if (pending.durability === 'written') pending.resolve(pending.place)
      else waiters.push(pending)
    }
    if (this.#active.sizeBytes >= (this.#options.maxSegmentBytes ?? 1 << 26)) this.#rotate()
    this.#syncer.wrote(waiters)
  }

  /** Writes, and when that fails tries once more: with the room of the reserve on a full disk, in a new segment else. */
  #write(bytes: Uint8Array): void {
    try {
      this.#active.append(bytes)
    } catch (error) {
      this.#options.log.error('ledger.write_failed', { path: this.#names.active, reason: reasonOf(error) })
      if (!noSpace.has(reasonOf(error))) this.#active.beginSegment()
      else if (!releaseReserve(this.#names)) throw error
      this.#active.append(bytes)
      if (!noSpace.has(reasonOf(error))) return
      this.#stop('full', error)
      setImmediate(() => this.#addOwn({ ledger: 'full' }))
    }
  }

  #rotate(): void {
    try {
      this.#active.beginSegment()
    } catch (error) {
      this.#options.log.error('ledger.not_rotated', { path: this.#names.active, reason: reasonOf(error) })
    }
  }

  /** After a failed sync: a new segment, and a line that tells which entries may not be on the disk. */
  #doubt(from: number, to: number): void {
    try {
      this.#active.abandon()
      this.#addOwn({ ledger: 'unsynced', from, to })
    } catch (error) {
      this.#stop('broken', error)
    }
  }

  #stop(state: 'full' | 'broken', error: unknown): void {
    this.#state = state
    this.#problem = reasonOf(error)
    this.#options.log.error('ledger.unwritable', { path: this.#names.active, state, reason: this.#problem })
    this.#cancelResume?.()
    this.#cancelResume = this.#options.clock.after(resumeEveryMs, () => this.#resume())
  }

  /** Writing has begun again when a reserve could be made and the line that says so is written: if that fails, `#flush` stops again. */
  #resume(): void {
    try {
      fillReserve(this.#names, this.#options.reserveBytes ?? 262_144)
    } catch {
      this.#cancelResume = this.#options.clock.after(resumeEveryMs, () => this.#resume())
      return
    }
    const refused = this.#refused
    this.#refused = 0
    this.#state = 'open'
    this.#options.log.warn('ledger.resumed', { path: this.#names.active, refused })
    this.#addOwn({ ledger: 'resumed', refused })
  }
}
