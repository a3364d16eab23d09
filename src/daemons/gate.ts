// The gate as a part of a node: its configuration, and the door where the peer host hands in proved streams.
import { join } from 'node:path'
import { makeFolder } from '../kernel/file.ts'
import type { LedgerPlace } from '../base/ledger/checkpointing.ts'
import { type WalletKeys, loadWallet } from '../base/identity/wallet.ts'
import { type ConfiguredGate, type ConfiguredGateNeeds, startConfiguredGate } from '../gate/configured.ts'
import { gateLedger } from '../gate/watched-ledger.ts'
import type { GateConfig } from '../gate/upstream-kind.ts'
import { currentIdentity } from '../reach/succession/as-identity.ts'

/** The gate, the socket that proved streams of peers go to, and its record of calls. */
export type GateDaemon = ConfiguredGate & { readonly peerSocket: string; readonly ledger: LedgerPlace }

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
  const signer = await currentIdentity({ ...needs, open: () => loadWallet(wallet, keys) }, wallet)
  try {
    const peers = { socket: peerSocket, upstream: peersReach }
    const gate = await startConfiguredGate({ ...needs, identity: signer.now, peers }, config)
    const close = async (): Promise<void> => {
      await gate.close()
      await signer.close()
    }
    return { ...gate, close, peerSocket, ledger: gateLedger(config.state ?? join(needs.state, 'gate')) }
  } catch (error) {
    await signer.close()
    throw error
  }
}
