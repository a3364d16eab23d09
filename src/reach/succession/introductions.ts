// Somebody whom nobody listed may be a listed peer with a new key, and can show it without a registry: it is asked for what its earlier keys signed.
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { PeerHost } from '../../base/peer/host/host.ts'
import { rateLimit } from '../../base/access/rate.ts'
import type { KnownStatements } from './known-statements.ts'
import { askSuccession } from './teller.ts'

export type IntroductionNeeds = {
  readonly host: Pick<PeerHost, 'dial'>
  readonly statements: KnownStatements
  readonly clock: Clock
  readonly log: Log
}

/** Asks the peer, over the connection that it has opened, whether it was one of `from`, and notes what it can show. At most every 5 s; never rejects. */
export function introductions({
  host,
  statements,
  clock,
  log,
}: IntroductionNeeds): (peerId: string, from: readonly string[]) => Promise<void> {
  const rate = rateLimit(clock, { burst: 1, perSecond: 0.2 })
  return async (peerId, from) => {
    if (from.length === 0 || rate.take(peerId) > 0) return
    const told = await askSuccession({ host, clock }, { from, peerId, addresses: [] })
    if (statements.add(told)) log.info('reach.statements', { from: peerId, peers: told.map(({ peerId, says }) => ({ peerId, says })) })
  }
}
