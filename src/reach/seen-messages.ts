// The ids of messages that came lately, so that none is taken twice: kept in a file, for as long as the message's time would still let it in.
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import { openSqliteKv } from '../base/kv/sqlite.ts'
import { fault } from './faults.ts'
import { maxSkewMs } from './message.ts'

/** A message may be a minute ahead of our clock, and is let in until it is a minute behind; a little is added for a clock that is set meanwhile. */
const rememberedMs = 3 * maxSkewMs
const sweepEveryMs = 60_000

export interface SeenMessages {
  /** Notes the message; false when it was noted before. Fault `reach.too_many_messages` when no more can be remembered: then it must not be taken. */
  add(from: string, id: string): Promise<boolean>
  close(): Promise<void>
}

/** Opens the memory at `path`, whose only writer we are; `maxEntries` is 65,536 by default. Faults of `openSqliteKv`. */
export function openSeenMessages({ clock, log }: { clock: Clock; log: Log }, path: string, maxEntries = 65_536): SeenMessages {
  const kv = openSqliteKv({ path, clock, log, maxEntries })
  const bucket = kv.bucket('messages')
  let cancel = (): void => {}
  let sweeping: Promise<void> = Promise.resolve()
  /** Who lists sees what has ended, and thereby removes it. */
  const sweep = async (): Promise<void> => {
    try {
      for await (const _ of bucket.list());
    } catch (error) {
      log.warn('reach.seen.not_swept', { problem: asFault(error).message })
    }
  }
  const keepSweeping = (): void => {
    cancel = clock.after(sweepEveryMs, () => {
      sweeping = sweep()
      keepSweeping()
    })
  }
  sweeping = sweep()
  keepSweeping()
  return {
    async add(from, id) {
      try {
        return (await bucket.create(`${from}/${id}`, new Uint8Array(), { ttlMs: rememberedMs })) !== undefined
      } catch (error) {
        throw asFault(error).code === 'kv.full' ? fault.too_many_messages({ limit: maxEntries }, error) : error
      }
    },
    async close() {
      cancel()
      await sweeping
      await kv.close()
    },
  }
}
