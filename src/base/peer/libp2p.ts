// Assembles libp2p with settings that hold under load; loaded on demand, since it costs more to load than all the rest of us.
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { noise } from '@libp2p/noise'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import type {
  ComponentLogger,
  Connection,
  ConnectionGater,
  Ed25519PrivateKey,
  Ed25519PublicKey,
  Libp2p,
  Logger,
  PeerId,
  Upgrader,
} from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { getThinWaistAddresses } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Clock } from '../../kernel/clock.ts'
import type { Identity } from '../identity/identity.ts'
import { webTarget } from './address.ts'
import { DuplexConnection } from './connection.ts'
import { connectEagerly } from './eager-connect.ts'
import type { ProxyFor } from './proxy.ts'
import { sealInPieces, straightConnection, straightEncryption, straightMuxer } from './savings.ts'
import type { WebListener } from './websocket/listen.ts'

/** The error message by which a failed dial is known to have met somebody else. */
export const wrongIdentity = 'fairlead: another key was proved than the one asked for'

/** Streams of one protocol on one connection; libp2p's own 32 in and 64 out are too few for a cache or a busy gate. */
export const maxStreams = 1_024

/** A socket holds as much as a stream hands over at once, where 64 KiB would stop and wake all of libp2p four times. */
const socketOptions = { noDelay: true, highWaterMark: 256 << 10 }

export type Network = {
  readonly node: Libp2p
  /** A connection of its own to this one address, which ends in `/p2p/<id>`. The id is proved before it resolves. */
  connect(address: Multiaddr, signal: AbortSignal): Promise<Connection>
  /** The same over a circuit that a relay carries. `relayed` ends in `/p2p-circuit/p2p/<id>`; `limits` are the relay's, if it has any. */
  connectOver(circuit: Duplex, relayed: Multiaddr, signal: AbortSignal, limits?: CircuitLimits): Promise<Connection>
  /** Takes a connection that came over a circuit; resolves when its key is proved. */
  acceptOver(circuit: Duplex, relayed: Multiaddr, signal: AbortSignal, limits?: CircuitLimits): Promise<void>
  /** The addresses that we really listen on, port 0 and wildcards resolved. */
  listening(): readonly Multiaddr[]
  readonly peerId: (text: string) => PeerId
  readonly address: (text: string) => Multiaddr
  /** Of a binary multiaddr; throws for what is none. */
  readonly textOf: (bytes: Uint8Array) => string
  close(): Promise<void>
}

export type CircuitLimits = { readonly seconds?: number; readonly bytes?: number }

export type NetworkSettings = {
  readonly identity: Identity
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly gater: ConnectionGater
  readonly proxyFor: ProxyFor
  readonly clock: Clock
}

type Parts = { readonly transportManager: TransportManager; readonly upgrader: Upgrader }
type TransportManager = { dial(address: Multiaddr, options: { signal: AbortSignal }): Promise<Connection>; getAddrs(): Multiaddr[] }

