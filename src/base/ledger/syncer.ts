// Carries what was written to where it survives a loss of power, in rounds for all who wait, and notes beside the ledger how far it is.
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import type { Clock } from '../../kernel/clock.ts'
import { type Fault, reasonOf } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { ActiveFile } from './active-file.ts'
import { fault } from './faults.ts'
import type { Place } from './line.ts'
import { type Names, watermarkPath, watermarkText } from './segments.ts'

export type Waiter = { readonly place: Place; readonly resolve: (place: Place) => void; readonly reject: (fault: Fault) => void }

export type SyncerNeeds = {
  readonly names: Names
  readonly active: ActiveFile
  readonly clock: Clock
  readonly log: Log
  /** The last entry in the file. */
  written(): Place
  /** A sync failed: the entries from `from` to `to` may be lost with the power, and the file is not to be trusted. */
  failed(from: number, to: number): void
}

/** `marksIn`: mode of the file that notes the last synced entry; undefined: there is none. */
export type SyncerOptions = { readonly syncEveryMs: number; readonly marksIn: number | undefined }

export class Syncer {
  readonly #needs: SyncerNeeds
  readonly #syncEveryMs: number
  readonly #watermark: number | undefined
  #synced: Place
  #markedSeq = 0
  #isDirty = false
  #isClosed = false
  #round: Promise<void> | undefined
  #waiting: Waiter[] = []
  #cancelLater: (() => void) | undefined

  constructor(needs: SyncerNeeds, { syncEveryMs, marksIn }: SyncerOptions) {
    this.#needs = needs
    this.#syncEveryMs = syncEveryMs
    this.#synced = needs.written()
    if (marksIn !== undefined) this.#watermark = openSync(watermarkPath(needs.names), constants.O_WRONLY | constants.O_CREAT, marksIn)
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Something was written: it is synced at once when somebody waits for it, else within its time. */
  wrote(waiters: readonly Waiter[]): void {
    this.#isDirty = true
    this.#waiting.push(...waiters)
    if (this.#waiting.length > 0) this.#begin()
    else this.#later()
  }

  /** The chain begins anew. */
  restart(place: Place): void {
    this.#synced = place
  }

  /** Resolves when what is written has been synced, or that has failed. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelLater?.()
    for (this.#begin(); this.#round; this.#begin()) await this.#round
    this.#mark()
    if (this.#watermark !== undefined) closeSync(this.#watermark)
  }

  #later(): void {
    if (this.#isClosed) return
    this.#cancelLater ??= this.#needs.clock.after(this.#syncEveryMs, () => {
      this.#cancelLater = undefined
      this.#begin()
      this.#mark()
    })
  }

  #begin(): void {
    if (this.#round || !this.#isDirty) return
    this.#round = this.#run().finally(() => {
      this.#round = undefined
      if (this.#waiting.length > 0) this.#begin()
    })
  }

  /** One sync for all who wait now; who comes meanwhile takes the next. */
  async #run(): Promise<void> {
    const waiting = this.#waiting
    const upTo = this.#needs.written()
    this.#waiting = []
    this.#isDirty = false
    try {
      await this.#needs.active.sync()
      this.#synced = upTo
      for (const { resolve, place } of waiting) resolve(place)
      this.#later()
    } catch (error) {
      this.#fail(waiting, upTo, error)
    }
  }

  /** The kernel may have dropped what it could not write, and would say nothing the next time. */
  #fail(waiting: readonly Waiter[], upTo: Place, error: unknown): void {
    const { names, log } = this.#needs
    const reason = reasonOf(error)
    const from = this.#synced.seq + 1
    log.error('ledger.sync_failed', { path: names.active, reason, from, to: upTo.seq })
    this.#synced = upTo
    const notSynced = fault.not_synced({ path: names.active, reason }, error)
    for (const { reject } of waiting) reject(notSynced)
    if (!this.#isClosed) this.#needs.failed(from, upTo.seq)
  }

  /** Lets a cut end be told from a torn one. Never ahead of the disk. */
  #mark(): void {
    if (this.#watermark === undefined || this.#synced.seq === this.#markedSeq || this.#synced.seq === 0) return
    try {
      writeSync(this.#watermark, watermarkText(this.#synced), 0)
      this.#markedSeq = this.#synced.seq
    } catch (error) {
      this.#needs.log.warn('ledger.not_marked', { path: this.#needs.names.active, reason: reasonOf(error) })
    }
  }
}
