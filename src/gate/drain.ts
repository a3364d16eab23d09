// The outermost layer: counts requests that run, so that a gate that stops answers them all before it ends, and takes no new ones.
import type { Clock } from '../kernel/clock.ts'
import type { Layer } from '../base/mcp/exchange.ts'
import { fault } from './faults.ts'

export class Drain {
  #running = 0
  #isDraining = false
  #done = (): void => {}

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** Streams that only listen are not waited for: they end with the gate. */
  readonly layer: Layer = (next) => async (exchange, out) => {
    if (this.#isDraining) return { is: 'notSent', fault: fault.stopping({}) }
    if (exchange.frame.kind !== 'request' || exchange.frame.method === 'subscriptions/listen') return next(exchange, out)
    this.#running++
    try {
      return await next(exchange, out)
    } finally {
      if (--this.#running === 0) this.#done()
    }
  }

  /** Takes nothing new; resolves when nothing runs any more, at the latest after `graceMs`. */
  async drain(clock: Clock, graceMs: number): Promise<void> {
    this.#isDraining = true
    if (this.#running === 0) return
    await new Promise<void>((resolve) => {
      const cancel = clock.after(graceMs, resolve)
      this.#done = () => {
        cancel()
        resolve()
      }
    })
  }
}
