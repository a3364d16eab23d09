// Who forms a group: the secret, the name and the bootstrap peers, as the runbook's variables say them.
import type { Duplex } from 'node:stream'
import type { Context } from '../base/terminal/command.ts'
import { Secret } from '../kernel/secret.ts'
import { fault } from './faults.ts'
import { portOf } from './group-words.ts'
import type { Accept, Others } from './others.ts'

export const shareProtocol = '/fairlead/share/1'
export const defaultPort = 9_100

type Env = Context['env']
export type Bootstrap = { readonly peer: string; readonly address: string }

/** The addresses in MCP_P2P_BOOTSTRAP_PEERS, each with its peer id; fault `share.peers_invalid`. */
export function bootstrapPeers(env: Env): readonly Bootstrap[] {
  const texts = (env['MCP_P2P_BOOTSTRAP_PEERS'] ?? '').split(/[\s,]+/).filter((text) => text !== '')
  return texts.map((address) => {
    const peer = /^(?:\/[\w.:%-]+)+\/p2p\/([1-9A-HJ-NP-Za-km-z]{52})$/.exec(address)?.[1]
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

/** Whether this process is meant to share with others: a variable that says so is there, be it empty, as that of a missing GitHub secret is. */
export function isGroupMeant(env: Env): boolean {
  return ['MCP_P2P_BOOTSTRAP_PEERS', 'CACHE_P2P_SHARED_SECRET', 'IPFS_ACCELERATE_GITHUB_REPO'].some((name) => env[name] !== undefined)
}

type MemberSettings = {
  readonly bootstrap: readonly Bootstrap[]
  /** The folder of its identity. */
  readonly identity: string
  /** The TCP port at which other runners may come to it, 0 for a free one; absent: none. */
  readonly port?: number | undefined
}

/** Joins the group at the first of these peers that lets us in. `onListen`: the port at which others may come. */
export function memberOf(
  { peers }: Pick<Context, 'peers'>,
  { bootstrap, identity, port }: MemberSettings,
  onListen: (port: string) => void,
): Others {
  const serve = async (accept: Accept) => {
    const serving = await peers.serve({ identity, listen: `0.0.0.0:${port}`, protocol: shareProtocol }, ({ duplex, peer }) =>
      accept(duplex, peer),
    )
    onListen(portOf(serving.addresses()[0]) ?? String(port))
    return serving
  }
  return {
    is: 'member',
    ...(port === undefined ? {} : { serve }),
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
