// The agent's door for peers: whoever proves to be on the list of mcp-agent.toml may do what stands there, with no token and no open port.
import type { ControlNeeds } from '../../base/control/answering.ts'
import { openStreamControl } from '../../base/control/streams.ts'
import { slots } from '../../base/peer/slots.ts'
import type { PeerStreams } from '../../base/terminal/command.ts'
import { peerProtocol } from '../client.ts'
import type { nodeApi } from '../node-api.ts'
import { authorize } from '../token/admission.ts'
import { fault } from '../token/faults.ts'
import type { AgentConfig } from './config.ts'

/** Streams that are open at once. Each is one call. */
const limits = { most: 128, perPeer: 32 }

export type PeerDoor = AsyncDisposable & { readonly peerId: string }

/** Serves. Faults: those of the wallet, and of the host's addresses. */
export async function openPeerDoor(
  needs: ControlNeeds<typeof nodeApi>,
  streams: PeerStreams,
  { identity, listen, server, allowed }: NonNullable<AgentConfig['peers']>,
): Promise<PeerDoor> {
  await using stack = new AsyncDisposableStack()
  const control = stack.use(openStreamControl(needs, 'node'))
  const take = slots(limits)
  const users = new Map(allowed.map(({ id, role, ...user }) => [id, { ...user, roles: [role] }]))
  const served = stack.use(
    await streams.serve({ identity, listen, server, protocol: peerProtocol }, ({ peer, address, duplex }) => {
      const giveBack = take({ remotePeer: peer, remoteAddress: address })
      if (!giveBack) return void duplex.destroy()
      duplex.once('close', giveBack)
      control.take(duplex, async () => {
        const user = users.get(peer)
        if (!user) throw fault.stranger({ peer })
        return { caller: { name: user.name, via: 'peer' }, authorize: (called) => authorize(user, called) }
      })
    }),
  )
  const held = stack.move()
  return { peerId: served.peerId, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
