// The only place that reads the time or waits: everything else takes a Clock, so that tests and simulations can own it.

export interface Clock {
  /** Wall time, milliseconds since the Unix epoch. May jump. */
  now(): number
  /** Monotonic time in milliseconds, from an arbitrary start. Measure durations with this one. */
  mono(): number
  /** Runs `act` once after `delayMs`; the returned function cancels it. Does not keep the process alive. */
  after(delayMs: number, act: () => void): () => void
  /** Resolves after `delayMs`, or rejects with the signal's reason. Keeps the process alive. */
  wait(delayMs: number, signal?: AbortSignal): Promise<void>
}

/**
 * A signal that aborts after `delayMs`, with a `TimeoutError`, or when `also` does, whichever comes first. Its timer does not keep the process
 * alive; it runs out even when nobody looks at the signal any more, so it is not for long times.
 */
export function deadline(clock: Pick<Clock, 'after'>, delayMs: number, also?: AbortSignal): AbortSignal {
  const late = new AbortController()
  clock.after(delayMs, () => late.abort(new DOMException(`not within ${delayMs} ms`, 'TimeoutError')))
  return also ? AbortSignal.any([also, late.signal]) : late.signal
}

/** A timer of Node's takes no more (2³¹ − 1 ms, 24.8 days), and runs out at once if it is given more. */
const maxTimerMs = 2 ** 31 - 1

/** A timer for any time; the returned functions work on the part of it that runs. */
function timer(delayMs: number, act: () => void): { readonly unref: () => void; readonly cancel: () => void } {
  const dueMs = performance.now() + delayMs
  let isHeld = true
  let part: NodeJS.Timeout
  const arm = (leftMs: number): void => {
    part = leftMs > maxTimerMs ? setTimeout(() => arm(dueMs - performance.now()), maxTimerMs) : setTimeout(act, leftMs)
    if (!isHeld) part.unref()
  }
  arm(delayMs)
  return {
    unref() {
      isHeld = false
      part.unref()
    },
    cancel: () => clearTimeout(part),
  }
}

/** The time of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  mono: () => performance.now(),
  after(delayMs, act) {
    if (delayMs <= maxTimerMs) {
      const only = setTimeout(act, delayMs).unref()
      return () => clearTimeout(only)
    }
    const { unref, cancel } = timer(delayMs, act)
    unref()
    return cancel
  },
  wait(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      const { cancel } = timer(delayMs, done)
      function stop(): void {
        cancel()
        reject(signal!.reason as Error)
      }
      function done(): void {
        signal?.removeEventListener('abort', stop)
        resolve()
      }
      signal?.addEventListener('abort', stop, { once: true })
    })
  },
}
