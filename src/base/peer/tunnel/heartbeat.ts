// The pulse of a channel: when to send a PING, when to look for another path, and when the one beneath is dead.
import type { Clock } from '../../../kernel/clock.ts'
import type { Channel } from './message.ts'

export type HeartbeatSettings = {
  /** Between two PINGs. */
  readonly pingMs: number
  /** The same while something moves, and for half a minute after it. */
  readonly busyPingMs: number
}

export interface Heartbeat {
  /** Something moves: from now on PINGs go more often. */
  stir(): void
  stop(): void
}

const busyForMs = 30_000

/**
 * Says `due` for each PING; `silent`, again and again, when something moved lately and nothing came for two of the short intervals: the other side sends its
 * PINGs as often, so the path is likely to be cut; and `missed`, once and at last, when nothing came for two of the long ones. However slowly a large frame
 * moves, a healthy path is never silent for long.
 */
export function heartbeat(
  channel: Pick<Channel, 'bytesIn'>,
  clock: Clock,
  { pingMs, busyPingMs }: HeartbeatSettings,
  on: { readonly due: () => void; readonly silent: () => void; readonly missed: () => void },
): Heartbeat {
  const shortMs = Math.min(pingMs, busyPingMs)
  let heardBytes = channel.bytesIn
  let heardAt = clock.mono()
  let busyUntil = -Infinity
  let isShort = false
  let isOver = false
  let cancel = (): void => {}
  const arm = (): void => {
    isShort = clock.mono() < busyUntil
    cancel = clock.after(isShort ? shortMs : pingMs, beat)
  }
  const beat = (): void => {
    const now = clock.mono()
    if (channel.bytesIn > heardBytes) heardAt = now
    heardBytes = channel.bytesIn
    const silentMs = now - heardAt
    if (silentMs >= 2 * pingMs) return on.missed()
    on.due()
    if (isShort && silentMs >= 2 * shortMs) on.silent()
    if (!isOver) arm()
  }
  arm()
  return {
    stir() {
      busyUntil = clock.mono() + busyForMs
      if (isShort || isOver) return
      cancel()
      heardAt = clock.mono() // what was not due before is not late
      arm()
    },
    stop() {
      isOver = true
      cancel()
    },
  }
}
