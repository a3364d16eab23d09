// The peer host: encrypted streams between identities, over TCP or WebSockets. libp2p (Noise, Yamux) does the work; nothing of it shows outside this folder.
import type { Duplex } from 'node:stream'
import type { Connection, ConnectionGater, MultiaddrConnection, Stream } from '@libp2p/interface'
import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Identity } from '../../identity/identity.ts'
import { ipOf, isLoopback } from '../address.ts'
import { createDialer, reasonOf } from '../dial.ts'
import { fault } from '../fault.ts'
import { endMoved } from '../moved.ts'
import type { Place, Places } from '../relay/place.ts'
import type { RelayRules } from '../relay/server.ts'
import { type ProxyFor, noProxy } from '../proxy.ts'
import { slots } from '../slots.ts'
import { peerStream } from '../stream.ts'

/** What is dropped with a stream. */
export type Dropped = 'stream' | 'idle' | 'connection'

/** One stream to a peer whose key was proved in the handshake. */
export interface PeerStream {
  /** The proved peer id of the other end. */
  readonly remotePeer: string
  /** The IP address at the other end of the path, as we see it: of a relayed one the relay's. */
  readonly remoteAddress: string
  /** Whether a relay is on the way. It carries what it cannot read. */
  readonly isRelayed: boolean
  readonly protocol: string
  /** The bytes, with back-pressure and half-close both ways. A clean end may also mean that the path broke: say goodbye in your own protocol. */
  readonly duplex: Duplex
  /** Ends our side once what was written has left, lets the other end for a moment, then lets go of both. Never rejects. */
  close(): Promise<void>
  /**
   * Drops the stream at once. `'connection'` drops the whole connection beneath it: for a path that was found dead, so that the next dial makes a new one;
   * `'idle'` drops that if nothing else goes over it.
   */
  abort(what?: Dropped): void
}

/** One, or several of which the first that the other end offers counts. */
export type Protocols = string | readonly string[]

export interface PeerHost {
  readonly peerId: string
  /** Where we can be reached: multiaddrs that end in `/p2p/<our id>`, announced ones first, then loopback, those through relays last. */
  addresses(): readonly string[]
  /** Serves `protocol` (`/fairlead/<name>/1`). Each stream that arrives belongs to `accept`. */
  handle(protocol: string, accept: (stream: PeerStream) => void): void
  /** Serves the protocol no more: who asks for it learns that it is not offered. */
  unhandle(protocol: string): void
  /**
   * A stream to `peerId`, over a connection that is open or a new one; the addresses are raced, each started 150 ms after the one before, and those through a
   * relay begin 150 ms after the first direct one. The kind of the addresses counts: with direct ones alone no relay is used, and with relayed ones alone no other way.
   * Without a peer id it takes whoever answers: compare `remotePeer` before anything is said. Faults: `peer.unreachable`, `peer.wrong_identity`, `peer.refused`, `peer.bad_address`, `peer.closed`.
   */
  dial(peerId: string | undefined, addresses: readonly string[], protocol: Protocols, signal?: AbortSignal): Promise<PeerStream>
  /** Ends every stream and connection and frees the ports. */
  close(): Promise<void>
}

/** A host that runs in this process. */
export interface OwnHost extends PeerHost {
  /**
   * Keeps a place at a relay (its id, and a multiaddr), by which those reach us who cannot do so directly; `addresses()` has it for as long as it holds.
   * Never fails: what goes wrong is logged, and tried again.
   */
  keepPlace(relay: string, address: string): Place
  /** Whether a new connection to this one address leads to the peer: then it is ended at once. Never fails. */
  reaches(peerId: string, address: string, signal: AbortSignal): Promise<boolean>
  /** Carries circuits between others from now on. */
  relay(rules: RelayRules): Promise<void>
  /** How many bytes have arrived so far on streams of this protocol (`/fairlead/<name>/1`) and those below it, whoever opened them. */
  countBytes(protocol: string): number
}

export type PeerHostNeeds = {
  readonly identity: Identity
  readonly log: Log
  readonly clock: Clock
  /** Asked for the proved id of everyone who comes in; `false` ends the connection before any stream. Absent: everyone. */
  readonly mayConnect?: (peerId: string) => boolean
  /** The proxy that a WebSocket to somewhere goes through. Absent: none. */
  readonly proxyFor?: ProxyFor
}

export type PeerHostSettings = {
  /** Multiaddrs (`/ip4/0.0.0.0/tcp/8766`, `/ip4/0.0.0.0/tcp/8767/ws`); empty for a client. */
  readonly listen: readonly string[]
  /** Multiaddrs under which others reach us, beside those we listen on. */
  readonly announce?: readonly string[]
  /** Connections that come in from one IP address, whose ids cost nothing, and are open at once: 1,024 by default, a quarter of all. */
  readonly maxPerAddress?: number
}

