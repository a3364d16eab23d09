// A pair of wires joined in memory: the whole contract without an operating system, for tests and for parts that live in one process.
import type { Frame } from './frame.ts'
import type { Sink, Wire, WireEnd } from './wire.ts'

const maxQueued = 64

class MemoryWire implements Wire {
  other!: MemoryWire
  readonly ended: Promise<WireEnd>
  #end!: (end: WireEnd) => void
  #isOver = false
  #into: Sink | undefined
  #queue: Frame[] = []
  #isPumping = false
  #waiters: (() => void)[] = []

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  write(frame: Frame): boolean {
    if (this.#isOver) return true
    return this.other.#arrive(frame)
  }

  room(): Promise<void> {
    if (this.#isOver || this.other.#queue.length < maxQueued) return Promise.resolve()
    return new Promise((resolve) => this.other.#waiters.push(resolve))
  }

  read(into: Sink): void {
    this.#into = into
    void this.#pump()
  }

  async close(): Promise<void> {
    this.#finish({ why: 'closed' })
    await this.other.#drained()
    this.other.#finish({ why: 'eof' })
  }

  #arrive(frame: Frame): boolean {
    this.#queue.push(frame)
    void this.#pump()
    return this.#queue.length < maxQueued
  }

  async #pump(): Promise<void> {
    if (this.#isPumping || !this.#into) return
    this.#isPumping = true
    await Promise.resolve()
    for (let frame = this.#queue.shift(); frame; frame = this.#queue.shift()) {
      if (!this.#into.write(frame)) await this.#into.room()
      if (this.#queue.length < maxQueued) this.#wake()
    }
    this.#isPumping = false
    this.#wake()
  }

  async #drained(): Promise<void> {
    while (!this.#isOver && this.#into && (this.#queue.length > 0 || this.#isPumping)) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve))
    }
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter()
  }

  #finish(end: WireEnd): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#wake()
    this.#end(end)
  }
}

/** Two wires: what is written to one is read from the other. */
export function memoryWires(): [Wire, Wire] {
  const left = new MemoryWire()
  const right = new MemoryWire()
  left.other = right
  right.other = left
  return [left, right]
}
