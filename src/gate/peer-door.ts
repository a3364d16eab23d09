// The door for proved streams: the peer host says in one line whose stream it is. The socket's folder lets nobody else in.
import type { Clock } from '../kernel/clock.ts'
import { reasonOf } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { Directory } from '../base/access/principal.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import type { Endpoint } from '../base/mcp/scopes.ts'
import { serveWire } from '../base/mcp/door/wire.ts'
import { listenUnix, preambleServer } from '../base/wire/unix.ts'
import type { ScanLimits } from '../base/wire/walk.ts'
import type { Wire } from '../base/wire/wire.ts'

export type PeerDoorNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly ledger: Ledger
  readonly directory: Directory
  readonly endpoints: ReadonlyMap<string, Endpoint>
}

/** `recheck`: credentials are others now, and who is no more the same principal goes. */
export type PeerDoor = AsyncDisposable & { recheck(): void }

/** Listens at `socket`; peers that are principals reach the upstream. Faults: `socket.busy`, `socket.cannot_listen`. */
export async function openPeerDoor(
  { clock, log, ledger, directory, endpoints, refused }: PeerDoorNeeds & { readonly refused: () => void },
  { socket, upstream }: { readonly socket: string; readonly upstream: string },
  limits: ScanLimits,
): Promise<PeerDoor> {
  const wires = new Map<Wire, () => boolean>()
  const accept = (wire: Wire, preamble: string): void => {
    const { peer, listedAs } = peerOf(preamble)
    const known = (id: string | undefined) => (id === undefined ? undefined : directory.byPeer(id))
    const found = () => known(peer) ?? known(listedAs) // which the peer host says only where its owner follows rotations
    const principal = found()
    const endpoint = endpoints.get(upstream)
    if (!principal || !endpoint) {
      const entry = { event: 'refused', door: 'peers', via: 'peer', peer: peer?.slice(0, 100), reason: 'this peer is no principal' }
      void ledger.append(entry).catch(() => {})
      refused()
      log.warn('gate.peer.refused', { peer })
      return void wire.close().catch(() => {})
    }
    wires.set(wire, () => found()?.name === principal.name)
    void wire.ended.then(() => wires.delete(wire))
    serveWire(wire, endpoint, principal, (error) => log.error('gate.peer.failed', { peer, reason: reasonOf(error) }))
  }
  const server = preambleServer(clock, accept, { limits })
  await listenUnix(server, socket)
  return {
    recheck() {
      for (const [wire, isStill] of wires) if (!isStill()) wire.close().catch(() => {})
    },
    async [Symbol.asyncDispose]() {
      server.close()
      await Promise.all([...wires.keys()].map((wire) => wire.close()))
    },
  }
}

/** The ids of `{"fairlead":1,"peer":"12D3…",…}`; none for any other line. */
function peerOf(preamble: string): { readonly peer?: string; readonly listedAs?: string } {
  try {
    const { fairlead, peer, listedAs } = JSON.parse(preamble) as { readonly [member: string]: unknown }
    if (fairlead !== 1 || typeof peer !== 'string') return {}
    return typeof listedAs === 'string' ? { peer, listedAs } : { peer }
  } catch {
    return {}
  }
}
