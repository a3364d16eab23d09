// A host as a relay: it carries circuits between peers that dial and peers that keep a place here, and reads nothing of what passes, for that is encrypted between
// those two. All of it is bounded, and a circuit as fast as the slower of its ends: libp2p's own relay holds in memory what the slower one has not taken.
import type { Connection, Stream } from '@libp2p/interface'
import { type Clock, deadline } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/fault.ts'
import type { Log } from '../../../kernel/log.ts'
import { ipOf, isCircuit } from '../address.ts'
import type { PeerStream } from '../host/host.ts'
import { splice } from '../host/socket.ts'
import type { Network } from '../libp2p.ts'
import { type RelayMessage, hopProtocol, hopTypes, readRelayMessage, relayBytes, statuses, stopProtocol, stopTypes } from './message.ts'
import { slots } from '../slots.ts'
import { peerStream } from '../stream.ts'

/** What a relay grants. A circuit has no limit of bytes or time: it lasts as long as its two ends and the relay. */
export type RelayRules = {
  /** Whether the peer may keep a place here; asked again each time it renews. */
  readonly mayReserve: (peerId: string) => boolean
  /** Peers with a place: 1,024, and half of them behind one IP address, for ids cost nothing. */
  readonly maxPlaces?: number
  readonly maxPlacesPerAddress?: number
  /** Circuits at once: 512, 32 that one peer has dialled, and half of all from one IP address. */
  readonly maxCircuits?: number
  readonly maxCircuitsPerPeer?: number
  readonly maxCircuitsPerAddress?: number
}

/** A place that nobody renews is given up after this long; it ends with its connection anyway. */
const placeMs = 3_600_000
/** How long whoever asks may take to say what, and whoever is asked to answer. */
const messageMs = 5_000
/** Who may have a place is waited for so long: after a break both ends come back at the same time. */
const arrivalMs = 1_000
/** A connection that has lost its place to another one of the same peer is asked whether it still leads there; if it takes so much longer to answer than the new one, it does not. */
const probeTimes = 3
const leastProbeMs = 250
const mostProbeMs = 1_000
/** Questions under way. */
const maxAsking = 512
const maxAskingPerPeer = 32

type Place = { readonly connection: Connection; readonly until: number }

export type RelayServerNeeds = {
  readonly network: Network
  readonly clock: Clock
  readonly log: Log
  /** Where this host is reached. */
  readonly addresses: () => readonly string[]
}

