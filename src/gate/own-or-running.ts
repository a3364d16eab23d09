// The gate that serves clients of this machine: the one that runs already, or else one of our own, which the next ones find; when its process ends, one of them takes its place.
import type { Clock } from '../kernel/clock.ts'
import { Fault } from '../kernel/fault.ts'
import type { Wire } from '../base/wire/wire.ts'

export type OwnOrRunningNeeds = {
  readonly clock: Clock
  /** Fault `socket.unreachable` when none runs. */
  readonly connect: () => Promise<Wire>
  /** Fault `store.locked` when another process has its files. */
  readonly start: () => Promise<{ close(): Promise<void> }>
}

/** While another gate holds the files and does not listen yet, or is just ending. */
const patienceMs = 10_000
const tryEveryMs = 50

export class OwnOrRunning {
  readonly #needs: OwnOrRunningNeeds
  #own: Promise<{ close(): Promise<void> }> | undefined

  constructor(needs: OwnOrRunningNeeds) {
    this.#needs = needs
  }

  /** A new wire to it. Faults: those of a start; `store.locked` when a gate that does not let us in has the files. */
  async open(): Promise<Wire> {
    const { clock, connect } = this.#needs
    const fromMs = clock.mono()
    for (;;) {
      try {
        return await connect()
      } catch (error) {
        if (!isFault(error, 'socket.unreachable')) throw error
      }
      try {
        await (this.#own ??= this.#needs.start())
      } catch (error) {
        this.#own = undefined
        if (!isFault(error, 'store.locked') || clock.mono() - fromMs > patienceMs) throw error
        await clock.wait(tryEveryMs)
      }
    }
  }

  async close(): Promise<void> {
    const own = await this.#own?.catch(() => undefined)
    await own?.close()
  }
}

function isFault(error: unknown, code: string): boolean {
  return error instanceof Fault && error.code === code
}
