// The gate as a part of a node: its configuration, and the door where the peer host hands in proved streams.
import { join } from 'node:path'
import { makeFolder } from '../kernel/file.ts'
import { type ConfiguredGateNeeds, startConfiguredGate } from '../gate/configured.ts'
import type { Gate } from '../gate/gate.ts'
import type { GateConfig } from '../gate/upstream-kind.ts'

/** The gate, and the socket that proved streams of peers go to. */
export type GateDaemon = Gate & { readonly peerSocket: string }

/** Starts it; faults as `startConfiguredGate` has them, and `socket.*`. Peers reach the upstream named `peersReach`. */
export async function startGate(
  needs: ConfiguredGateNeeds,
  config: GateConfig,
  { runtime, peersReach }: { runtime: string; peersReach: string },
): Promise<GateDaemon> {
  const folder = join(runtime, 'gate')
  makeFolder(folder)
  const peerSocket = join(folder, 'peers.sock')
  const gate = await startConfiguredGate({ ...needs, control: folder, peers: { socket: peerSocket, upstream: peersReach } }, config)
  return { ...gate, peerSocket }
}
