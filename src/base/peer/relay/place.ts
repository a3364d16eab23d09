// A peer's places at relays, where those find it who cannot reach it directly: taken, looked after, and taken again for ever. libp2p would not come back by itself
// after a relay was restarted, and would not notice for a long time that the path to it is dead.
import type { Connection, Stream } from '@libp2p/interface'
import { type Clock, deadline } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/fault.ts'
import type { Log } from '../../../kernel/log.ts'
import { randomFraction } from '../../../kernel/random.ts'
import { isLoopback, throughRelay } from '../address.ts'
import { attemptMs, backoffMs } from '../tunnel/come-back.ts'
import type { Dialer } from '../dial.ts'
import type { Network } from '../libp2p.ts'
import { type RelayMessage, hopProtocol, hopTypes, readRelayMessage, relayBytes, statuses, stopProtocol, stopTypes } from './message.ts'
import { peerStream } from '../stream.ts'

/** A place is renewed so often, which also shows that the path to the relay is alive: without an answer in time a new connection is made. */
const renewMs = 5_000
/** The same while somebody is connected to us through it. */
const busyRenewMs = 1_000
const answerMs = 1_500
/** How often it is looked whether somebody is. */
const lookMs = 500
const acceptMs = 10_000
/** Addresses that one place gives us. */
const maxAddresses = 4
const maxAccepting = 64

export interface Place {
  /** Gives the place up. */
  close(): void
}

export interface Places {
  /** Where we are reached through the places that hold at the moment. */
  addresses(): readonly string[]
  /** Keeps a place at the relay of this id, reached at `address`. Never fails: what goes wrong is logged, and tried again. */
  keep(relay: string, address: string): Place
  close(): void
}

export type PlacesNeeds = {
  readonly network: Network
  readonly openAnew: Dialer['openAnew']
  readonly peerId: string
  readonly clock: Clock
  readonly log: Log
}

