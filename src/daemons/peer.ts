// The peer host as a part of a node: who proves to be an authorized peer is handed to the gate's local socket, which never sees the network underneath.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { openControl } from '../base/control/server.ts'
import { type ProxyFor, noProxy } from '../base/peer/proxy.ts'
import { type Wallet, type WalletKeys, loadWallet } from '../base/identity/wallet.ts'
import { limitsOf } from '../base/wire/walk.ts'
import { stopAsked } from '../base/terminal/command.ts'
import { asIdentity } from '../reach/succession/as-identity.ts'
import { reachApi } from '../reach/api.ts'
import { type ReachControlNeeds, reachHandlers } from '../reach/control.ts'
import { authorizedPeers } from '../reach/serving/authorized-peers.ts'
import { homeIn } from '../reach/home.ts'
import { knownStatements } from '../reach/succession/known-statements.ts'
import { listenAddress } from '../reach/node/listening.ts'
import { type PeerNode, type Witnessing, startPeerNode } from '../reach/node/peer-node.ts'
import { type ProvedSession, handToSocket } from '../reach/serving/preamble.ts'

export type PeerSettings = {
  /** Holds the wallet, which must be there, and the known registries. */
  readonly walletFolder: string
  /** What opens it, when it needs more than the file. */
  readonly keys?: WalletKeys
  readonly host: string
  /** 8766 by custom; 0 for any free one. */
  readonly port: number
  /** Multiaddrs, besides host and port. */
  readonly listen?: readonly string[]
  /** Peer ids. */
  readonly authorized: readonly string[]
  /** A file with more of them, one a line, read again when it changes. */
  readonly authorizedFile?: string
  /** Whether an authorized peer that rotated its key is let in by the new one, and by that alone. */
  readonly followRotations?: boolean
  /** Path of the UNIX socket that gets each session, with a line that says who it is. */
  readonly gateSocket: string
  /** `HOST[:PORT]`; the last one registered with by default. */
  readonly server?: string
  /** Multiaddrs under which others reach us, besides our own. */
  readonly announce?: readonly string[]
  /** Whether who asks for this peer on the local network is answered; true by default. */
  readonly isLanAnswered?: boolean
  /** As in `NodeHostSettings`. */
  readonly dhtNodes?: readonly string[] | undefined
  /** How long a session that was cut may come back; 5 min by default. */
  readonly keepMs?: number
  /** As in `NodeHostSettings`. */
  readonly witnessing?: Witnessing
  /** Where the sockets of the host's own API are; absent: it has none. */
  readonly control?: string
  /** The largest message; 8 MiB by default. */
  readonly maxFrameBytes?: number
}

/** Starts the peer host; it ends by `close()`. Faults: those of the wallet, of the authorized ids and of the port. */
export async function startPeer(
  { clock, log, proxyFor = noProxy }: { clock: Clock; log: Log; proxyFor?: ProxyFor },
  settings: PeerSettings,
) {
  const { host, port, gateSocket, server, announce = [], isLanAnswered = true, dhtNodes, keepMs, witnessing, maxFrameBytes } = settings
  const { authorized: ids, authorizedFile: file, followRotations = false } = settings
  const home = homeIn(settings.walletFolder)
  const stop = new AbortController()
  const { signal } = stop
  const authorized = authorizedPeers({ clock, log, statements: knownStatements(home.statements) }, { ids, file, followRotations })
  const limits = limitsOf(maxFrameBytes)
  const open = (session: ProvedSession) => handToSocket({ clock, log }, gateSocket, session, limits)
  const started = Promise.withResolvers<PeerNode>()
  let node: PeerNode | undefined
  let listen: readonly string[] = [listenAddress(host, port), ...(settings.listen ?? [])]
  const serve = async (wallet: Wallet, signal: AbortSignal): Promise<void> => {
    node = await startPeerNode(
      { wallet, authorized, open, clock, log, proxyFor },
      {
        listen,
        announce,
        server,
        home,
        isLanAnswered,
        dhtNodes,
        limits,
        ...(keepMs === undefined ? {} : { keepMs }),
        ...(witnessing ? { witnessing } : {}),
      },
    )
    listen = node.listening() // the next identity is found at the same port
    started.resolve(node)
    await stopAsked({ signal })
    await node.close()
  }
  const running = asIdentity({ clock, log, signal, open: () => loadWallet(home.wallet, settings.keys) }, home.wallet, serve)
  running
    .catch((error: unknown) => {
      started.reject(error)
      log.error('reach.peer_ended', { error })
    })
    .finally(() => authorized.close())
  const { peerId, registry } = await started.promise
  const end = async (): Promise<void> => {
    stop.abort()
    await running.catch(() => {})
  }
  const control = await openOwnApi({ clock, log, authorized, node: () => node! }, settings.control).catch(async (error: unknown) => {
    await end()
    throw error
  })
  const close = async (): Promise<void> => {
    await control?.[Symbol.asyncDispose]()
    await end()
  }
  return { peerId, addresses: () => node!.addresses(), registry, close }
}

/** Faults of `openControl`. */
async function openOwnApi(
  { log, ...needs }: ReachControlNeeds & { readonly log: Log },
  folder: string | undefined,
): Promise<AsyncDisposable | undefined> {
  if (folder === undefined) return undefined
  const { clock } = needs
  return openControl({ api: reachApi, handlers: reachHandlers(needs), clock, log }, { daemon: 'peer', folder })
}
