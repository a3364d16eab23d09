// A node of the distributed hash table: answers who asks whom it knows, and makes itself known, so that peers are found when no registry is left.
import { type Clock, deadline } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { randomFraction } from '../../kernel/random.ts'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import type { PeerHost, PeerStream } from '../../base/peer/host/host.ts'
import { slots } from '../../base/peer/slots.ts'
import { readJson, writeJson } from '../json-frames.ts'
import { type Contact, type KadAsk, kadLookup } from './lookup.ts'
import { kadAnswerValue, kadAsk, kadProtocol, maxKadRequestBytes, openSigned, readKadRequest } from './protocol.ts'
import { type SignedCard, kadTable } from './table.ts'
import type { KnownAddresses } from '../finding/known-addresses.ts'
import { signCard } from '../node/peer-card.ts'
import { rateLimit } from '../../base/access/rate.ts'
import { cardTtlMs, toldAddresses } from '../registry/registration.ts'

export type KadNodeNeeds = {
  readonly identity: Identity
  readonly host: PeerHost
  /** The nodes that were met before: where it begins again after a restart. */
  readonly nodes: KnownAddresses
  readonly clock: Clock
  readonly log: Log
}

export type KadNodeSettings = {
  readonly name: string
  /** Nodes to begin with, besides those that were met before; none for one that waits until others come. */
  readonly bootstrap: readonly Contact[]
}

/** The node, until it is closed. */
export interface KadNode {
  close(): Promise<void>
}

/** So often a node makes itself known anew, for its card to hold, and looks at a place of nobody's choice. */
const refreshMs = 300_000
/** While it knows nobody, and somebody may be there; then ever less often, for others may have come together with it. */
const lonelyMs = 2_000
const refreshForMs = 20_000
const conversationMs = 10_000
const maxStreams = 256
const maxStreamsPerPeer = 8
/** Of those met before, so many are asked. */
const maxSeeds = 32

/** Takes part on the host until it is closed; never fails: what goes wrong is logged, and tried again. */
export function startKadNode({ identity, host, nodes, clock, log }: KadNodeNeeds, { name, bootstrap }: KadNodeSettings): KadNode {
  const table = kadTable(identity.peerId)
  const peers = rateLimit(clock, { burst: 60, perSecond: 10 })
  const addresses = rateLimit(clock, { burst: 600, perSecond: 100 })
  const stop = new AbortController()
  const take = slots({ most: maxStreams, perPeer: maxStreamsPerPeer })

  /** Undefined while nobody could reach us. */
  const ownCard = async (): Promise<Uint8Array | undefined> => {
    const told = toldAddresses(host.addresses())
    const now = clock.now()
    return told.length === 0 ? undefined : signCard(identity, { name, addresses: told, sequence: now, expiresAt: now + cardTtlMs })
  }
  const answer = async (stream: PeerStream, value: unknown): Promise<unknown> => {
    const { find, card } = readKadRequest(value)
    const own = await ownCard()
    const near = table.closest(find, clock.now()).map(({ signed }) => signed)
    if (card) {
      const theirs = openSigned(card, clock.now())
      if (theirs.peerId === stream.remotePeer && theirs.addresses.length > 0) table.add(theirs)
    }
    return kadAnswerValue(own ? [own, ...near] : near)
  }
  const converse = async (stream: PeerStream): Promise<void> => {
    const cancel = clock.after(conversationMs, () => stream.abort())
    try {
      const requests = readJson(stream.duplex, maxKadRequestBytes)
      const { done, value } = await requests.next()
      if (done || Math.max(peers.take(stream.remotePeer), addresses.take(stream.remoteAddress)) > 0) return
      await writeJson(stream.duplex, await answer(stream, value))
      stream.duplex.end()
      await requests.next().catch(() => {}) // the other end ends the stream when it has the answer
    } finally {
      cancel()
      stream.abort()
    }
  }
  host.handle(kadProtocol, (stream) => {
    const giveBack = stop.signal.aborted ? undefined : take(stream)
    if (!giveBack) return stream.abort()
    converse(stream)
      .catch((error: unknown) => log.debug('reach.kad.dropped', { peer: stream.remotePeer, problem: asFault(error).message }))
      .finally(giveBack)
  })

  const met = (peerId: string, card: SignedCard | undefined): void => {
    if (!card || card.addresses.length === 0) return
    table.add(card)
    nodes.remember(peerId, card.addresses)
  }
  const asking = kadAsk({ host, clock, card: ownCard, met })
  const ask: KadAsk = async (contact, target, signal) => {
    try {
      return await asking(contact, target, signal)
    } catch (error) {
      if (contact.peerId !== undefined && !signal.aborted) table.remove(contact.peerId)
      throw error
    }
  }
  const refresh = async (): Promise<void> => {
    for (const target of [identity.peerId, createIdentity().peerId]) {
      const seeds = [...bootstrap, ...table.closest(target, clock.now()), ...nodes.all().slice(0, maxSeeds)]
      await kadLookup(ask, target, seeds, () => {}, deadline(clock, refreshForMs, stop.signal))
    }
    log.info('reach.kad.refreshed', { nodes: table.count() })
  }
  const run = async (): Promise<void> => {
    let waitMs = lonelyMs
    while (!stop.signal.aborted) {
      await refresh().catch((error: unknown) => log.warn('reach.kad.not_refreshed', { problem: asFault(error).message }))
      const isLonely = table.count() === 0 && bootstrap.length > 0
      waitMs = isLonely ? lonelyMs : Math.min(refreshMs, 2 * waitMs)
      await clock.wait(waitMs * (0.9 + randomFraction() / 5), stop.signal).catch(() => {})
    }
  }
  const running = run()
  return {
    async close() {
      stop.abort(new Error('closed'))
      host.unhandle(kadProtocol)
      await running
    },
  }
}