/** Takes circuits from now on, from relays at which a place is kept. */
export function createPlaces({ network, openAnew, peerId, clock, log }: PlacesNeeds): Places {
  /** Each with the addresses that it gives us, if it holds. */
  const places = new Map<string, { addresses: readonly string[]; readonly stop: AbortController }>()
  let accepting = 0

  async function accept(raw: Stream, connection: Connection): Promise<void> {
    const circuit = peerStream(raw, connection, clock)
    const signal = deadline(clock, acceptMs)
    const cancel = clock.after(acceptMs, () => circuit.abort())
    try {
      const { type, peer, limit } = await readRelayMessage('stop', circuit.duplex)
      if (type !== stopTypes.connect || peer === undefined) throw new Error('a circuit from nobody')
      circuit.duplex.write(relayBytes('stop', { type: stopTypes.status, status: statuses.ok }))
      const relayed = network.address(throughRelay(connection.remoteAddr.toString(), peer))
      await network.acceptOver(circuit.duplex, relayed, signal, limit)
    } catch (error) {
      circuit.abort()
      throw error
    } finally {
      cancel()
    }
  }
  const incoming = (stream: Stream, connection: Connection): void => {
    const relay = connection.remotePeer.toString()
    if (!places.has(relay) || accepting >= maxAccepting) return stream.abort(new Error('not expected'))
    accepting++
    accept(stream, connection)
      .catch((error: unknown) => log.debug('peer.relay.circuit_failed', { relay, problem: reasonOf(error) }))
      .finally(() => accepting--)
  }
  const options = { maxInboundStreams: 1_024, maxOutboundStreams: 1, runOnLimitedConnection: true }
  void network.node.handle(stopProtocol, incoming, options).catch((error: unknown) => log.error('peer.relay.not_taken', { error }))

  /** Asks for the place, or renews it; rejects when the relay says no, or nothing in time. */
  async function reserve(raw: Stream, connection: Connection): Promise<NonNullable<RelayMessage['reservation']>> {
    const stream = peerStream(raw, connection, clock)
    const cancel = clock.after(answerMs, () => stream.abort())
    try {
      stream.duplex.write(relayBytes('hop', { type: hopTypes.reserve }))
      const { status, reservation } = await readRelayMessage('hop', stream.duplex)
      if (status === statuses.ok && reservation) return reservation
      throw new Error(refusals[status ?? 0] ?? `the relay refused with status ${status ?? 'none'}`)
    } finally {
      cancel()
      void stream.close()
    }
  }

  async function keep(relay: string, address: string, stop: AbortSignal): Promise<void> {
    const place = places.get(relay)!
    /** Attempts since the place was lost, and when that was. */
    let attempts = 0
    let lostAt = clock.mono()
    while (!stop.aborted) {
      let held: Connection | undefined
      try {
        const { stream, connection } = await openAnew(relay, [address], hopProtocol, deadline(clock, attemptMs(attempts), stop))
        const { addresses } = await reserve(stream, connection)
        held = connection
        place.addresses = relayedAddresses([address, ...addresses.map((bytes) => network.textOf(bytes))], relay, peerId)
        log.info('peer.relay.reachable', { relay, addresses: place.addresses })
        attempts = 0
        for (;;) {
          await quiet(connection, stop)
          await reserve(
            await connection.newStream(hopProtocol, { signal: deadline(clock, answerMs, stop), runOnLimitedConnection: true }),
            connection,
          )
        }
      } catch (error) {
        if (stop.aborted) return
        log.warn('peer.relay.no_place', { relay, problem: reasonOf(error), attempts })
        if (held) {
          held.abort(new Error('the path to the relay was found dead'))
          place.addresses = []
          lostAt = clock.mono()
        }
        await clock.wait(backoffMs(attempts++, clock.mono() - lostAt, randomFraction()), stop).catch(() => {})
      }
    }
  }

  /** Resolves when it is time to renew; rejects when the connection ends before. */
  async function quiet(connection: Connection, stop: AbortSignal): Promise<void> {
    const over = new AbortController()
    const lost = (): void => over.abort(new Error('the connection to the relay ended'))
    connection.addEventListener('close', lost)
    if (connection.status !== 'open') lost()
    const ended = AbortSignal.any([over.signal, stop])
    const through = `/p2p/${connection.remotePeer.toString()}/p2p-circuit`
    const isBusy = (): boolean => network.node.getConnections().some(({ remoteAddr }) => remoteAddr.toString().includes(through))
    try {
      for (const from = clock.mono(); clock.mono() - from < (isBusy() ? busyRenewMs : renewMs);) await clock.wait(lookMs, ended)
    } finally {
      connection.removeEventListener('close', lost)
    }
  }

  return {
    addresses: () => [...places.values()].flatMap(({ addresses }) => addresses),
    keep(relay, address) {
      places.get(relay)?.stop.abort(new Error('taken anew'))
      const stop = new AbortController()
      const place = { addresses: [], stop }
      places.set(relay, place)
      void keep(relay, address, stop.signal)
      return {
        close() {
          stop.abort(new Error('given up'))
          if (places.get(relay) === place) places.delete(relay)
        },
      }
    },
    close() {
      for (const { stop } of places.values()) stop.abort(new Error('closed'))
      places.clear()
    },
  }
}

/** The address that we use first, then the relay's own; loopback only when there is nothing else, for elsewhere it leads nowhere. */
function relayedAddresses(found: readonly string[], relay: string, peerId: string): readonly string[] {
  const whole = found.map((address) => (address.endsWith(`/p2p/${relay}`) ? address : `${address}/p2p/${relay}`))
  const far = whole.filter((address) => !isLoopback(address))
  return [...new Set(far.length > 0 ? far : whole.slice(0, 1))].slice(0, maxAddresses).map((address) => throughRelay(address, peerId))
}

const refusals: Readonly<Record<number, string>> = {
  [statuses.refused]: 'the relay has no place left',
  [statuses.denied]: 'the relay does not let us: only who is registered there gets a place',
}
