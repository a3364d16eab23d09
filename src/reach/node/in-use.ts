// Whether something that counts its bytes is in use now, or only keeps its connections alive.
import type { Clock } from '../../kernel/clock.ts'

/** Looks closer together than this see the same. */
const sampleMs = 200
/** Many tunnels that say no more than that they are alive stay below it; one call a second is above. */
const idleBytesPerSecond = 1_024

/** Asked from time to time: whether more than 1 KiB a second came since it was asked before. */
export function inUse({ clock, countBytes }: { readonly clock: Pick<Clock, 'mono'>; readonly countBytes: () => number }): () => boolean {
  let last = { atMs: clock.mono(), bytes: countBytes() }
  let isInUse = false
  return () => {
    const now = { atMs: clock.mono(), bytes: countBytes() }
    if (now.atMs - last.atMs < sampleMs) return isInUse
    isInUse = ((now.bytes - last.bytes) * 1000) / (now.atMs - last.atMs) > idleBytesPerSecond
    last = now
    return isInUse
  }
}
