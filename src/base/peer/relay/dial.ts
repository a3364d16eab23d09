// The way to a peer that has a place at a relay: a circuit is asked for there, and over it an encrypted connection is made that ends at the peer.
import type { Connection } from '@libp2p/interface'
import type { Dialer } from '../dial.ts'
import { throughRelay } from '../address.ts'
import type { Network } from '../libp2p.ts'
import { hopProtocol, hopTypes, readRelayMessage, relayBytes, statuses } from './message.ts'
import { peerStream } from '../stream.ts'
import type { Clock } from '../../../kernel/clock.ts'

export type RelayDialNeeds = { readonly network: Network; readonly clock: Clock; readonly open: Dialer['open'] }

export type ThroughRelay = { readonly relay: string; readonly addresses: readonly string[]; readonly peerId: string }

/** Connects to `peerId` through the relay, which is dialled at `addresses` if it is not connected. Rejects with a plain error, or with the fault of dialling the relay. */
export async function dialThroughRelay(
  { network, clock, open }: RelayDialNeeds,
  to: ThroughRelay,
  signal: AbortSignal,
): Promise<Connection> {
  const { stream, connection } = await open(to.relay, to.addresses, hopProtocol, signal)
  const circuit = peerStream(stream, connection, clock)
  const stop = (): void => circuit.abort()
  signal.addEventListener('abort', stop)
  try {
    if (signal.aborted) stop()
    circuit.duplex.write(relayBytes('hop', { type: hopTypes.connect, peer: to.peerId }))
    const { status, limit } = await readRelayMessage('hop', circuit.duplex)
    if (status !== statuses.ok) throw new Error(refusals[status ?? 0] ?? `the relay refused with status ${status ?? 'none'}`)
    const relayed = network.address(throughRelay(connection.remoteAddr.toString(), to.peerId))
    return await network.connectOver(circuit.duplex, relayed, signal, limit)
  } catch (error) {
    circuit.abort()
    throw error
  } finally {
    signal.removeEventListener('abort', stop) // the circuit lives on without it
  }
}

const refusals: Readonly<Record<number, string>> = {
  [statuses.full]: 'the relay carries as many circuits as it may',
  [statuses.denied]: 'the relay does not let us',
  [statuses.failed]: 'the relay cannot reach it at the moment',
  [statuses.noPlace]: 'it has no place at the relay',
}
