// A node as commands reach it: through its sockets on this machine, or over HTTPS with a pinned authority and a token, or as a peer.
import { type ControlClient, controlClient } from '../base/control/client.ts'
import { httpsAddress, httpsWay } from '../base/control/https-way.ts'
import type { Way } from '../base/control/way.ts'
import { socketWay, streamWay } from '../base/control/way.ts'
import { isPeerId } from '../base/identity/identity.ts'
import type { PeerStreams } from '../base/terminal/command.ts'
import type { Secret } from '../kernel/secret.ts'
import { nodeApi } from './node-api.ts'

export type NodeClient = ControlClient<typeof nodeApi>

/** The port of an agent where its address names none. */
export const nodePort = 9444

/** What a node's agent serves to peers. */
export const peerProtocol = '/fairlead/node/1'

export type Address =
  | { readonly is: 'peer'; readonly peer: string; readonly addresses: readonly string[] }
  | { readonly is: 'unix'; readonly folder: string }
  | { readonly is: 'https'; readonly host: string; readonly port: number }

/** `HOST[:9444]`, `unix:PATH` with an absolute path, `peer:ID` or `peer:ID@MULTIADDR`; undefined for anything else. */
export function addressOf(text: string): Address | undefined {
  const folder = /^unix:(\/[^\0]*)$/.exec(text)?.[1]
  if (folder !== undefined) return { is: 'unix', folder }
  const [isPeer, peer = '', at] = /^peer:([^@]*)(?:@(\/.+))?$/.exec(text) ?? []
  if (isPeer !== undefined) return isPeerId(peer) ? { is: 'peer', peer, addresses: at === undefined ? [] : [at] } : undefined
  const https = httpsAddress(text, nodePort)
  return https && { is: 'https', ...https }
}

/** `authority` and `bearer` are for HTTPS alone, `dial` for peers: who may open the socket needs none. */
export type NodeTrust = {
  readonly authority?: string
  readonly bearer?: Secret | undefined
  readonly dial?: { readonly peers: PeerStreams; readonly identity: string | undefined }
}

export function nodeClient(address: Address, { authority, bearer, dial }: NodeTrust = {}): NodeClient {
  return controlClient(nodeApi, { daemon: 'node agent', way: wayTo(address) })

  function wayTo(where: Address): Way {
    if (where.is === 'unix') return socketWay(where.folder, 'change')
    if (where.is === 'https') return httpsWay(where, { authority: authority!, bearer })
    const { peer, addresses } = where
    return streamWay(`peer:${peer}`, () => dial!.peers.dial({ peer, addresses, protocol: peerProtocol, identity: dial!.identity }))
  }
}
