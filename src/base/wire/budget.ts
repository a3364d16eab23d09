// How many bytes of messages a process may hold at once, in whatever queue or half-read line they are: so that many large ones cannot eat the machine.

/** Small messages are not worth refusing: what they may add up to is bounded by how many there may be. */
export const freeBytes = 64 << 10

const standardBytes = 256 << 20

export class ByteBudget {
  readonly maxBytes: number
  #heldBytes = 0

  constructor(maxBytes = standardBytes) {
    this.maxBytes = maxBytes
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Where a message comes in: false when it must be refused, which no small one is. What was taken is given back. */
  take(sizeBytes: number): boolean {
    if (sizeBytes > freeBytes && this.#heldBytes + sizeBytes > this.maxBytes) return false
    this.#heldBytes += sizeBytes
    return true
  }

  /** Counts what is in the process already, and moves on within it. */
  hold(sizeBytes: number): void {
    this.#heldBytes += sizeBytes
  }

  give(sizeBytes: number): void {
    this.#heldBytes -= sizeBytes
  }
}

/** What one place holds of the budget: it grows, and is given back as a whole. Without a budget it has room for anything. */
export class Share {
  readonly #budget: ByteBudget | undefined
  sizeBytes = 0

  constructor(budget: ByteBudget | undefined) {
    this.#budget = budget
  }

  /** Makes the share this large; false, and unchanged, when there is no room. */
  grow(toBytes: number): boolean {
    const moreBytes = toBytes - this.sizeBytes
    if (moreBytes <= 0 || toBytes <= freeBytes) return true
    if (this.#budget && this.#budget.heldBytes + moreBytes > this.#budget.maxBytes) return false
    this.#budget?.hold(moreBytes)
    this.sizeBytes = toBytes
    return true
  }

  giveAll(): void {
    if (this.sizeBytes > 0) this.#budget?.give(this.sizeBytes)
    this.sizeBytes = 0
  }
}