/** Serves as a relay until the network stops. */
export function serveRelay({ network, clock, log, addresses }: RelayServerNeeds, rules: RelayRules): void {
  const { mayReserve, maxPlaces = 1_024, maxCircuits = 512, maxCircuitsPerPeer = 32 } = rules
  const { maxPlacesPerAddress = Math.ceil(maxPlaces / 2), maxCircuitsPerAddress } = rules
  const places = new Map<string, Place>()
  const room = slots({ most: maxCircuits, perPeer: maxCircuitsPerPeer, perAddress: maxCircuitsPerAddress })
  const awaited = new Map<string, Set<() => void>>()
  const take = slots({ most: maxAsking, perPeer: maxAskingPerPeer })

  function reserve(connection: Connection): Omit<RelayMessage, 'type'> {
    const peer = connection.remotePeer.toString()
    const kept = places.get(peer)
    if (isCircuit(connection)) return { status: statuses.denied }
    if (!mayReserve(peer)) {
      places.delete(peer)
      return { status: statuses.denied }
    }
    if (!kept && places.size >= maxPlaces) forgetOld()
    if (!kept && (places.size >= maxPlaces || placesAt(connection) >= maxPlacesPerAddress)) return { status: statuses.refused }
    // the newest connection counts: the one before may lead nowhere any more
    places.set(peer, { connection, until: clock.mono() + placeMs })
    for (const arrived of awaited.get(peer) ?? []) arrived()
    if (kept?.connection !== connection) {
      if (kept) void probe(kept.connection, connection)
      log.info('peer.relay.place', { peer, places: places.size })
      connection.addEventListener('close', () => {
        if (places.get(peer)?.connection === connection) places.delete(peer)
      })
    }
    const expire = Math.floor((clock.now() + placeMs) / 1000)
    return { status: statuses.ok, reservation: { expire, addresses: addresses().map((text) => network.address(text).bytes) } }
  }
  /** Places of all who are behind the same IP address: ids cost nothing. */
  const placesAt = ({ remoteAddr }: Connection): number =>
    [...places.values()].filter(({ connection }) => ipOf(connection.remoteAddr) === ipOf(remoteAddr)).length

  /** Ends the connection `before` if nobody answers there, so that the circuits over it end as well, and are made anew at the other end's new place. */
  async function probe(before: Connection, now: Connection): Promise<void> {
    const late = new AbortController()
    const from = clock.mono()
    const old = answers(before, AbortSignal.any([late.signal, deadline(clock, mostProbeMs)]))
    if (await answers(now, deadline(clock, mostProbeMs))) {
      const thatMs = clock.mono() - from
      clock.after(Math.max(leastProbeMs, probeTimes * thatMs) - thatMs, () => late.abort(new Error('the other one was faster')))
    }
    if (!(await old)) before.abort(new Error('the path was found dead'))
  }
  async function answers(connection: Connection, signal: AbortSignal): Promise<boolean> {
    try {
      const stream = await connection.newStream(stopProtocol, { signal, maxOutboundStreams: maxCircuits, runOnLimitedConnection: true })
      stream.abort(new Error('only a question'))
      return true
    } catch (error) {
      return (error as Error).name === 'UnsupportedProtocolError'
    }
  }
  /** The peer's place, as soon as it has one. */
  async function placeOf(peer: string): Promise<Place | undefined> {
    if (!places.has(peer) && mayReserve(peer)) {
      const waiting = awaited.get(peer) ?? new Set()
      awaited.set(peer, waiting)
      await new Promise<void>((resolve) => {
        const done = (): void => {
          cancel()
          waiting.delete(done)
          if (waiting.size === 0) awaited.delete(peer)
          resolve()
        }
        const cancel = clock.after(arrivalMs, done)
        waiting.add(done)
      })
    }
    return places.get(peer)
  }
  function forgetOld(): void {
    const now = clock.mono()
    for (const [peer, { until, connection }] of places) if (until <= now || connection.status !== 'open') places.delete(peer)
  }

  /** A stream on which the peer with the place said yes; rejects when it does not, or is not there. */
  async function toPlace({ connection }: Place, from: string): Promise<PeerStream> {
    const signal = deadline(clock, messageMs)
    const options = { signal, maxOutboundStreams: maxCircuits, runOnLimitedConnection: true }
    const stream = peerStream(await connection.newStream(stopProtocol, options), connection, clock)
    const cancel = clock.after(messageMs, () => stream.abort())
    try {
      stream.duplex.write(relayBytes('stop', { type: stopTypes.connect, peer: from }))
      const { status } = await readRelayMessage('stop', stream.duplex)
      if (status === statuses.ok) return stream
      throw new Error(`it answered with status ${status ?? 'none'}`)
    } catch (error) {
      stream.abort()
      throw error
    } finally {
      cancel()
    }
  }

  /** The status to answer; of a yes only once the circuit stands, which goes on from there by itself. */
  async function connect(near: PeerStream, to: string | undefined): Promise<number> {
    const from = near.remotePeer
    if (near.isRelayed) return statuses.denied
    if (to === undefined) return statuses.malformed
    const place = await placeOf(to)
    if (!place) return statuses.noPlace
    const giveBack = room(near)
    if (!giveBack) return statuses.full
    try {
      const far = await toPlace(place, from)
      log.debug('peer.relay.circuit', { from, to })
      near.duplex.write(statusBytes({ status: statuses.ok }))
      void splice(near.duplex, far.duplex).then(giveBack)
      return statuses.ok
    } catch (error) {
      giveBack()
      log.info('peer.relay.not_reached', { from, to, problem: reasonOf(error) })
      return statuses.failed
    }
  }

  async function answer(stream: PeerStream, connection: Connection): Promise<void> {
    const cancel = clock.after(messageMs, () => stream.abort())
    const { type, peer } = await readRelayMessage('hop', stream.duplex).finally(cancel)
    if (type === hopTypes.connect) {
      const status = await connect(stream, peer)
      if (status === statuses.ok) return
      stream.duplex.write(statusBytes({ status }))
    } else stream.duplex.write(statusBytes(type === hopTypes.reserve ? reserve(connection) : { status: statuses.unexpected }))
    await stream.close()
  }

  const incoming = (raw: Stream, connection: Connection): void => {
    const stream = peerStream(raw, connection, clock)
    const giveBack = take(stream)
    if (!giveBack) return stream.abort()
    answer(stream, connection)
      .catch((error: unknown) => {
        log.debug('peer.relay.dropped', { peer: stream.remotePeer, problem: reasonOf(error) })
        stream.abort()
      })
      .finally(giveBack)
  }
  const options = {
    maxInboundStreams: maxCircuitsPerPeer + maxAskingPerPeer,
    maxOutboundStreams: maxCircuits,
    runOnLimitedConnection: true,
  }
  void network.node.handle(hopProtocol, incoming, options).catch((error: unknown) => log.error('peer.relay.not_served', { error }))
}

function statusBytes(said: Omit<RelayMessage, 'type'>): Buffer {
  return relayBytes('hop', { type: hopTypes.status, ...said })
}
