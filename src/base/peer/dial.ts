// Opens streams to a peer: over a connection that is there, or over the first of its addresses that proves to be it.
import type { Connection, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { publicKeyOf } from '../identity/identity.ts'
import { fault } from './fault.ts'
import type { Network } from './libp2p.ts'

const staggerMs = 150
const addressMs = 6_000
const dialMs = 10_000
/** A connection that is open may lead nowhere any more: after this long a new one is made beside it. */
const reuseMs = 3_000
const maxAddresses = 16
/** Open connections to one peer that are tried before a new one is made. */
const maxReused = 4

type Opened = { readonly stream: Stream; readonly connection: Connection }
type Miss = { readonly address: string; readonly problem: string; readonly isOther: boolean }

export type Dialer = {
  open(peerId: string | undefined, addresses: readonly string[], protocol: string, signal: AbortSignal | undefined): Promise<Opened>
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
      const connection = race(peerId, addresses, stop.signal).finally(() => underWay.delete(key))
      connection.catch(() => {}) // every waiter may have gone
      dial = { connection, stop, waiting: 0 }
      underWay.set(key, dial)
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
    const misses: Miss[] = []
    const targets: Multiaddr[] = []
    for (const text of addresses.slice(0, maxAddresses)) {
      const target = targetOf(text, peerId)
      if (typeof target === 'string') misses.push({ address: text, problem: target, isOther: false })
      else targets.push(target)
    }
    return new Promise((resolve, reject) => {
      const attempts = new Set<AbortController>()
      let isOver = false
      let cancelNext = (): void => {}
      const end = (): void => {
        isOver = true
        cancelNext()
        signal.removeEventListener('abort', end)
        for (const attempt of attempts) attempt.abort() // never the winner's: libp2p's socket would follow that signal to its end
      }
      const startNext = (): void => {
        cancelNext()
        const target = isOver ? undefined : targets.shift()
        if (!target) {
          if (!isOver && attempts.size === 0) {
            end()
            reject(missed(named(peerId), addresses, misses))
          }
          return
        }
        const attempt = new AbortController()
        attempts.add(attempt)
        const cancelTimeout = clock.after(addressMs, () => attempt.abort())
        if (targets.length > 0) cancelNext = clock.after(staggerMs, startNext)
        network
          .connect(target, attempt.signal)
          .finally(() => {
            cancelTimeout()
            attempts.delete(attempt)
          })
          .then(
            (connection) => {
              if (isOver) return void connection.close().catch(() => connection.abort(new Error('not needed')))
              end()
              resolve(connection)
            },
            (error: unknown) => {
              misses.push({ address: target.toString(), problem: reasonOf(error), isOther: (error as Error).message === wrongIdentity })
              startNext()
            },
          )
      }
      signal.addEventListener('abort', end, { once: true })
      startNext()
    })
  }

  /** The multiaddr to dial, or why it cannot be. */
  function targetOf(text: string, peerId: string | undefined): Multiaddr | string {
    try {
      const address = network.address(text)
      const holder = address.getComponents().findLast((part) => part.name === 'p2p')?.value
      if (peerId === undefined) return address
      if (holder !== undefined && holder !== peerId) return `it is an address of ${holder}`
      return holder === undefined ? address.encapsulate(`/p2p/${peerId}`) : address
    } catch (error) {
      return reasonOf(error)
    }
  }

  async function stream(connection: Connection, protocol: string, signal: AbortSignal): Promise<Opened> {
    // a relay's connections are limited ones, and ours all the same
    return {
      stream: await connection.newStream(protocol, { signal, maxOutboundStreams: maxStreams, runOnLimitedConnection: true }),
      connection,
    }
  }

  return {
    async open(peerId, addresses, protocol, given) {
      if (peerId !== undefined) publicKeyOf(peerId)
      if (peerId === own) throw fault.unreachable({ peerId: own, addresses, problem: 'this is our own identity' })
      const signal = given ?? deadline(clock, dialMs)
      const open = peerId === undefined ? [] : network.node.getConnections(network.peerId(peerId))
      let unsupported: unknown
      // more than one process of the same identity may be connected to us, and not each of them offers everything
      for (const connection of open.filter(({ status }) => status === 'open').slice(0, maxReused)) {
        try {
          return await stream(connection, protocol, deadline(clock, reuseMs, signal))
        } catch (error) {
          if (isUnsupported(error)) unsupported ??= error
          // else: what was open a moment ago may just have ended
        }
      }
      if (unsupported && addresses.length === 0)
        throw fault.refused({ peerId: named(peerId), reason: `it does not offer ${protocol}` }, unsupported)
      const connection = await connect(peerId, addresses, signal)
      try {
        return await stream(connection, protocol, signal)
      } catch (error) {
        if (signal.aborted) throw fault.unreachable({ peerId: named(peerId), addresses, problem: 'gave up waiting for an answer' }, error)
        const reason = isUnsupported(error)
          ? `it does not offer ${protocol}`
          : 'it ended the connection before the first stream; does it allow this identity?'
        throw fault.refused({ peerId: named(peerId), reason }, error)
      }
    },
  }
}

/** For messages: a peer whose id is still to be learned has none. */
function named(peerId: string | undefined): string {
  return peerId ?? 'the peer'
}

function missed(peerId: string, addresses: readonly string[], misses: readonly Miss[]): Error {
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
