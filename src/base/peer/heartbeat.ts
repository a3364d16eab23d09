// The pulse of a channel: when to send a PING, and when the path beneath it is dead.
import type { Clock } from '../../kernel/clock.ts'
import type { Channel } from './message.ts'

/**
 * Says `due` every `pingMs` and `missed`, once and at last, when nothing came for two of them; the returned function ends it. Both sides send PINGs, so that a healthy
 * path is never silent for long, however slowly a large frame moves over it.
 */
export function heartbeat(
  channel: Pick<Channel, 'bytesIn'>,
  clock: Clock,
  pingMs: number,
  on: { readonly due: () => void; readonly missed: () => void },
): () => void {
  let heardBytes = channel.bytesIn
  let misses = 0
  let isOver = false
  let cancel = (): void => {}
  const beat = (): void => {
    misses = channel.bytesIn > heardBytes ? 0 : misses + 1
    heardBytes = channel.bytesIn
    if (misses >= 2) return on.missed()
    on.due()
    if (!isOver) cancel = clock.after(pingMs, beat)
  }
  cancel = clock.after(pingMs, beat)
  return () => {
    isOver = true
    cancel()
  }
}
