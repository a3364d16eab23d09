// Looks for one peer on the local networks: asks on each for its id, and hands on where an answer came from. Anybody can answer; the handshake decides who it is.
import { createSocket } from 'node:dgram'
import type { Clock } from '../../../kernel/clock.ts'
import { randomFraction } from '../../../kernel/random.ts'
import { type LanNetwork, lanNetworks } from './network.ts'
import { lanAnswerPort, lanGroup, lanPort, lanQuestion } from './packet.ts'

export type LanSearchSettings = {
  /** Where it is answered: 5353 by custom. */
  readonly port?: number
  readonly networks?: readonly LanNetwork[]
}

/** A packet may be lost: it is asked again at these times. */
const askAtMs = [0, 250, 750]
/** Answers come within milliseconds, if any come. */
const searchMs = 1_500
const maxFound = 8

/** Calls `found` with each new address (`/ip4/…/tcp/…/p2p/<id>`), at most 8. Resolves after 1.5 s, or when the signal aborts. No network: nothing is found. */
export async function searchLan(
  { clock }: { readonly clock: Clock },
  peerId: string,
  found: (address: string) => void,
  signal?: AbortSignal,
  settings: LanSearchSettings = {},
): Promise<void> {
  const { port = lanPort, networks = lanNetworks() } = settings
  const id = Math.floor(randomFraction() * 65_536)
  const addresses = new Set<string>()
  await using cleanup = new AsyncDisposableStack()
  for (const network of networks) {
    const socket = createSocket({ type: 'udp4' })
    socket.on('error', () => {}) // a network that has just gone
    socket.on('message', (bytes, from) => {
      const tcp = network.contains(from.address) ? lanAnswerPort(bytes, peerId, id) : undefined
      if (tcp === undefined || addresses.size >= maxFound) return
      const address = `/ip4/${from.address}/tcp/${tcp}/p2p/${peerId}`
      if (addresses.has(address)) return
      addresses.add(address)
      found(address)
    })
    const ask = (): void => socket.send(lanQuestion(peerId, id), port, lanGroup, () => {})
    const cancels: (() => void)[] = []
    cleanup.defer(() => {
      for (const cancel of cancels) cancel()
      socket.close()
    })
    socket.bind({ port: 0, address: network.address }, () => {
      try {
        socket.setMulticastInterface(network.address)
      } catch {
        return // this one has no multicast
      }
      cancels.push(...askAtMs.map((atMs) => clock.after(atMs, ask)))
    })
  }
  await clock.wait(networks.length > 0 ? searchMs : 0, signal).catch(() => {})
}
