// The peer host's own API as it serves it on this machine.
import { type Clock, deadline } from '../kernel/clock.ts'
import type { Handlers } from '../base/control/api.ts'
import { kindOf, reachability } from '../base/peer/address.ts'
import type { reachApi } from './api.ts'
import type { PeerNode } from './node/peer-node.ts'
import type { AuthorizedPeers } from './serving/authorized-peers.ts'

export type ReachControlNeeds = {
  readonly clock: Clock
  readonly authorized: Pick<AuthorizedPeers, 'listed'>
  /** As it is now: after a rotation it is another one. */
  readonly node: () => PeerNode
}

const registryMs = 3_000

export function reachHandlers({ clock, authorized, node }: ReachControlNeeds): Handlers<typeof reachApi> {
  return {
    async 'show-peers'() {
      const { peerId, registry = null, addresses, sessions } = node()
      return { peerId, registry, addresses: addresses().map(shown), authorized: [...authorized.listed()], sessions: [...sessions()] }
    },
    async 'list-registered'(_, { signal }) {
      const found = await node().registered(deadline(clock, registryMs, signal))
      return found.map(({ peerId, name, addresses, proved, ageMs }) => ({
        peerId,
        name,
        addresses: addresses.map(shown),
        reachability: reachability(addresses, proved),
        ageMs,
      }))
    },
  }
}

function shown(address: string): { address: string; way: ReturnType<typeof kindOf> } {
  return { address, way: kindOf(address) }
}
