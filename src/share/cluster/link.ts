// One stream to a host that let us in: questions with their answers, and what it says unasked.
import type { Duplex } from 'node:stream'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import type { Group } from '../entry/group.ts'
import type { Got, Way } from './cluster.ts'
import { BadMessage, type Message, type Received, encode } from './messages.ts'
import { join } from './proof.ts'

export type LinkNeeds = {
  readonly clock: Clock
  readonly group: Group
  readonly dial: (way: Way, signal: AbortSignal) => Promise<Duplex>
  /** Whatever is no answer. */
  readonly onMessage: (received: Received) => void
  /** It said what is no message, or too much, and was left. */
  readonly onBad?: () => void
  /** The entry for a key, if it is kept here and holds. */
  readonly kept: (key: string) => Uint8Array | undefined
  /** Called once, before anybody else hears of it. */
  readonly onEnd: (link: Link) => void
}

export interface Link {
  readonly host: string
  /** When it let us in. */
  readonly since: number
  /** Undefined: it ended before the host answered. */
  want(key: string): Promise<Got | undefined>
  tell(message: Message, bytes?: Uint8Array): void
  /** Why it ended. */
  readonly ended: Promise<string>
  /** What was told before is heard yet. */
  close(): Promise<void>
}

const dialMs = 10_000
/** Nobody waits for others for longer than a call takes. */
const wantMs = 75_000
/** Between two questions whether the host is there, while somebody waits for it; and after how long a silence it is not. */
const pulseMs = 2_000
const silentMs = 8_000
const byeMs = 500
const maxWaiting = 4_096

/** Rejects when nobody is there, with a `NoMember` when we are not let in, with a `Busy` when it has a host itself. */
export async function openLink(
  needs: LinkNeeds,
  { way, own }: { readonly way: Way; readonly own: string },
  stop: AbortSignal,
): Promise<Link> {
  const { clock, group, dial, kept, onMessage, onEnd, onBad } = needs
  const stream = await dial(way, deadline(clock, dialMs, stop))
  stream.on('error', () => {})
  const waiting = new Map<number, (got: Got | undefined) => void>()
  let ids = 0
  let heardAtMs = 0
  let cancelPulse: (() => void) | undefined
  const tell = (message: Message, bytes?: Uint8Array): void => {
    if (!stream.destroyed) stream.write(encode(message, bytes))
  }
  const take = (received: Received): void => {
    const { message, bytes } = received
    heardAtMs = clock.mono()
    if (message.is === 'have') {
      const sealed = kept(message.key)
      return tell({ is: sealed ? 'entry' : 'none', id: message.id }, sealed)
    }
    if (message.is !== 'offer' && message.is !== 'entry') return onMessage(received)
    const answer = waiting.get(message.id)
    waiting.delete(message.id)
    answer?.(message.is === 'entry' ? { is: 'entry', sealed: bytes } : { is: message.offer })
  }
  /** As long as somebody waits: a host that is frozen, or behind a cut cable, ends no stream. */
  const pulse = (): void => {
    cancelPulse = undefined
    if (waiting.size === 0) return
    if (clock.mono() - heardAtMs > silentMs) return void stream.destroy(new Error('the host says nothing any more'))
    tell({ is: 'ping' })
    cancelPulse = clock.after(pulseMs, pulse)
  }
  const read = async (messages: AsyncGenerator<Received>): Promise<string> => {
    let why = 'the host ended the stream'
    try {
      for await (const received of messages) take(received)
    } catch (error) {
      why = reasonOf(error)
      if (error instanceof BadMessage) onBad?.()
    }
    stream.destroy()
    cancelPulse?.()
    onEnd(link)
    for (const answer of waiting.values()) answer(undefined)
    return why
  }
  const ended = Promise.withResolvers<string>()
  const link: Link = {
    host: way.peer,
    since: clock.now(),
    tell,
    ended: ended.promise,
    async close() {
      stream.end()
      const late = Promise.withResolvers<void>()
      const cancel = clock.after(byeMs, late.resolve)
      await Promise.race([ended.promise, late.promise])
      cancel()
      stream.destroy()
    },
    want(key) {
      if (stream.destroyed) return Promise.resolve(undefined)
      if (waiting.size >= maxWaiting) return Promise.resolve({ is: 'alone' })
      const id = ++ids
      if (!cancelPulse) {
        heardAtMs = clock.mono()
        cancelPulse = clock.after(pulseMs, pulse)
      }
      return new Promise((resolve) => {
        const cancel = clock.after(wantMs, () => {
          waiting.set(id, (late) => {
            if (late?.is === 'lease') tell({ is: 'done', key, subject: '', outcome: 'failed' }) // so that it goes on to the next one
          })
          resolve({ is: 'alone' })
        })
        waiting.set(id, (got) => {
          cancel()
          resolve(got)
        })
        tell({ is: 'want', id, key })
      })
    },
  }
  try {
    const { messages } = await join(clock, stream, group, { host: way.peer, member: own })
    void read(messages).then(ended.resolve)
    return link
  } catch (error) {
    stream.destroy()
    throw error
  }
}
