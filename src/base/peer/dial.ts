// Opens streams to a peer: over a connection that is there, or over the first of its addresses that proves to be it: TCP itself before WebSockets before relays.
import type { Connection, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { publicKeyOf } from '../identity/identity.ts'
import { byKind, isCircuit, isRelayed, kindOf, relayOf } from './address.ts'
import { fault } from './fault.ts'
import type { Protocols } from './host/host.ts'
import type { Network } from './libp2p.ts'

const staggerMs = 150
/** So much later than the ways of one kind those of the next are tried: a better way that is there has been proved by then, most often. */
const kindAfterMs = 150
const addressMs = 6_000
const dialMs = 10_000
/** A connection that is open may lead nowhere any more: after this long a new one is made beside it, and the first that answers counts. */
const besideMs = 300
/** After this long nothing is hoped of it. */
const reuseMs = 3_000
/** A way that missed is tried again after this long while another one is under way: that may hang where nobody answers, and this one be back meanwhile. */
const wayAgainMs = 250
const maxAddresses = 16
/** Open connections to one peer that are tried before a new one is made. */
const maxReused = 4

type Opened = { readonly stream: Stream; readonly connection: Connection }
type Way = { readonly address: string; readonly connect: (signal: AbortSignal) => Promise<Connection> }
/** Ways of one kind, in their order. */
type Lane = { readonly ways: Way[]; cancelNext: () => void }
type Miss = { readonly address: string; readonly problem: string; readonly isOther: boolean }

export type Dialer = {
  /** An open connection is used only if it is of a kind that the addresses name, direct or relayed; without addresses any will do. */
  open(peerId: string | undefined, addresses: readonly string[], protocol: Protocols, signal?: AbortSignal): Promise<Opened>
  /** The same over a new connection. */
  openAnew(peerId: string | undefined, addresses: readonly string[], protocol: Protocols, signal: AbortSignal): Promise<Opened>
}

/**
 * Dials for `own`, over `network`. Faults: `peer.unreachable`, `peer.wrong_identity` when another key is proved than the one asked for, `peer.refused` when the
 * protocol is not offered.
 */
export function createDialer(
  network: Network,
  own: string,
  clock: Clock,
  limits: { readonly maxStreams: number; readonly wrongIdentity: string },
): Dialer {
  const { maxStreams, wrongIdentity } = limits
  /** Dials under way, by peer and addresses: who asks for the same shares it, and it stops when nobody waits any more. */
  const underWay = new Map<string, { readonly connection: Promise<Connection>; readonly stop: AbortController; waiting: number }>()

  async function connect(peerId: string | undefined, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
    const key = [peerId ?? '*', ...addresses].join(' ')
    let dial = underWay.get(key)
    if (!dial) {
      const stop = new AbortController()
      const connection = race(peerId, addresses, stop.signal)
      const started = { connection, stop, waiting: 0 }
      const over = (): void => void (underWay.get(key) === started && underWay.delete(key))
      connection.then(over, over) // every waiter may have gone
      stop.signal.addEventListener('abort', over) // whoever asks from now on begins anew
      underWay.set(key, (dial = started))
    }
    dial.waiting++
    try {
      return await orAborted(dial.connection, signal, () =>
        fault.unreachable({ peerId: named(peerId), addresses, problem: 'gave up waiting for an answer' }),
      )
    } finally {
      if (--dial.waiting === 0) dial.stop.abort()
    }
  }

  function race(peerId: string | undefined, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
    const { lanes, misses } = waysOf(peerId, addresses.slice(0, maxAddresses))
    return new Promise((resolve, reject) => {
      const attempts = new Set<AbortController>()
      let isOver = false
      const end = (): void => {
        isOver = true
        for (const lane of lanes) lane.cancelNext()
        signal.removeEventListener('abort', end)
        for (const attempt of attempts) attempt.abort() // never the winner's: libp2p's socket would follow that signal to its end
        reject(missedAll(named(peerId), addresses, misses)) // unless it is settled already
      }
      const missed = (): void => {
        if (isOver || attempts.size > 0) return
        const lane = lanes.find(({ ways }) => ways.length > 0)
        if (lane) startNext(lane)
        else end()
      }
      const startNext = (lane: Lane): void => {
        lane.cancelNext()
        const way = isOver ? undefined : lane.ways.shift()
        if (!way) return missed()
        const attempt = new AbortController()
        attempts.add(attempt)
        const cancelTimeout = clock.after(addressMs, () => attempt.abort())
        if (lane.ways.length > 0) lane.cancelNext = clock.after(staggerMs, () => startNext(lane))
        way
          .connect(attempt.signal)
          .finally(() => {
            cancelTimeout()
            attempts.delete(attempt)
          })
          .then(
            (connection) => {
              if (isOver) return void connection.close().catch(() => connection.abort(new Error('not needed')))
              resolve(connection)
              end()
            },
            (error: unknown) => {
              const isOther = (error as Error).message === wrongIdentity
              if (!misses.some(({ address }) => address === way.address))
                misses.push({ address: way.address, problem: reasonOf(error), isOther })
              startNext(lane)
              if (!isOver && !isOther) clock.after(wayAgainMs, () => again(lane, way))
            },
          )
      }
      const again = (lane: Lane, way: Way): void => {
        if (isOver || attempts.size === 0) return
        lane.ways.unshift(way)
        startNext(lane)
      }
      signal.addEventListener('abort', end, { once: true })
      const [first, ...later] = lanes
      later.forEach((lane, at) => (lane.cancelNext = clock.after((at + 1) * kindAfterMs, () => startNext(lane))))
      if (first) startNext(first)
      else end()
    })
  }

  /** The ways to the peer, the best kind first; and the addresses that are none. Those of one relay are one way. */
  function waysOf(peerId: string | undefined, addresses: readonly string[]): { lanes: Lane[]; misses: Miss[] } {
    const direct: Way[] = []
    const web: Way[] = []
    const relays = new Map<string, string[]>()
    const misses: Miss[] = []
    for (const text of addresses) {
      const target = targetOf(text, peerId)
      const relay = isRelayed(text) ? relayOf(text) : undefined
      if (typeof target === 'string') misses.push({ address: text, problem: target, isOther: false })
      else if (!isRelayed(text))
        (kindOf(text) === 'websocket' ? web : direct).push({
          address: target.toString(),
          connect: (signal) => network.connect(target, signal),
        })
      else if (relay && peerId !== undefined) relays.set(relay.peerId, [...(relays.get(relay.peerId) ?? []), relay.address])
      else misses.push({ address: text, problem: 'it does not say which relay, or whom to reach there', isOther: false })
    }
    const relayed = [...relays].map(([relay, at]) => ({
      address: `the relay ${relay}`,
      async connect(signal: AbortSignal): Promise<Connection> {
        const { dialThroughRelay } = await import('./relay/dial.ts') // most dials need none
        return dialThroughRelay({ network, clock, open }, { relay, addresses: at, peerId: peerId! }, signal)
      },
    }))
    const lanes = [direct, web, relayed].filter((ways) => ways.length > 0).map((ways): Lane => ({ ways, cancelNext() {} }))
    return { lanes, misses }
  }

  /** The multiaddr to dial, or why it cannot be. */
  function targetOf(text: string, peerId: string | undefined): Multiaddr | string {
    try {
      const address = network.address(text)
      const holder = text.endsWith('/p2p-circuit') ? undefined : address.getComponents().findLast((part) => part.name === 'p2p')?.value
      if (peerId === undefined) return address
      if (holder !== undefined && holder !== peerId) return `it is an address of ${holder}`
      return holder === undefined ? address.encapsulate(`/p2p/${peerId}`) : address
    } catch (error) {
      return reasonOf(error)
    }
  }

  async function stream(connection: Connection, protocol: Protocols, signal: AbortSignal): Promise<Opened> {
    // a relay's connections are limited ones, and ours all the same
    return {
      stream: await connection.newStream([protocol].flat(), { signal, maxOutboundStreams: maxStreams, runOnLimitedConnection: true }),
      connection,
    }
  }

  async function open(peerId: string | undefined, addresses: readonly string[], protocol: Protocols, given?: AbortSignal): Promise<Opened> {
    if (peerId !== undefined) publicKeyOf(peerId)
    if (peerId === own) throw fault.unreachable({ peerId: own, addresses, problem: 'this is our own identity' })
    const signal = given ?? deadline(clock, dialMs)
    const again = reuse(openTo(peerId, addresses), protocol, signal)
    if (addresses.length > 0) {
      const early = await Promise.race([again, new Promise<undefined>((resolve) => clock.after(besideMs, () => resolve(undefined)))])
      return early?.opened ?? firstOf(again, anew(peerId, addresses, protocol, signal))
    }
    const { opened, unsupported } = await again
    if (unsupported) throw fault.refused({ peerId: named(peerId), reason: `it does not offer ${[protocol].flat().at(-1)}` }, unsupported)
    return opened ?? anew(peerId, addresses, protocol, signal)
  }

  type Reused = { readonly opened?: Opened; readonly unsupported?: unknown }

  /** A stream over one of these connections, if any of them answers. */
  async function reuse(connections: readonly Connection[], protocol: Protocols, signal: AbortSignal): Promise<Reused> {
    let unsupported: unknown
    // more than one process of the same identity may be connected to us, and not each of them offers everything
    for (const connection of connections.slice(0, maxReused)) {
      try {
        return { opened: await stream(connection, protocol, deadline(clock, reuseMs, signal)) }
      } catch (error) {
        if (isUnsupported(error)) unsupported ??= error
        // else: what was open a moment ago may just have ended
      }
    }
    return { unsupported }
  }

  async function anew(peerId: string | undefined, addresses: readonly string[], protocol: Protocols, signal: AbortSignal): Promise<Opened> {
    const connection = await connect(peerId, addresses, signal)
    try {
      return await stream(connection, protocol, signal)
    } catch (error) {
      if (signal.aborted) throw fault.unreachable({ peerId: named(peerId), addresses, problem: 'gave up waiting for an answer' }, error)
      const reason = isUnsupported(error)
        ? `it does not offer ${[protocol].flat().at(-1)}`
        : 'it ended the connection before the first stream; does it allow this identity?'
      throw fault.refused({ peerId: named(peerId), reason }, error)
    }
  }

  /** The first that comes; the other one is dropped when it comes, too. */
  function firstOf(again: Promise<Reused>, fresh: Promise<Opened>): Promise<Opened> {
    return new Promise((resolve, reject) => {
      let winner: Opened | undefined
      const take = (opened: Opened): void => {
        if (winner) return opened.stream.abort(new Error('not needed'))
        winner = opened
        resolve(opened)
      }
      void again.then(({ opened }) => opened && take(opened))
      fresh.then(take, async (error: unknown) => (await again).opened ?? reject(error))
    })
  }

  /** Connections to the peer that may be used for these addresses, the best kind first. */
  function openTo(peerId: string | undefined, addresses: readonly string[]): Connection[] {
    if (peerId === undefined) return []
    const isWanted = (connection: Connection): boolean =>
      addresses.length === 0 || addresses.some((address) => isRelayed(address) === isCircuit(connection))
    return network.node
      .getConnections(network.peerId(peerId))
      .filter((connection) => connection.status === 'open' && isWanted(connection))
      .sort((one, other) => byKind(one.remoteAddr.toString(), other.remoteAddr.toString()))
  }

  return { open, openAnew: anew }
}

/** For messages: a peer whose id is still to be learned has none. */
function named(peerId: string | undefined): string {
  return peerId ?? 'the peer'
}

function missedAll(peerId: string, addresses: readonly string[], misses: readonly Miss[]): Error {
  const other = misses.find(({ isOther }) => isOther)
  if (other) return fault.wrong_identity({ peerId, address: other.address })
  const problems = [...new Set(misses.map(({ problem }) => problem))]
  return fault.unreachable({ peerId, addresses, problem: problems.length > 0 ? problems.join('; ') : 'no address to try' })
}

function isUnsupported(error: unknown): boolean {
  return (error as Error).name === 'UnsupportedProtocolError'
}

/** What to say of an error that is not ours: the system's code where it has one. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  if (error instanceof AggregateError && error.errors.length > 0) return [...new Set(error.errors.map(reasonOf))].join('; ')
  // libp2p keeps an aborted handshake's message, but not its name
  if (error.name === 'AbortError' || error.message === 'This operation was aborted') return 'no answer in time'
  return typeof code === 'string' && /^E[A-Z]+$/.test(code) ? code : error.message
}

/** The promise, or `problem()` as soon as the signal aborts. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal, problem: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(problem())
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
