// Joins two streams of bytes: with back-pressure and half-close both ways, and when one breaks, so does the other.
import type { Duplex } from 'node:stream'

/** Both belong to it from now on. What one end wrote before it closed in order still reaches the other. */
export function splice(left: Duplex, right: Duplex): void {
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    from.on('error', () => to.destroy())
    from.once('close', () => {
      if (!(from.readableEnded && from.writableFinished)) to.destroy()
    })
    from.pipe(to)
  }
}
