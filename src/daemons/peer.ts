// The peer host as a part of a node: who proves to be an authorized peer is handed to the gate's local socket, which never sees the network underneath.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { type WalletKeys, loadWallet } from '../base/identity/wallet.ts'
import { authorizedPeers } from '../reach/authorized-peers.ts'
import { homeIn } from '../reach/home.ts'
import { listenAddress } from '../reach/listening.ts'
import { startPeerNode } from '../reach/peer-node.ts'
import { type ProvedSession, handToSocket } from '../reach/preamble.ts'

export type PeerSettings = {
  /** Holds the wallet, which must be there, and the known registries. */
  readonly walletFolder: string
  /** What opens it, when it needs more than the file. */
  readonly keys?: WalletKeys
  readonly host: string
  /** 8766 by custom; 0 for any free one. */
  readonly port: number
  /** Peer ids. */
  readonly authorized: readonly string[]
  /** A file with more of them, one a line, read again when it changes. */
  readonly authorizedFile?: string
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
}

/** Starts the peer host; it ends by `close()`. Faults: those of the wallet, of the authorized ids and of the port. */
export async function startPeer({ clock, log }: { clock: Clock; log: Log }, settings: PeerSettings) {
  const { host, port, gateSocket, server, announce = [], isLanAnswered = true, dhtNodes, keepMs } = settings
  const home = homeIn(settings.walletFolder)
  const wallet = await loadWallet(home.wallet, settings.keys)
  const authorized = authorizedPeers({ clock, log }, { ids: settings.authorized, file: settings.authorizedFile })
  try {
    const open = (session: ProvedSession) => handToSocket({ clock, log }, gateSocket, session)
    const node = await startPeerNode(
      { wallet, authorized, open, clock, log },
      { listen: [listenAddress(host, port)], announce, server, home, isLanAnswered, dhtNodes, ...(keepMs === undefined ? {} : { keepMs }) },
    )
    const close = async (): Promise<void> => {
      authorized.close()
      await node.close()
    }
    return { peerId: node.peerId, addresses: () => node.addresses(), registry: node.registry, close }
  } catch (error) {
    authorized.close()
    throw error
  }
}
