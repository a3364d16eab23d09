// Streams to peers and from them for capabilities that know nothing of how: found, dialled and served as reach does it, under the identity of a wallet folder.
import type { Duplex } from 'node:stream'
import { join } from 'node:path'
import { loadWallet } from '../base/identity/wallet.ts'
import { sshAgent } from '../base/identity/ssh-agent.ts'
import { proxiesOf } from '../base/peer/proxy.ts'
import type { Context, PeerStreams } from '../base/terminal/command.ts'
import { asFault } from '../kernel/fault.ts'
import { statOf } from '../kernel/file.ts'
import { peerDial } from '../reach/finding/find-peer.ts'
import { knownAddresses } from '../reach/finding/known-addresses.ts'
import { lanSearch } from '../reach/finding/searches.ts'
import { type Opening, dialingHost, homeIn } from '../reach/home.ts'
import { listenAddress } from '../reach/node/listening.ts'
import { openNodeHost } from '../reach/node/peer-node.ts'
import { connectRegistry } from '../reach/registry/client.ts'
import { knownRegistries } from '../reach/registry/known-registries.ts'
import { knownStatements } from '../reach/succession/known-statements.ts'

/** Without a named identity that of this person is taken: `~/.bmp` if there is one, else the one of Fairlead's own folders. */
function personalHome({ folders, env }: Pick<Context, 'folders' | 'env'>): string {
  const runbook = env['HOME'] === undefined ? undefined : join(env['HOME'], '.bmp')
  return runbook !== undefined && statOf(homeIn(runbook).wallet) ? runbook : join(folders.state, 'reach')
}

/** Faults of `loadWallet`, `peerDial`, `openNodeHost`. */
export function peerStreams(context: Opening & Pick<Context, 'log'>): PeerStreams {
  const { clock, log, env } = context
  const proxyFor = proxiesOf(env)
  return {
    async dial({ peer, addresses, protocol, identity, signal }): Promise<Duplex> {
      const folder = identity ?? personalHome(context)
      const home = homeIn(folder)
      const host = await dialingHost(context, { home: folder, 'passphrase-file': undefined, 'passphrase-env': undefined })
      try {
        const known = knownRegistries(home.registries)
        const needs = {
          host,
          clock,
          known: knownAddresses(home.addresses),
          statements: knownStatements(home.statements),
          registry: (asked?: AbortSignal) => connectRegistry({ host, clock, known }, known.choose(undefined), asked),
        }
        const dial = peerDial(needs, { peer, addresses, protocol, searches: [lanSearch(clock)] })
        const stream = await dial(signal)
        stream.duplex.once('close', () => void host.close().catch(() => {}))
        return stream.duplex
      } catch (error) {
        await host.close()
        // who dials says what is not there, and what to do about it
        const { code, message } = asFault(error)
        throw code === 'reach.peer_not_found' ? new Error(message, { cause: error }) : error
      }
    },
    async serve({ identity, listen, server, protocol }, accept) {
      const home = homeIn(identity)
      const wallet = await loadWallet(home.wallet, { agent: sshAgent(clock, env['SSH_AUTH_SOCK']) })
      const [, address, port] = /^(?:\[?([0-9a-f:.]+?)\]?):(\d+)$/i.exec(listen)!
      const node = await openNodeHost({ wallet, clock, log, proxyFor }, { home, listen: [listenAddress(address!, Number(port))], server })
      node.host.handle(protocol, ({ remotePeer, remoteAddress, duplex }) => accept({ peer: remotePeer, address: remoteAddress, duplex }))
      return {
        peerId: node.host.peerId,
        addresses: () => node.host.addresses(),
        dial: async (asked) => (await node.host.dial(asked.peer, asked.addresses, asked.protocol, asked.signal)).duplex,
        [Symbol.asyncDispose]: () => node.close(),
      }
    },
  }
}
