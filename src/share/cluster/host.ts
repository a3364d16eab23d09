// The host of a group: keeps entries for its members, lets one of them ask the API at a time, and tells the others what to forget and when to wait.
import type { Duplex } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Group } from '../entry/group.ts'
import type { Shelf } from '../shelf.ts'
import { createAsking } from './asking.ts'
import { createBoard } from './board.ts'
import type { Cluster, Heard } from './cluster.ts'
import { createHolds } from './holds.ts'
import { createKeeping } from './keeping.ts'
import { type Connected, createMembers } from './members.ts'
import { BadMessage, type Received, encode } from './messages.ts'
import { type Ends, admit } from './proof.ts'
import { type GroupSum, createGroupSum } from './sum.ts'

export type HostNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly group: Group
  readonly shelf: Shelf
  /** What it shares answers by, hidden: members with another one share nothing with it. */
  readonly scope: string
  /** A member was let in. */
  readonly onMember?: ((peer: string) => void) | undefined
}

/** Of a member that others come to while its own host is gone. */
export type Deputy = {
  /** It has a host itself: others should go there. */
  readonly isBusy: () => boolean
  /** Where they should go before they come here. */
  readonly before: () => readonly string[]
}

export interface Host extends Cluster {
  /** Serves one stream until it ends. `ip`: where the member is. */
  accept(stream: Duplex, ends: Ends, ip: string): Promise<void>
  /** For a moment nothing is granted: whoever comes from another host says first what it is asking for by the leave of that. */
  settle(): void
  /** Its own cache is asking for it already, by the leave of another host. */
  claim(key: string): void
  /** What the members have counted. */
  readonly sum: GroupSum
  /** Sends the members away. */
  close(): void
}

/** Longer than a call may take. */
const leaseMs = 70_000
const settleMs = 400
/** Of one member at a time. */
const maxGranted = 16_384
/** Of a key that somebody else has the lease for: what is told of it is not taken. */
const tooLate = -1
/** How many members are told where to go when the host is gone. */
const maxOthers = 8

