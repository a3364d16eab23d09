// The ids of messages that came lately, so that none is taken twice: kept in a file, for as long as the message would still be let in.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { openSqliteKv } from '../../base/kv/sqlite.ts'
import { fault } from '../faults.ts'
import { maxSkewMs } from './message.ts'

/** A message may be a minute ahead of our clock, and is let in until it is a minute behind; a little is added for a clock that is set meanwhile. */
const rememberedMs = 3 * maxSkewMs
/** The same for an item: added to its end. */
const itemSlackMs = 24 * 3_600_000
const sweepEveryMs = 60_000

export type NotedItem = {
  /** It was taken before, wholly. */
  readonly isTaken: boolean
  /** To be called when it is stored: only then it counts as taken, so that a kill in between loses nothing. */
  done(): Promise<void>
}

export interface SeenMessages {
  /** Notes the message; false when it was noted before. Fault `reach.too_many_messages` when no more can be remembered: then it must not be taken. */
  add(from: string, id: string): Promise<boolean>
  /** Notes a message from a mailbox until it ends at `expiresAt` (wall time); the same fault. */
  noteItem(from: string, id: string, expiresAt: number): Promise<NotedItem>
  close(): Promise<void>
}

type ItemNote = { readonly forgetAt: number; readonly isTaken: boolean }

/** Opens the memory at `path`, whose only writer we are; `maxEntries` is 65,536 by default, of each kind. Faults of `openSqliteKv`. */
export function openSeenMessages({ clock, log }: { clock: Clock; log: Log }, path: string, maxEntries = 65_536): SeenMessages {
  const kv = openSqliteKv({ path, clock, log, maxEntries })
  const bucket = kv.bucket('messages')
  const items = kv.bucket('items')
  let cancel = (): void => {}
  let sweeping: Promise<void> = Promise.resolve()
  /** Who lists sees what has ended, and thereby removes it; an item has an end of its own. */
  const sweep = async (): Promise<void> => {
    try {
      for await (const _ of bucket.list());
      for await (const { key, value, revision } of items.list())
        if (noteIn(value).forgetAt <= clock.now()) await items.delete(key, revision)
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
  const whileRoom = async <Result>(write: () => Promise<Result>): Promise<Result> => {
    try {
      return await write()
    } catch (error) {
      throw asFault(error).code === 'kv.full' ? fault.too_many_messages({ limit: maxEntries }, error) : error
    }
  }
  return {
    add: (from, id) =>
      whileRoom(async () => (await bucket.create(`${from}/${id}`, new Uint8Array(), { ttlMs: rememberedMs })) !== undefined),
    noteItem: (from, id, expiresAt) =>
      whileRoom(async () => {
        const key = `${from}/${id}`
        const forgetAt = expiresAt + itemSlackMs
        await items.create(key, noteValue({ forgetAt, isTaken: false }))
        const noted = await items.get(key)
        return {
          isTaken: noted !== undefined && noteIn(noted.value).isTaken,
          async done() {
            const now = await items.get(key)
            if (now) await items.update(key, noteValue({ forgetAt, isTaken: true }), now.revision)
          },
        }
      }),
    async close() {
      cancel()
      await sweeping
      await kv.close()
    },
  }
}

function noteValue(note: ItemNote): Uint8Array {
  return Buffer.from(JSON.stringify(note))
}

function noteIn(value: Uint8Array): ItemNote {
  return JSON.parse(Buffer.from(value).toString('utf8')) as ItemNote
}
