// The frames of the other side that our reader has not taken: handed over in order, held while it is full, counted until they are acknowledged.
import type { Clock } from '../../../kernel/clock.ts'
import type { ByteBudget } from '../../wire/budget.ts'
import type { Frame } from '../../wire/frame.ts'
import type { Sink } from '../../wire/wire.ts'
import { windowBytes, windowFrames } from './message.ts'

/** Acknowledge at once after this much, and else after a moment: by then a frame of ours has most often carried it along. */
const ackFrames = windowFrames / 4
const ackBytes = windowBytes / 4
const ackMs = 20

/** `isOurs`: made on this side for our own reader (an error for what could not be sent); it has no number. No frame: one that was read past, but has a number. */
type Waiting = { readonly frame: Frame | undefined; readonly isOurs: boolean }

export class Inbox {
  /** The last frame that came. */
  seen = 0
  /** The last frame that our reader took. */
  consumed = 0
  /** Bytes that wait for our reader. */
  sizeBytes = 0
  readonly #clock: Clock
  readonly #budget: ByteBudget | undefined
  readonly #onAckDue: () => void
  readonly #onEmpty: () => void
  #waiting: Waiting[] = []
  #into: Sink | undefined
  #isBlocked = false
  /** The last frame that the other side was told is taken. */
  #acked = 0
  #unackedBytes = 0
  #isAckSoon = false

  /** `onAckDue`: an acknowledgement has waited long enough for something that carries it along; `onEmpty`: nothing waits for our reader any more. */
  constructor(clock: Clock, onAckDue: () => void, onEmpty: () => void, budget?: ByteBudget) {
    this.#clock = clock
    this.#budget = budget
    this.#onAckDue = onAckDue
    this.#onEmpty = onEmpty
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** The other side should have waited. */
  get isFull(): boolean {
    return this.sizeBytes >= windowBytes || this.#waiting.length >= windowFrames
  }

  read(into: Sink): void {
    this.#into = into
    this.#deliver()
  }

  push(frame: Frame | undefined, isOurs = false): void {
    this.#waiting.push({ frame, isOurs })
    if (!isOurs) {
      const sizeBytes = frame?.bytes.length ?? 0
      this.seen++
      this.sizeBytes += sizeBytes
      this.#budget?.hold(sizeBytes)
    }
    this.#deliver()
  }

  /** What was consumed so far is acknowledged with what leaves now. */
  acknowledge(): number {
    this.#acked = this.consumed
    this.#unackedBytes = 0
    return this.consumed
  }

  /** Reads no more: what waits and what still comes counts as taken, so that the other side's end can come through. */
  discard(): void {
    this.#into = { write: () => true, room: () => Promise.resolve() }
    this.#isBlocked = false
    this.#deliver()
  }

  #deliver(): void {
    while (!this.#isBlocked && this.#into && this.#waiting.length > 0) {
      const into = this.#into
      const { frame, isOurs } = this.#waiting.shift()!
      if (!isOurs) this.#consume(frame?.bytes.length ?? 0)
      if (!frame || into.write(frame)) continue
      this.#isBlocked = true
      void into.room().then(() => {
        if (into !== this.#into) return
        this.#isBlocked = false
        this.#deliver()
      })
    }
    if (this.isEmpty) this.#onEmpty()
  }

  #consume(sizeBytes: number): void {
    this.consumed++
    this.sizeBytes -= sizeBytes
    this.#budget?.give(sizeBytes)
    this.#unackedBytes += sizeBytes
    if (this.consumed - this.#acked >= ackFrames || this.#unackedBytes >= ackBytes) this.#onAckDue()
    else if (!this.#isAckSoon) this.#ackSoon()
  }

  /** One timer for many frames: those whose acknowledgement was carried along when it fires need nothing more. */
  #ackSoon(): void {
    const { consumed } = this
    this.#isAckSoon = true
    this.#clock.after(ackMs, () => {
      this.#isAckSoon = false
      if (this.#acked < consumed) this.#onAckDue()
      else if (this.#acked < this.consumed) this.#ackSoon()
    })
  }
}