/** Starts a host. Faults: `peer.bad_address`, `peer.cannot_listen`. */
export async function createPeerHost(needs: PeerHostNeeds, settings: PeerHostSettings): Promise<OwnHost> {
  const { identity, log, clock, proxyFor = noProxy } = needs
  const { listen, announce = [], maxPerAddress = 1_024 } = settings
  const { createNetwork, maxStreams, parseAddress, parseListen, wrongIdentity } = await import('../libp2p.ts')
  const check = (addresses: readonly string[], problemOf: (address: string) => string | undefined): void => {
    for (const address of addresses) {
      const problem = problemOf(address)
      if (problem) throw fault.bad_address({ address, problem })
    }
  }
  check(listen, parseListen)
  check(announce, parseAddress)
  const network = await createNetwork({ identity, listen, announce, gater: createGater(needs, maxPerAddress), proxyFor, clock }).catch(
    (error: unknown) => {
      throw fault.cannot_listen({ addresses: listen, problem: reasonOf(error) }, error)
    },
  )
  const dialer = createDialer(network, identity.peerId, clock, { maxStreams, wrongIdentity })
  const { peerId } = identity
  const stopLooking = endMoved(
    clock,
    () => network.node.getConnections(),
    (address) => log.info('peer.moved', { address }),
  )
  const arrivedBytes = new Map<string, number>()
  const count = (protocol: string, sizeBytes: number) => arrivedBytes.set(protocol, (arrivedBytes.get(protocol) ?? 0) + sizeBytes)
  const wrapped = (stream: Stream, connection: Connection): PeerStream =>
    peerStream(stream, connection, clock, (sizeBytes) => count(stream.protocol.split('/', 4).join('/'), sizeBytes))
  let isClosed = false
  let places: Places | undefined
  const direct = (): readonly string[] => announced(network.listening().map(String), announce, peerId)
  return {
    peerId,
    countBytes: (protocol) => arrivedBytes.get(protocol) ?? 0,
    addresses: () => [...direct(), ...(places?.addresses() ?? [])],
    handle(protocol, accept) {
      const options = { maxInboundStreams: maxStreams, maxOutboundStreams: maxStreams, runOnLimitedConnection: true } // pitfall 7
      const incoming = (stream: Stream, connection: Connection): void => accept(wrapped(stream, connection))
      void network.node
        .handle(protocol, incoming, options)
        .catch((error: unknown) => log.error('peer.handle_failed', { protocol, problem: reasonOf(error) }))
    },
    unhandle(protocol) {
      void network.node
        .unhandle(protocol)
        .catch((error: unknown) => log.error('peer.unhandle_failed', { protocol, problem: reasonOf(error) }))
    },
    async dial(peerId, addresses, protocol, signal) {
      if (isClosed) throw fault.closed({ peerId: identity.peerId })
      const { stream, connection } = await dialer.open(peerId, addresses, protocol, signal)
      return wrapped(stream, connection)
    },
    keepPlace(relay, address) {
      const stop = new AbortController()
      const keep = async (): Promise<void> => {
        const { createPlaces } = await import('../relay/place.ts') // who only dials needs none
        if (isClosed || stop.signal.aborted) return
        places ??= createPlaces({ network, openAnew: dialer.openAnew, peerId, clock, log })
        const place = places.keep(relay, address)
        stop.signal.addEventListener('abort', () => place.close())
      }
      void keep()
      return { close: () => stop.abort() }
    },
    async reaches(peerId, address, signal) {
      const suffix = `/p2p/${peerId}`
      try {
        const connection = await network.connect(network.address(address.endsWith(suffix) ? address : `${address}${suffix}`), signal)
        connection.abort(new Error('only a question'))
        return true
      } catch {
        return false
      }
    },
    async relay(rules) {
      const { serveRelay } = await import('../relay/server.ts')
      serveRelay({ network, clock, log, addresses: direct }, rules)
    },
    async close() {
      isClosed = true
      stopLooking()
      places?.close()
      await network.close()
    },
  }
}

/** Announced addresses first, then those we listen on, loopback last; each ends in `/p2p/<id>` (pitfall 5: libp2p alone would leave the public ones out). */
export function announced(listening: readonly string[], announce: readonly string[], peerId: string): readonly string[] {
  const suffix = `/p2p/${peerId}`
  const usable = listening.filter((address) => !address.startsWith('/ip6/fe80:')) // useless without the zone, which is the reader's
  const ordered = [...announce, ...usable.filter((address) => !isLoopback(address)), ...usable.filter(isLoopback)]
  return [...new Set(ordered.map((address) => (address.endsWith(suffix) ? address : `${address}${suffix}`)))]
}

/** Handshakes under way from one IP address: whoever opens connections and says nothing takes only a part of the room (512). */
const maxHandshakes = 128

function createGater({ log, mayConnect }: PeerHostNeeds, perAddress: number): ConnectionGater {
  const underWay = new Map<string, number>()
  const take = slots({ most: Infinity, perPeer: Infinity, perAddress })
  const finishers = new WeakMap<MultiaddrConnection, () => void>()
  return {
    denyInboundConnection(connection) {
      const from = ipOf(connection.remoteAddr)
      const count = underWay.get(from) ?? 0
      const giveBack = count < maxHandshakes ? take({ remotePeer: '', remoteAddress: from }) : undefined
      if (!giveBack) {
        log.debug('peer.connection_refused', { from })
        return true
      }
      underWay.set(from, count + 1)
      let isCounted = true
      const done = (): void => {
        if (!isCounted) return
        isCounted = false
        const left = (underWay.get(from) ?? 1) - 1
        if (left > 0) underWay.set(from, left)
        else underWay.delete(from)
      }
      finishers.set(connection, done)
      connection.addEventListener('close', () => {
        done()
        giveBack()
      })
      return false
    },
    denyInboundEncryptedConnection(peer, connection) {
      finishers.get(connection)?.()
      const isDenied = mayConnect !== undefined && !mayConnect(peer.toString())
      if (isDenied) log.info('peer.denied', { peer: peer.toString(), from: connection.remoteAddr.toString() })
      return isDenied
    },
  }
}
