// What may be used in a minute: it fills steadily up to a bound, and may be owed.

export const minuteMs = 60_000

export class Bucket {
  readonly #perMinute: number
  readonly #most: number
  #left: number
  #atMs: number

  constructor(perMinute: number, most: number, nowMs: number) {
    this.#perMinute = perMinute
    this.#most = most
    this.#left = most
    this.#atMs = nowMs
  }

  /** Milliseconds until `needed` are there; 0: they are. */
  waitMs(needed: number, nowMs: number): number {
    this.#left = Math.min(this.#most, this.#left + ((nowMs - this.#atMs) * this.#perMinute) / minuteMs)
    this.#atMs = nowMs
    return this.#left >= needed ? 0 : ((needed - this.#left) * minuteMs) / this.#perMinute
  }

  /** May go below nothing: what is owed is waited for. */
  take(count: number): void {
    this.#left -= count
  }

  isFull(nowMs: number): boolean {
    this.waitMs(0, nowMs)
    return this.#left >= this.#most
  }
}