/** Starts libp2p and listens. Throws what libp2p throws. */
export async function createNetwork({ identity, listen, announce, gater, proxyFor, clock }: NetworkSettings): Promise<Network> {
  let parts: Parts | undefined
  const node = await createLibp2p({
    privateKey: signerOf(identity),
    addresses: { listen: listen.filter((each) => !webTarget(each)), appendAnnounce: [...announce] }, // pitfall 5: public addresses are not announced by themselves
    transports: [eagerTcp(clock)],
    connectionEncrypters: [checkedNoise],
    streamMuxers: [straightYamux],
    connectionGater: gater,
    connectionManager: {
      maxConnections: 4_096,
      inboundConnectionThreshold: 1_000, // pitfall 6: a second and IP address; 5 by default, and many runners share one NAT
      maxIncomingPendingConnections: 512,
      inboundUpgradeTimeout: 5_000,
    },
    connectionMonitor: { pingTimeout: { minTimeout: 8_000 } },
    datastore: forgetful as Datastore,
    logger: quiet,
    services: {
      // A service is libp2p's own door to its parts: connect() races addresses by itself, where its dial queue would try one after another.
      parts: (components: Parts) => {
        parts = components
        return {}
      },
    },
  })
  const web = await listenWeb(listen, parts!.upgrader).catch(async (error: unknown) => {
    await node.stop()
    throw error
  })
  return {
    node,
    connect: (address, signal) =>
      webTarget(address.toString())
        ? connectWeb({ upgrader: parts!.upgrader, proxyFor }, address, signal)
        : parts!.transportManager.dial(address, { signal }),
    connectOver: (circuit, relayed, signal, limits) =>
      parts!.upgrader.upgradeOutbound(new DuplexConnection(circuit, relayed, 'outbound', silent), limited(signal, limits)),
    acceptOver: (circuit, relayed, signal, limits) =>
      parts!.upgrader.upgradeInbound(new DuplexConnection(circuit, relayed, 'inbound', silent), limited(signal, limits)),
    listening: () => [...parts!.transportManager.getAddrs(), ...web.flatMap(({ addresses }) => addresses())],
    peerId: peerIdFromString,
    address: multiaddr,
    textOf: (bytes) => multiaddr(bytes).toString(),
    async close() {
      await Promise.all([node.stop(), ...web.map(({ listener }) => listener.close())])
    },
  }
}

type WebPlace = { readonly listener: WebListener; readonly addresses: () => readonly Multiaddr[] }

/** Listens for WebSockets where the addresses say so: what comes is made a connection like any other. */
async function listenWeb(listen: readonly string[], upgrader: Upgrader): Promise<readonly WebPlace[]> {
  const wanted = listen.filter((each) => webTarget(each))
  if (wanted.length === 0) return []
  const { listenForWebSockets } = await import('./websocket/listen.ts') // most listen for none
  const signal = new AbortController().signal // the upgrader has a time of its own
  const places: WebPlace[] = []
  try {
    for (const address of wanted) {
      const listener = await listenForWebSockets(webTarget(address)!, (stream, { host, port }) => {
        const from = multiaddr(`/ip${isIP(host) === 6 ? 6 : 4}/${host}/tcp/${port}/ws`)
        upgrader
          .upgradeInbound(new DuplexConnection(stream, from, 'inbound', silent), { signal })
          .catch((error: unknown) => stream.destroy(error as Error))
      })
      const thin = multiaddr(address.replace(/\/ws$/, ''))
      places.push({ listener, addresses: () => getThinWaistAddresses(thin, listener.port).map((each) => each.encapsulate('/ws')) })
    }
    return places
  } catch (error) {
    await Promise.all(places.map(({ listener }) => listener.close()))
    throw error
  }
}

type WebNeeds = { readonly upgrader: Upgrader; readonly proxyFor: ProxyFor }

async function connectWeb({ upgrader, proxyFor }: WebNeeds, address: Multiaddr, signal: AbortSignal): Promise<Connection> {
  const { openWebSocket } = await import('./websocket/dial.ts') // most dial none
  const target = webTarget(address.toString())!
  const stream = await openWebSocket(target, proxyFor(target), signal)
  try {
    return await upgrader.upgradeOutbound(new DuplexConnection(stream, address, 'outbound', silent), { signal })
  } catch (error) {
    stream.destroy()
    throw error
  }
}

function limited(signal: AbortSignal, limits: CircuitLimits | undefined) {
  const { seconds, bytes } = limits ?? {}
  if (!seconds && !bytes) return { signal }
  return { signal, limits: { ...(seconds ? { seconds } : {}), ...(bytes ? { bytes: BigInt(bytes) } : {}) } }
}

/** The identity as libp2p's private key: it signs, and the key itself stays where it is. */
function signerOf(identity: Identity): Ed25519PrivateKey {
  const publicKey = publicKeyFromRaw(identity.publicKey) as Ed25519PublicKey
  return {
    type: 'Ed25519',
    publicKey,
    get raw(): Uint8Array {
      throw new Error('a private key does not leave its identity')
    },
    equals: (other) => (other === undefined ? false : publicKey.equals(other.publicKey)),
    sign: (data) => identity.sign(data instanceof Uint8Array ? data : data.subarray()),
  }
}

