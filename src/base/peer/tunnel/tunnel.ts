// The tunnel: a wire between two peers that survives cuts. This is what its two ends have in common; they are client.ts and server.ts.
// The bytes are described in message.ts, what a session keeps between two streams in session.ts.
import { type ScanLimits, defaultLimits } from '../../wire/walk.ts'
import type { Wire } from '../../wire/wire.ts'
import type { TunnelStats } from './session.ts'

export const tunnelProtocol = '/fairlead/wire/1'

/** The protocol of one server of tunnels alone: by it a session is found again, whoever else serves under the same peer id. `name`: unguessable or not, but its own. */
export function serverProtocol(name: string): string {
  return `${tunnelProtocol}/${name}`
}

/** Whether the protocol is that of tunnels, or of one server of them. */
export function isTunnelProtocol(protocol: string): boolean {
  return protocol === tunnelProtocol || protocol.startsWith(`${tunnelProtocol}/`)
}

export type TunnelSettings = {
  readonly limits?: ScanLimits
  /** How long a cut session waits for its other half: 5 min. The server's value is the one that counts when it is shorter. */
  readonly keepMs?: number
  /** Between two PINGs: 5 s. A path is dead after two without a sign of life. */
  readonly pingMs?: number
  /** The same while frames move and for 30 s after them: 0.5 s. After two without a sign of life the client looks for another path beside this one. */
  readonly busyPingMs?: number
  /** How long a greeting may take: 10 s. */
  readonly helloMs?: number
  /** How long `close()` waits until the other end has everything: 2 s. */
  readonly closeWaitMs?: number
}

/** What holds when nothing else is said. */
export const tunnelDefaults = {
  limits: defaultLimits,
  keepMs: 300_000,
  pingMs: 5_000,
  busyPingMs: 500,
  helloMs: 10_000,
  closeWaitMs: 2_000,
} as const satisfies Required<TunnelSettings>

/** A wire to a peer whose key was proved. */
export interface Tunnel extends Wire {
  readonly remotePeer: string
  readonly stats: TunnelStats
}
