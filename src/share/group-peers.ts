// Who forms a group: the secret, the name and the bootstrap peers, as the runbook's variables say them.
import type { Duplex } from 'node:stream'
import type { Context } from '../base/terminal/command.ts'
import { Secret } from '../kernel/secret.ts'
import { type Way, wayAt } from './cluster/cluster.ts'
import { fault } from './faults.ts'
import { portOf } from './group-words.ts'
import type { Accept, Others, Serving } from './others.ts'

export const shareProtocol = '/fairlead/share/1'
export const defaultPort = 9_100

type Env = Context['env']

/** The addresses in MCP_P2P_BOOTSTRAP_PEERS, each with its peer id; fault `share.peers_invalid`. */
export function bootstrapPeers(env: Env): readonly Way[] {
  const texts = (env['MCP_P2P_BOOTSTRAP_PEERS'] ?? '').split(/[\s,]+/).filter((text) => text !== '')
  return texts.map((address) => {
    const way = wayAt(address)
    if (!way) throw fault.peers_invalid({ address: address.slice(0, 120) })
    return way
  })
}

/** The secret of the group. A token in its place is said to be one: tokens of jobs differ, so that these never meet. Fault `share.no_secret`. */
export function groupSecret({ env, terminal }: Pick<Context, 'env' | 'terminal'>): Secret {
  const { name, secret } = secretIn(env)
  if (name !== sharedSecret)
    terminal.note(`${sharedSecret} is not set: ${name} is the secret, which shares nothing with jobs that have another token`)
  return secret
}

const sharedSecret = 'CACHE_P2P_SHARED_SECRET'

/** The first of these that is set. Fault `share.no_secret`. */
export function secretIn(env: Env): { readonly name: string; readonly secret: Secret } {
  const name = [sharedSecret, 'GH_TOKEN', 'GITHUB_TOKEN'].find((variable) => env[variable])
  if (name === undefined) throw fault.no_secret({})
  return { name, secret: new Secret(env[name]!) }
}

/** Whether this process is meant to share with others: a variable that says so is there, be it empty, as that of a missing GitHub secret is. */
export function isGroupMeant(env: Env): boolean {
  return ['MCP_P2P_BOOTSTRAP_PEERS', 'CACHE_P2P_SHARED_SECRET', 'IPFS_ACCELERATE_GITHUB_REPO'].some((name) => env[name] !== undefined)
}

type MemberSettings = {
  readonly bootstrap: readonly Way[]
  /** The folder of its identity. */
  readonly identity: string
  /** The TCP port at which other runners may come to it, 0 for a free one; absent: none. */
  readonly port?: number | undefined
}

/** Joins the group at the best of these peers that lets us in. `onListen`: the port at which others may come. */
export function memberOf(
  { peers }: Pick<Context, 'peers'>,
  { bootstrap, identity, port }: MemberSettings,
  onListen: (port: number) => void,
): Others {
  let dial = dialAs({ peers }, identity)
  const serve = async (accept: Accept) => {
    const serving = await served({ peers }, { identity, listen: `0.0.0.0:${port}` }, accept)
    dial = serving.dial
    onListen(serving.port)
    return serving
  }
  return {
    is: 'member',
    ...(port === undefined ? {} : { serve }),
    bootstrap,
    dial: (way, signal) => dial(way, signal),
  }
}

type Dial = (way: Way, signal: AbortSignal) => Promise<Duplex>

/** Dials as the identity in that folder. */
export function dialAs({ peers }: Pick<Context, 'peers'>, identity: string): Dial {
  return ({ peer, address }, signal) => peers.dial({ peer, addresses: [address], protocol: shareProtocol, identity, signal })
}

/** Lets others of the group come to it. `listen`: ADDRESS:PORT. Faults: those of the wallet, `peer.*`. */
export async function served(
  { peers }: Pick<Context, 'peers'>,
  { identity, listen }: { readonly identity: string; readonly listen: string },
  accept: Accept,
): Promise<Serving & { readonly dial: Dial }> {
  const serving = await peers.serve({ identity, listen, protocol: shareProtocol }, ({ duplex, peer, address }) =>
    accept(duplex, peer, address),
  )
  return {
    addresses: serving.addresses,
    port: Number(portOf(serving.addresses()[0]) ?? /\d+$/.exec(listen)![0]),
    dial: ({ peer, address }, signal) => serving.dial({ peer, addresses: [address], protocol: shareProtocol, signal }),
    [Symbol.asyncDispose]: () => serving[Symbol.asyncDispose](),
  }
}
