// A clock that stands still until a test moves it.
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../src/kernel/clock.ts'

export interface TestClock extends Clock {
  /** Moves both times on by `ms`; what falls due on the way runs in order, and so does what follows from it within the event loop. */
  advance(ms: number): Promise<void>
  /** Timers that wait. */
  readonly waiting: number
}

export function createTestClock(start = 1_700_000_000_000): TestClock {
  let at = 0
  let count = 0
  const timers = new Map<number, { readonly due: number; readonly act: () => void }>()
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) await turn()
  }
  const clock: TestClock = {
    now: () => start + at,
    mono: () => at,
    after(delayMs, act) {
      const id = ++count
      timers.set(id, { due: at + delayMs, act })
      return () => timers.delete(id)
    },
    wait(delayMs, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason as Error)
        const cancel = clock.after(delayMs, () => {
          signal?.removeEventListener('abort', stop)
          resolve()
        })
        const stop = (): void => {
          cancel()
          reject(signal!.reason as Error)
        }
        signal?.addEventListener('abort', stop, { once: true })
      })
    },
    async advance(ms) {
      const end = at + ms
      await settle()
      for (;;) {
        const [next] = [...timers].filter(([, { due }]) => due <= end).sort(([a, { due: x }], [b, { due: y }]) => x - y || a - b)
        if (!next) break
        const [id, { due, act }] = next
        timers.delete(id)
        at = Math.max(at, due)
        act()
        await settle()
      }
      at = end
    },
    get waiting() {
      return timers.size
    },
  }
  return clock
}