export function createHost(needs: HostNeeds, deputy?: Deputy): Host {
  const { clock, log, group, shelf, scope, onMember } = needs
  const board = createBoard(clock, leaseMs)
  const members = createMembers()
  const holds = createHolds(clock, group)
  const keeping = createKeeping(needs)
  const asking = createAsking(clock, members)
  const sum = createGroupSum()
  const self = {}
  /** Grows with each thing forgotten: what was asked for before that is not kept. */
  let forgets = 0
  let heard: Heard = { forget() {}, hold() {} }
  let settled: Promise<void> | undefined

  const forget = (from: Connected | undefined, subjects?: readonly string[]): void => {
    forgets++
    members.tellAll(from, { is: 'forget', ...(subjects ? { subjects } : {}) })
  }
  const hold = (from: Connected | undefined, budget: string, sealed: Uint8Array): void => {
    holds.add(budget, sealed)
    members.tellAll(from, { is: 'hold', budget }, sealed)
  }
  /** Another may have told it meanwhile. */
  const afterSettling = async (key: string): Promise<Uint8Array | undefined> => {
    if (!settled) return undefined
    await settled
    return keeping.get(key)
  }
  const grant = (member: Connected, key: string, at: number): void => {
    if (member.granted.size >= maxGranted) throw new Error('it asks for more than it tells of')
    member.granted.set(key, at)
  }
  /** With it the lease goes on to the next one, who finds it in the same way. */
  const fromOthers = async (member: Connected | undefined, key: string): Promise<Uint8Array | undefined> => {
    const before = forgets
    const sealed = deputy && (await asking.ask(member, key))
    if (!sealed || before !== forgets) return undefined
    board.done(member ?? self, key, 'failed')
    return sealed
  }
  const offer = async (member: Connected, id: number, key: string): Promise<void> => {
    const now = keeping.get(key) ?? (await afterSettling(key))
    if (member.stream.writableEnded || member.stream.destroyed) return // it has left meanwhile
    if (now) return members.tell(member, { is: 'entry', id }, now)
    const offered = await board.want(member, key)
    const kept = offered === 'look' ? keeping.get(key) : undefined
    if (kept) return members.tell(member, { is: 'entry', id }, kept)
    if (offered === 'lease') {
      const others = await fromOthers(member, key)
      if (others) return members.tell(member, { is: 'entry', id }, others)
      grant(member, key, forgets)
    }
    members.tell(member, { is: 'offer', id, offer: offered === 'lease' ? 'lease' : 'alone' })
  }
  const others = () =>
    ({ is: 'others', addresses: [...new Set([...(deputy?.before() ?? []), ...members.addresses()])].slice(0, maxOthers) }) as const
  const take = (member: Connected, received: Received): void => {
    const { message, bytes } = received
    if (message.is === 'entry') asking.answered(message.id, bytes)
    else if (message.is === 'none') asking.answered(message.id, undefined)
    else if (message.is === 'ping') members.tell(member, { is: 'pong' })
    else if (message.is === 'want') {
      void offer(member, message.id, message.key).catch((error: unknown) => member.stream.destroy(error as Error))
    } else if (message.is === 'done') {
      const granted = member.granted.get(message.key)
      member.granted.delete(message.key)
      if (granted === undefined) return void keeping.refuse(member, 'asked for without leave')
      const isLost = message.outcome === 'kept' && !(granted === forgets && keeping.put(member, message, bytes))
      board.done(member, message.key, isLost ? (granted === forgets ? 'forOne' : 'failed') : message.outcome)
    } else if (message.is === 'claim') {
      grant(member, message.key, board.claim(member, message.key) ? forgets : tooLate)
    } else if (message.is === 'forget') {
      heard.forget(message.subjects)
      forget(member, message.subjects)
    } else if (message.is === 'hold') {
      if (!keeping.isHold(member, message.budget, bytes)) return
      heard.hold(message.budget, bytes)
      hold(member, message.budget, bytes)
    } else if (message.is === 'counts') {
      sum.add(member.peer, message.counts)
    } else if (message.is === 'listens') {
      member.port = message.port
      members.tellAll(undefined, others())
    }
  }
  const greet = (member: Connected): void => {
    members.tell(member, { is: 'about', atMs: Math.floor(clock.now()), scope })
    for (const [budget, sealed] of holds.all()) members.tell(member, { is: 'hold', budget }, sealed)
    members.tell(member, others())
    log.debug('share.member_joined', { peer: member.peer })
    onMember?.(member.peer)
  }
  return {
    sum,
    /** The host's own cache is a member that needs no stream. */
    async want(key) {
      const now = await afterSettling(key)
      if (now) return { is: 'entry', sealed: now }
      const offered = await board.want(self, key)
      const sealed = offered === 'look' ? shelf.get(key) : offered === 'lease' ? await fromOthers(undefined, key) : undefined
      return sealed ? { is: 'entry', sealed } : { is: offered === 'lease' ? 'lease' : 'alone' }
    },
    claim: (key) => void board.claim(self, key),
    done: (key, _subject, outcome) => board.done(self, key, outcome),
    forget: (subjects) => forget(undefined, subjects),
    hold: (budget, sealed) => hold(undefined, budget, sealed),
    listen: (given) => (heard = given),
    get connected() {
      return members.all()
    },
    settle() {
      const moment = new Promise<void>((resolve) => clock.after(settleMs, resolve))
      settled = moment
      void moment.then(() => settled === moment && (settled = undefined))
    },
    close: () => members.sendAway(),
    async accept(stream, ends, ip) {
      stream.on('error', () => {})
      if (deputy?.isBusy()) return void stream.end(encode({ is: 'busy' }))
      const member: Connected = { peer: ends.member, since: clock.now(), stream, ip, granted: new Map() }
      let isIn = false
      try {
        const { messages } = await admit(clock, stream, group, ends)
        if (deputy?.isBusy() || !members.add(member)) throw new Error('it has to go elsewhere')
        isIn = true
        greet(member)
        for await (const received of messages) take(member, received)
      } catch (error) {
        if (error instanceof BadMessage && isIn) keeping.refuse(member, error.message)
        log[isIn ? 'info' : 'warn'](isIn ? 'share.member_lost' : 'share.member_refused', { peer: ends.member, reason: reasonOf(error) })
      } finally {
        members.remove(member)
        board.left(member)
        if (member.port !== undefined) members.tellAll(undefined, others())
        if (!stream.writableEnded) stream.end()
      }
    },
  }
}
