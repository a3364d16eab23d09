// A member of a group: asks its host for entries and leases, joins it again when the stream was cut, and goes on alone until then.
import type { Duplex } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Group } from '../entry/group.ts'
import type { Cluster, Got } from './cluster.ts'
import { type Message, type Received, encode } from './messages.ts'
import { type Ends, NoMember, join } from './proof.ts'

export type MemberNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly group: Group
  readonly dial: (signal: AbortSignal) => Promise<{ readonly stream: Duplex; readonly ends: Ends }>
}

export interface Membership extends Cluster {
  /** How the first try ended: undefined when the host let us in. */
  readonly begun: Promise<Error | undefined>
  close(): void
}

type Link = { readonly host: string; readonly since: number; readonly stream: Duplex; readonly waiting: Map<number, (got: Got) => void> }

/** After the first loss; twice as long after each further one. */
const againMs = 1_000
const maxAgainMs = 10_000
const refusedMs = 60_000
/** Nobody waits for others for longer than a call takes. */
const wantMs = 75_000
const maxWaiting = 4_096

export function createMembership({ clock, log, group, dial }: MemberNeeds): Membership {
  const stop = new AbortController()
  let link: Link | undefined
  let ids = 0
  let forgetHere: (subjects?: readonly string[]) => void = () => {}
  const tell = (message: Message, bytes?: Uint8Array): void => void link?.stream.write(encode(message, bytes))
  const take = ({ waiting }: Link, { message, bytes }: Received): void => {
    if (message.is === 'forget') return forgetHere(message.subjects)
    if (message.is !== 'offer' && message.is !== 'entry') return
    const answer = waiting.get(message.id)
    waiting.delete(message.id)
    answer?.(message.is === 'entry' ? { is: 'entry', sealed: bytes } : { is: message.offer })
  }
  const serve = async (onJoined: () => void): Promise<void> => {
    const { stream, ends } = await dial(stop.signal)
    stream.on('error', () => {})
    const own: Link = { host: ends.host, since: clock.now(), stream, waiting: new Map() }
    try {
      const { messages } = await join(clock, stream, group, ends)
      link = own
      onJoined()
      for await (const received of messages) take(own, received)
    } finally {
      if (link === own) link = undefined
      for (const answer of own.waiting.values()) answer({ is: 'alone' })
      stream.destroy()
    }
  }
  const begun = new Promise<Error | undefined>((resolve) => {
    let waitMs = againMs
    let told = ''
    const run = async (): Promise<void> => {
      let reason = 'the stream ended'
      let isRefused = false
      try {
        await serve(() => {
          waitMs = againMs
          told = ''
          resolve(undefined)
        })
      } catch (error) {
        resolve(error as Error)
        reason = reasonOf(error)
        isRefused = error instanceof NoMember
      }
      if (stop.signal.aborted) return
      if (reason !== told) log.warn('share.host_lost', { reason })
      told = reason
      clock.after(isRefused ? refusedMs : waitMs, () => void run())
      waitMs = Math.min(2 * waitMs, maxAgainMs)
    }
    void run()
  })
  return {
    begun,
    want(key) {
      const own = link
      if (!own || own.waiting.size >= maxWaiting) return Promise.resolve({ is: 'alone' })
      const id = ++ids
      return new Promise((resolve) => {
        const cancel = clock.after(wantMs, () => {
          own.waiting.delete(id)
          resolve({ is: 'alone' })
        })
        own.waiting.set(id, (got) => {
          cancel()
          resolve(got)
        })
        tell({ is: 'want', id, key })
      })
    },
    done: (key, subject, outcome, sealed) => tell({ is: 'done', key, subject, outcome }, sealed),
    forget: (subjects) => tell({ is: 'forget', ...(subjects ? { subjects } : {}) }),
    onForget: (act) => (forgetHere = act),
    get connected() {
      return link ? [{ peer: link.host, since: link.since }] : []
    },
    close() {
      stop.abort()
      link?.stream.destroy()
    },
  }
}
