// Serves tunnels: each session of an authorized peer is joined to a wire of its own, and ends when the peer is taken off the list.
import { asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { randomId } from '../../kernel/random.ts'
import type { PeerHost } from '../../base/peer/host/host.ts'
import type { SharedHost } from '../../base/peer/host/shared-host.ts'
import { type AcceptTunnelsSettings, type TunnelSession, acceptTunnels } from '../../base/peer/tunnel/server.ts'
import { type Tunnel, tunnelProtocol } from '../../base/peer/tunnel/tunnel.ts'
import type { Wire } from '../../base/wire/wire.ts'
import type { AuthorizedPeers } from './authorized-peers.ts'
import { joinWires } from './joined.ts'
import type { ProvedSession } from './preamble.ts'

export type PeerServiceNeeds = {
  readonly host: Pick<PeerHost, 'handle'> & Partial<Pick<SharedHost, 'isNew'>>
  readonly authorized: Pick<AuthorizedPeers, 'allows' | 'listedAs' | 'onChange'>
  /** A wire for one new session. It answers for what is behind it: when that fails, the peer reads why, by an error to each request (see `renewedWire`). */
  readonly open: (session: ProvedSession) => Wire
  readonly clock: Clock
  readonly log: Log
}

export interface PeerService {
  /** Those that are open or may still come back. */
  sessions(): readonly TunnelSession[]
  /** Sessions that are open or may still come back. */
  count(): number
  /** Ends every session in order; resolves when all that was joined to them is closed, too. */
  close(): Promise<void>
}

/** All that somebody who is not on the list learns. */
const refusal = 'not authorized'

/** Serves on the host until it is closed. */
export function servePeers({ host, authorized, open, clock, log }: PeerServiceNeeds, settings: AcceptTunnelsSettings = {}): PeerService {
  const lines = new Map<Promise<void>, string>()

  const carry = async (tunnel: Tunnel, peer: string): Promise<void> => {
    const session = randomId()
    const [id] = authorized.listedAs(peer)
    const listedAs = id === undefined || id === peer ? {} : { listedAs: id }
    log.info('reach.session.open', { peer, ...listedAs, session })
    try {
      const { side, end } = await joinWires(tunnel, open({ peer, ...listedAs, protocol: tunnelProtocol, session }))
      log.info('reach.session.end', { peer, session, by: side === 'left' ? 'peer' : 'server', ...end })
    } catch (error) {
      log.error('reach.session.failed', { peer, session, problem: asFault(error).message })
      await tunnel.close()
    }
  }
  const tunnels = acceptTunnels(
    {
      host,
      clock,
      log,
      mayBeElsewhere: () => host.isNew?.() ?? false,
      authorize: (peer) => (authorized.allows(peer) ? undefined : refusal),
      accept(tunnel, peer) {
        const line = carry(tunnel, peer).finally(() => lines.delete(line))
        lines.set(line, peer)
      },
    },
    settings,
  )
  authorized.onChange(() => {
    for (const peer of new Set(lines.values())) if (!authorized.allows(peer)) tunnels.revoke(peer, refusal)
  })
  return {
    sessions: () => tunnels.sessions(),
    count: () => tunnels.count(),
    async close() {
      await tunnels.close()
      await Promise.all(lines.keys())
    },
  }
}
