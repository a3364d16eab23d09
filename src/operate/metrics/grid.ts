// Acts at whole multiples of an interval on the wall clock, whatever that clock does meanwhile: once for each, or not at all.
import type { Clock } from '../../kernel/clock.ts'

/** Later (or earlier) than that is another time: the clock was moved, or the machine slept. */
const toleranceMs = 2_000
/** A jump of the clock that makes what it says doubtful, and for how long. */
const largeJumpMs = 3_600_000

export type GridNeeds = {
  readonly clock: Clock
  /** `slotMs`: the multiple that it is now. */
  act(slotMs: number): void
  /** A multiple went by unseen. */
  missed(): void
}

/** Stops by the returned function. */
export function everyMultiple({ clock, act, missed }: GridNeeds, intervalMs: number): () => void {
  let cancel = (): void => {}
  let lastMs = Number.NaN
  const arm = (): void => {
    const now = clock.now()
    cancel = clock.after(intervalMs - (now % intervalMs), turn)
  }
  const turn = (): void => {
    const now = clock.now()
    const slotMs = Math.round(now / intervalMs) * intervalMs
    if (Math.abs(now - slotMs) > toleranceMs) missed()
    else if (slotMs !== lastMs) act((lastMs = slotMs)) // a timer that is early comes twice
    arm()
  }
  arm()
  return () => cancel()
}

/**
 * Whether the wall clock is to be believed: it agrees with `knownMs` (a time that was written not long ago), or it has not jumped for an hour. A board without a battery wakes
 * up in the past, and a clock that is wrong for a moment must not cost what was kept for a year.
 */
export class ClockTrust {
  readonly #clock: Clock
  #offsetMs: number
  #since: number

  constructor(clock: Clock, knownMs: number | undefined) {
    this.#clock = clock
    this.#offsetMs = clock.now() - clock.mono()
    const ageMs = clock.now() - (knownMs ?? Number.NEGATIVE_INFINITY)
    this.#since = ageMs > -largeJumpMs && ageMs < 7 * 24 * 3_600_000 ? Number.NEGATIVE_INFINITY : clock.mono()
  }

  /** To be asked often: a jump between two askings is seen at the second. */
  get holds(): boolean {
    const offsetMs = this.#clock.now() - this.#clock.mono()
    if (Math.abs(offsetMs - this.#offsetMs) > largeJumpMs) this.#since = this.#clock.mono()
    this.#offsetMs = offsetMs
    return this.#clock.mono() - this.#since >= largeJumpMs
  }
}
