// Who forms a group: the secret, the name and the bootstrap peers, as the runbook's variables say them.
import type { Duplex } from 'node:stream'
import type { Context } from '../base/terminal/command.ts'
import { Secret } from '../kernel/secret.ts'
import { fault } from './faults.ts'
import type { Others } from './proxy.ts'

export const shareProtocol = '/fairlead/share/1'
export const defaultPort = 9_100

type Env = Context['env']
export type Bootstrap = { readonly peer: string; readonly address: string }

/** The addresses in MCP_P2P_BOOTSTRAP_PEERS, each with its peer id; fault `share.peers_invalid`. */
export function bootstrapPeers(env: Env): readonly Bootstrap[] {
  const texts = (env['MCP_P2P_BOOTSTRAP_PEERS'] ?? '').split(/[\s,]+/).filter((text) => text !== '')
  return texts.map((address) => {
    const peer = /^\/.+\/p2p\/([1-9A-HJ-NP-Za-km-z]{52})$/.exec(address)?.[1]
    if (peer === undefined) throw fault.peers_invalid({ address: address.slice(0, 120) })
    return { peer, address }
  })
}

/** The secret of the group. A token in its place is said to be one: tokens of jobs differ, so that these never meet. Fault `share.no_secret`. */
export function groupSecret({ env, terminal }: Pick<Context, 'env' | 'terminal'>): Secret {
  const secret = env['CACHE_P2P_SHARED_SECRET']
  if (secret) return new Secret(secret)
  const name = ['GH_TOKEN', 'GITHUB_TOKEN'].find((token) => env[token])
  if (name === undefined) throw fault.no_secret({})
  terminal.note(`CACHE_P2P_SHARED_SECRET is not set: ${name} is the secret, which shares nothing with jobs that have another token`)
  return new Secret(env[name]!)
}

/** Joins the group at the first of these peers that lets us in, under the identity in that folder. */
export function memberOf({ peers }: Pick<Context, 'peers'>, bootstrap: readonly Bootstrap[], identity: string): Others {
  return {
    is: 'member',
    async dial(signal) {
      let last: unknown
      for (const { peer, address } of bootstrap) {
        try {
          const stream: Duplex = await peers.dial({ peer, addresses: [address], protocol: shareProtocol, identity, signal })
          return { stream, host: peer }
        } catch (error) {
          last = error
        }
      }
      throw last
    },
  }
}
