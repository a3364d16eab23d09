// The frames of one side that the other has not acknowledged: what to send next, what to send again, and when to stop.
import type { ByteBudget } from '../../wire/budget.ts'
import { windowBytes, windowFrames } from './message.ts'

export class Outbox {
  /** `#frames[0]` has the number `#first`; up to `sent` they are on this channel, up to `top` they were on any. */
  #frames: Uint8Array[] = []
  #first = 1
  #flightBytes = 0
  #waiters: (() => void)[] = []
  /** Bytes of all frames here, sent or not. */
  sizeBytes = 0
  sent = 0
  top = 0
  readonly #budget: ByteBudget | undefined

  /** What waits here counts against the budget. */
  constructor(budget?: ByteBudget) {
    this.#budget = budget
  }

  get count(): number {
    return this.#frames.length
  }

  /** The number of the newest frame, 0 before the first. */
  get last(): number {
    return this.#first + this.#frames.length - 1
  }

  /** Writers should wait. */
  get isFull(): boolean {
    return this.sizeBytes >= windowBytes || this.#frames.length >= windowFrames
  }

  /** Resolves when writers need not wait any more: at half, so that they do not wake for every frame. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  /** Lets every writer go on. */
  wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter()
  }

  push(bytes: Uint8Array): void {
    this.#frames.push(bytes)
    this.sizeBytes += bytes.length
    this.#budget?.hold(bytes.length)
  }

  /** The next frame for this channel, counted as sent, or undefined when there is none or the other side's window is full. Its number is `sent`. */
  next(): Uint8Array | undefined {
    if (this.sent >= this.last || this.#flightBytes >= windowBytes || this.sent - this.#first + 1 >= windowFrames) return undefined
    const bytes = this.#frames[++this.sent - this.#first]!
    this.top = Math.max(this.top, this.sent)
    this.#flightBytes += bytes.length
    return bytes
  }

  /** Forgets every frame up to `ack`, and wakes the writers when there is room. */
  release(ack: number): void {
    const count = Math.min(ack - this.#first + 1, this.#frames.length)
    if (count <= 0) return
    let sizeBytes = 0
    for (const bytes of this.#frames.splice(0, count)) sizeBytes += bytes.length
    this.#first += count
    this.sizeBytes -= sizeBytes
    this.#flightBytes -= sizeBytes
    this.#budget?.give(sizeBytes)
    if (this.sizeBytes <= windowBytes / 2 && this.#frames.length <= windowFrames / 2) this.wake()
  }

  /** On a new channel: what the other side has `seen` is not sent again, the rest is; false when that cannot be. */
  rewind(seen: number, ack: number): boolean {
    if (ack > seen || seen > this.top || seen < this.#first - 1) return false
    this.#flightBytes = 0
    for (let i = 0; i <= seen - this.#first; i++) this.#flightBytes += this.#frames[i]!.length
    this.sent = seen
    this.release(ack)
    return true
  }

  clear(): void {
    this.#frames = []
    this.#budget?.give(this.sizeBytes)
    this.sizeBytes = 0
    this.wake()
  }
}