/** What is wrong with the text as a multiaddr of ours, if anything is. */
export function parseAddress(text: string): string | undefined {
  try {
    const parts = multiaddr(text).getComponents()
    return parts.some(({ name }) => name === 'tcp') ? undefined : 'it names no TCP port'
  } catch (error) {
    return error instanceof Error ? error.message : 'unreadable'
  }
}

/** What is wrong with it as a place to listen at. */
export function parseListen(text: string): string | undefined {
  const problem = parseAddress(text)
  if (problem) return problem
  if (/\/(?:wss|tls)\b/.test(text)) return 'TLS is for a web server in front of this one, which listens at /ws: announce the /wss address'
  return /^\/ip[46]\/[^/]+\/tcp\/\d+(?:\/ws)?$/.test(text) ? undefined : 'one listens at /ip4/ADDRESS/tcp/PORT, or that and /ws'
}

/**
 * Noise as it is, but cheaper in both directions, and with a wrong key told from any other failure: libp2p's upgrader keeps nothing of an error but
 * its message.
 */
const checkedNoise: ReturnType<typeof noise> = (components) => {
  const encrypter = noise()(components)
  sealInPieces(encrypter)
  const secureOutbound = encrypter.secureOutbound.bind(encrypter)
  const secureInbound = encrypter.secureInbound.bind(encrypter)
  encrypter.secureOutbound = async (connection, options) => {
    straightConnection(connection)
    try {
      const secured = await secureOutbound(connection, options)
      straightEncryption(secured.connection, connection)
      return secured
    } catch (error) {
      throw (error as Error).name === 'UnexpectedPeerError' ? new Error(wrongIdentity, { cause: error }) : error
    }
  }
  encrypter.secureInbound = async (connection, options) => {
    straightConnection(connection)
    const secured = await secureInbound(connection, options)
    straightEncryption(secured.connection, connection)
    return secured
  }
  return encrypter
}

const eagerTcp = (clock: Clock): ReturnType<typeof tcp> => {
  const make = tcp({ dialOpts: socketOptions, listenOpts: socketOptions })
  return (parts) => {
    const transport = make(parts)
    connectEagerly(transport, clock)
    return transport
  }
}

const straightYamux: ReturnType<typeof yamux> = () => {
  const muxers = yamux({
    maxInboundStreams: 4 * maxStreams,
    maxOutboundStreams: 4 * maxStreams,
    maxEarlyStreams: maxStreams, // streams that come before our side has finished the handshake: past 10, by default, the whole connection is reset
    streamOptions: { maxStreamWindowSize: 2 << 20 }, // pitfall 2: a window that may not grow past what the read buffer (4 MiB) can hold
  })()
  const createStreamMuxer = muxers.createStreamMuxer.bind(muxers)
  muxers.createStreamMuxer = (connection) => {
    const muxer = createStreamMuxer(connection)
    straightMuxer(muxer)
    return muxer
  }
  return muxers
}

type Datastore = NonNullable<NonNullable<Parameters<typeof createLibp2p>[0]>['datastore']>

/**
 * libp2p would keep in memory, for hours, what each peer speaks that ever opened a stream, strangers too: 22 KB an id with the buffers that it holds on to. We ask
 * nothing of it, so nothing is kept; the parts of a store that libp2p uses.
 */
const forgetful: Pick<Datastore, 'get' | 'has' | 'put' | 'delete' | 'query'> = {
  get() {
    throw Object.assign(new Error('nothing is kept'), { name: 'NotFoundError' })
  },
  has: () => false,
  put: (key) => key,
  delete() {},
  *query() {},
}

/** libp2p's own log is for its developers: what an operator must know, we say ourselves. */
const quiet: ComponentLogger = { forComponent: () => silent }
const silent: Logger = Object.assign(() => {}, { enabled: false, trace: () => {}, error: () => {}, newScope: () => silent })
