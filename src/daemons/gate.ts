// The gate as a part of a node: its configuration, and the door where the peer host hands in proved streams.
import { dirname, join } from 'node:path'
import { makeFolder } from '../kernel/file.ts'
import type { LedgerPlace } from '../base/ledger/checkpointing.ts'
import type { SharedHost } from '../base/peer/host/shared-host.ts'
import { proxiesOf } from '../base/peer/proxy.ts'
import { type WalletKeys, loadWallet } from '../base/identity/wallet.ts'
import { type ConfiguredGateNeeds, startConfiguredGate } from '../gate/configured.ts'
import type { Gate } from '../gate/gate.ts'
import { gateLedger } from '../gate/watched-ledger.ts'
import type { DialPeer, GateConfig } from '../gate/upstream-kind.ts'
import { currentIdentity } from '../reach/succession/as-identity.ts'

/** The gate, the socket that proved streams of peers go to, and its record of calls. */
export type GateDaemon = Gate & { readonly peerSocket: string; readonly ledger: LedgerPlace }

export type GateDaemonSettings = {
  readonly runtime: string
  /** The upstream that peers reach. */
  readonly peersReach: string
  /** The wallet whose identity signs the ledger, whoever that is then, and what opens it. */
  readonly wallet: string
  readonly keys: WalletKeys
}

/** Starts it; faults as `startConfiguredGate` and `loadWallet` have them, and `socket.*`. */
export async function startGate(
  needs: Omit<ConfiguredGateNeeds, 'identity'>,
  config: GateConfig,
  { runtime, peersReach, wallet, keys }: GateDaemonSettings,
): Promise<GateDaemon> {
  const folder = join(runtime, 'gate')
  makeFolder(folder)
  const peerSocket = join(folder, 'peers.sock')
  const stop = new AbortController()
  const signer = await currentIdentity({ ...needs, open: () => loadWallet(wallet, keys) }, wallet)
  try {
    const peers = { socket: peerSocket, upstream: peersReach }
    const dialPeer = peersOf({ ...needs, stop: stop.signal }, wallet, keys)
    const gate = await startConfiguredGate({ ...needs, identity: signer.now, control: folder, peers, dialPeer }, config)
    const close = async (): Promise<void> => {
      await gate.close()
      stop.abort()
      await signer.close()
    }
    return { ...gate, close, peerSocket, ledger: gateLedger(config.state ?? join(needs.state, 'gate')) }
  } catch (error) {
    await signer.close()
    throw error
  }
}

type PeersNeeds = Pick<ConfiguredGateNeeds, 'clock' | 'log' | 'env'> & { readonly stop: AbortSignal }

/** Reaches peers as the node does whose wallet that is: through its host, which is there when the first upstream is used. */
function peersOf({ clock, log, env, stop }: PeersNeeds, wallet: string, keys: WalletKeys): DialPeer {
  return async ({ peer, addresses, limits }) => {
    const [{ connectPeer }, { openSharedHost }, { lanSearch }, { homeIn }] = await Promise.all([
      import('../reach/serving/peer-connection.ts'),
      import('../base/peer/host/shared-host.ts'),
      import('../reach/finding/searches.ts'),
      import('../reach/home.ts'),
    ])
    const home = homeIn(dirname(wallet))
    const host = async (): Promise<SharedHost> => {
      const { identity } = await loadWallet(wallet, keys)
      const needs = { peerId: identity.peerId, identity: async () => identity, clock, log, proxyFor: proxiesOf(env) }
      return openSharedHost(needs, { folder: home.folder, listen: [] })
    }
    const searches = () => [lanSearch(clock)]
    const settings = { peer, addresses, server: undefined, isRelayed: false, searches, followRotations: false, limits }
    const connection = await connectPeer({ home, host, clock, log, signal: stop }, settings)
    try {
      const tunnel = await connection.open()
      void tunnel.ended.then(() => connection.close()).catch(() => {})
      return tunnel
    } catch (error) {
      await connection.close()
      throw error
    }
  }
}
