// The registry's side of `/fairlead/registry/1`: answers each request in turn, within bounds of size, rate and time, and never trusts what it is told.
import { asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { OwnHost, PeerStream } from '../../base/peer/host/host.ts'
import { slots } from '../../base/peer/slots.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import { fault } from '../faults.ts'
import { type Rate, rateLimit } from '../../base/access/rate.ts'
import type { Entry, RegistryBook } from './book.ts'
import { type DialBack, type DialBackSettings, createDialBack } from './dial-back.ts'
import type { RegistryStatements } from './statements.ts'
import type { Statement } from '../succession/statement.ts'
import {
  type Listed,
  type RegistryAnswer,
  type RegistryRequest,
  answerValue,
  maxPage,
  maxRequestBytes,
  maxStatements,
  readRequest,
  registryProtocol,
} from './protocol.ts'
import { answerEach, refusalOf } from '../request-loop.ts'

export type RegistryServerNeeds = {
  readonly host: Pick<OwnHost, 'handle' | 'reaches'>
  readonly book: RegistryBook
  readonly statements: RegistryStatements
  readonly clock: Clock
  readonly log: Log
}

export type RegistryServerSettings = DialBackSettings & {
  /** 60 at once and 2 a second by default. */
  readonly perPeer?: Rate
  /** Of all peers behind one IP address: 600 at once and 50 a second by default. */
  readonly perAddress?: Rate
  /** Cards of peers that have none there yet, which take the room of others, of all behind one IP address: 500 at once and one in 10 s by default. */
  readonly newPerAddress?: Rate
  /** Statements about keys, which stay for ever, of all peers behind one IP address: 16 at once and 10 an hour by default. */
  readonly statementsPerAddress?: Rate
  /** A stream on which nothing was asked for so long is dropped: 60 s by default. */
  readonly idleMs?: number
  /** Cards in one answer: 100 by default, and at most. */
  readonly pageSize?: number
}

/** Streams that are open at once. One peer has several processes. */
const maxStreams = 2_000
const maxStreamsPerPeer = 32
/** A name may be used by many: whoever asks must say more. */
const maxFound = 16

/** Answers on the host until that is closed. */
export function serveRegistry(needs: RegistryServerNeeds, settings: RegistryServerSettings = {}): void {
  const { host, clock, log } = needs
  const {
    perPeer = { burst: 60, perSecond: 2 },
    perAddress = { burst: 600, perSecond: 50 },
    newPerAddress = { burst: 500, perSecond: 0.1 },
    statementsPerAddress = { burst: 16, perSecond: 1 / 360 },
    idleMs = 60_000,
    pageSize = maxPage,
  } = settings
  const peers = rateLimit(clock, perPeer)
  const addresses = rateLimit(clock, perAddress)
  const announcements = rateLimit(clock, statementsPerAddress)
  const newcomers = rateLimit(clock, newPerAddress)
  const dialBack = createDialBack(needs, settings)
  const take = slots({ most: maxStreams, perPeer: maxStreamsPerPeer })
  host.handle(registryProtocol, (stream) => {
    const giveBack = take(stream)
    if (!giveBack) return stream.abort()
    const limits: Limits = {
      waitMs: () => Math.max(peers.take(stream.remotePeer), addresses.take(stream.remoteAddress)),
      announceMs: () => announcements.take(stream.remoteAddress),
      newcomerMs: () => newcomers.take(stream.remoteAddress),
    }
    void converse({ ...needs, dialBack }, stream, { idleMs, pageSize }, limits)
      .catch((error: unknown) => {
        log.info('reach.registry.dropped', { peer: stream.remotePeer, problem: asFault(error).message })
        stream.abort()
      })
      .finally(giveBack)
  })
}

/** How long whoever asks must wait until it may ask, until it may announce something, and until it may publish its first card. */
type Limits = { readonly waitMs: () => number; readonly announceMs: () => number; readonly newcomerMs: () => number }

function converse(
  needs: Desk,
  stream: PeerStream,
  { idleMs, pageSize }: { idleMs: number; pageSize: number },
  { waitMs, announceMs, newcomerMs }: Limits,
): Promise<void> {
  const { clock, log } = needs
  const from = stream.remotePeer
  return answerEach(stream, clock, { maxRequestBytes, idleMs }, async (value) => {
    const afterMs = waitMs()
    const at = { now: clock.now(), pageSize, announceMs, newcomerMs }
    const answer = afterMs > 0 ? refusalOf(fault.too_often({ afterMs })) : await answerTo(needs, stream, value, at)
    if ('refused' in answer) log.info('reach.registry.refused', { peer: from, code: answer.refused.code, message: answer.refused.message })
    return answerValue(answer)
  })
}

type At = { readonly now: number; readonly pageSize: number; readonly announceMs: () => number; readonly newcomerMs: () => number }
type Desk = RegistryServerNeeds & { readonly dialBack: DialBack }

async function answerTo(desk: Desk, stream: PeerStream, value: unknown, at: At): Promise<RegistryAnswer> {
  try {
    return { ok: { now: at.now, ...(await carryOut(desk, stream, readRequest(value), at)) } }
  } catch (error) {
    return refusalOf(error)
  }
}

async function carryOut(
  { book, statements, dialBack }: Desk,
  stream: PeerStream,
  request: RegistryRequest,
  { now, pageSize, announceMs, newcomerMs }: At,
): Promise<{ cards?: Listed[]; more?: boolean; statements?: Statement[]; proved?: readonly string[] }> {
  const from = stream.remotePeer
  const listed = ({ card: { peerId, addresses }, signed, cameAt }: Entry): Listed => ({
    card: Buffer.from(signed).toString('base64url'),
    ageMs: Math.max(0, now - cameAt),
    proved: dialBack.proved(peerId, addresses),
  })
  if (request.do === 'announce') {
    const afterMs = announceMs()
    if (afterMs > 0) throw fault.too_often({ afterMs })
    const { peerId } = await statements.announce(request.statement)
    await book.remove(peerId) // it is found no more, by its name neither
    return {}
  }
  if (request.do === 'statements') return { statements: await statements.about(request.peers, maxStatements) }
  if (request.do === 'prove') return { proved: await dialBack.prove(stream, book.lookup(from, 1)[0]?.card.addresses ?? []) }
  if (request.do === 'publish') {
    await statements.mustSpeak(from)
    const afterMs = book.lookup(from, 1).length === 0 ? newcomerMs() : 0
    if (afterMs > 0) throw fault.too_often({ afterMs })
    await book.publish(from, request.card)
    try {
      await statements.mustSpeak(from) // as it was written, another registry may have been told that this key speaks no more
    } catch (error) {
      const { code } = asFault(error)
      if (code === 'reach.key_rotated' || code === 'reach.key_revoked') await book.remove(from) // not where it is only not known
      throw error
    }
    return {}
  }
  if (request.do === 'lookup') {
    const said = isPeerId(request.peer) ? await statements.about([request.peer], maxStatements) : []
    return { cards: book.lookup(request.peer, maxFound).map(listed), ...(said.length > 0 ? { statements: said } : {}) }
  }
  const limit = Math.min(request.limit, pageSize)
  const found = book.list(request.after, limit + 1)
  return { cards: found.slice(0, limit).map(listed), more: found.length > limit }
}
