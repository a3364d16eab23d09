// The line that opens a proved peer's connection to a local socket: who it is, so that what listens there need not know of libp2p. Frames follow, one a line.
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Frame } from '../../base/wire/frame.ts'
import type { ScanLimits } from '../../base/wire/walk.ts'
import { connectUnix } from '../../base/wire/unix.ts'
import type { Wire } from '../../base/wire/wire.ts'
import { fault } from '../faults.ts'
import { renewedWire } from './renewed-wire.ts'

export type ProvedSession = {
  /** The peer id that was proved in the handshake. */
  readonly peer: string
  /** The earlier id by which the owner of the list allowed it, and lets it in by this one: it was rotated, and that is followed. */
  readonly listedAs?: string
  /** The peer stream's protocol. */
  readonly protocol: string
  /** Unguessable, one for each session; the same when the session is handed over again because the socket's owner was restarted. */
  readonly session: string
}

/** `{"fairlead":1,"peer":"12D3…","protocol":"/fairlead/wire/1","session":"…"}`, and `listedAs` if it has another id there. */
function preambleOf({ peer, listedAs, protocol, session }: ProvedSession): string {
  return JSON.stringify({ fairlead: 1, peer, listedAs, protocol, session })
}

/**
 * Hands a session to the socket at `path`, and again when what listens there comes back after a restart. Ends only by `close()`. The socket is trusted:
 * its folder decides who may listen there.
 */
export function handToSocket({ clock, log }: { clock: Clock; log: Log }, path: string, session: ProvedSession, limits?: ScanLimits): Wire {
  const open = async (): Promise<Wire> => {
    const wire = await connectUnix(path, limits ? { limits } : {})
    wire.write({ bytes: Buffer.from(preambleOf(session)), kind: 'notification', method: undefined, at: {} } satisfies Frame) // a line like any other, though no JSON-RPC
    return wire
  }
  return renewedWire({ open, lost: ({ why }) => fault.socket_ended({ path, how: why }), clock, log })
}
