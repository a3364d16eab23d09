// The host of a group: keeps entries for its members, lets one of them ask the API at a time, and tells the others what to forget.
import type { Duplex } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { isFresh, open } from '../entry/entry.ts'
import type { Group } from '../entry/group.ts'
import type { Shelf } from '../shelf.ts'
import { type Board, createBoard } from './board.ts'
import type { Cluster } from './cluster.ts'
import { type Message, type Received, encode } from './messages.ts'
import { type Ends, admit } from './proof.ts'

export type HostNeeds = { readonly clock: Clock; readonly log: Log; readonly group: Group; readonly shelf: Shelf }

export interface Host extends Cluster {
  /** Serves one stream until it ends. */
  accept(stream: Duplex, ends: Ends): Promise<void>
  /** Sends the members away. */
  close(): void
}

type Member = { readonly peer: string; readonly since: number; readonly stream: Duplex; readonly granted: Map<string, number> }

const maxMembers = 1_024
/** Longer than a call may take. */
const leaseMs = 70_000
/** Who does not read is cut off. */
const maxUnreadBytes = 32 << 20

export function createHost(needs: HostNeeds): Host {
  const { clock, log, group, shelf } = needs
  const board = createBoard(clock, leaseMs)
  const members = new Set<Member>()
  const self = {}
  /** Grows with each thing forgotten: what was asked for before that is not kept. */
  let forgets = 0
  let forgetHere: (subjects?: readonly string[]) => void = () => {}
  const tell = ({ stream }: Member, message: Message, bytes?: Uint8Array): void => {
    stream.write(encode(message, bytes))
    if (stream.writableLength > maxUnreadBytes) stream.destroy(new Error('it does not read'))
  }
  const forgetAt = (from: Member | undefined, subjects?: readonly string[]): void => {
    forgets++
    for (const member of members) if (member !== from) tell(member, { is: 'forget', ...(subjects ? { subjects } : {}) })
  }
  const held = (key: string): Uint8Array | undefined => {
    const sealed = shelf.get(key)
    const opened = sealed && open(sealed, key, group, clock.now())
    return opened?.is === 'entry' && isFresh(opened.entry, clock.now()) ? sealed : undefined
  }
  const keep = (member: Member, { message, bytes }: Received): boolean => {
    if (message.is !== 'done' || message.outcome !== 'kept' || member.granted.get(message.key) !== forgets) return false
    const opened = open(bytes, message.key, group, clock.now())
    const isOwn = opened.is === 'entry' && opened.origin === member.peer
    if (isOwn) return shelf.put(message.key, { sealed: bytes, atMs: opened.entry.atMs, subject: message.subject })
    shelf.count('refused')
    log.warn('share.entry_refused', { peer: member.peer, why: opened.is === 'refused' ? opened.why : 'signed by another' })
    return false
  }
  const offer = async (member: Member, id: number, key: string): Promise<void> => {
    const now = held(key)
    if (now) return tell(member, { is: 'entry', id }, now)
    const offered = await board.want(member, key)
    const kept = offered === 'look' ? held(key) : undefined
    if (kept) return tell(member, { is: 'entry', id }, kept)
    if (offered === 'lease') member.granted.set(key, forgets)
    tell(member, { is: 'offer', id, offer: offered === 'lease' ? 'lease' : 'alone' })
  }
  const take = (member: Member, received: Received): void => {
    const { message } = received
    if (message.is === 'want') void offer(member, message.id, message.key).catch((error: unknown) => member.stream.destroy(error as Error))
    else if (message.is === 'done') {
      const isKept = keep(member, received)
      member.granted.delete(message.key)
      board.done(member, message.key, message.outcome === 'kept' && !isKept ? 'forOne' : message.outcome)
    } else if (message.is === 'forget') {
      forgetHere(message.subjects)
      forgetAt(member, message.subjects)
    }
  }
  return {
    ...ownCluster(board, self, shelf),
    forget: (subjects) => forgetAt(undefined, subjects),
    onForget: (act) => (forgetHere = act),
    get connected() {
      return [...members].map(({ peer, since }) => ({ peer, since }))
    },
    close() {
      for (const { stream } of members) stream.destroy()
      members.clear()
    },
    async accept(stream, ends) {
      stream.on('error', () => {})
      const member: Member = { peer: ends.member, since: clock.now(), stream, granted: new Map() }
      try {
        if (members.size >= maxMembers) throw new Error('too many members')
        const { messages } = await admit(clock, stream, group, ends)
        members.add(member)
        log.info('share.member_joined', { peer: ends.member })
        for await (const received of messages) take(member, received)
      } catch (error) {
        log.warn('share.member_refused', { peer: ends.member, reason: reasonOf(error) })
      } finally {
        members.delete(member)
        board.left(member)
        if (!stream.writableEnded) stream.end()
      }
    },
  }
}

/** The host's own cache is a member that needs no stream. */
function ownCluster(board: Board, self: object, shelf: Shelf): Pick<Cluster, 'want' | 'done'> {
  return {
    async want(key) {
      const offered = await board.want(self, key)
      const sealed = offered === 'look' ? shelf.get(key) : undefined
      return sealed ? { is: 'entry', sealed } : { is: offered === 'lease' ? 'lease' : 'alone' }
    },
    done: (key, _subject, outcome) => board.done(self, key, outcome),
  }
}
