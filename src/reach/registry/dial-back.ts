// Proves direct ways: on request, a registry dials the addresses on a peer's card itself, over new connections, and remembers which of them led to that key. It dials
// nothing but the IP address that the request came from, so that nobody can turn it against others (as AutoNAT does it), and only so often.
import { isIP } from 'node:net'
import { type Clock, deadline } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { OwnHost, PeerStream } from '../../base/peer/host/host.ts'
import { fault } from '../faults.ts'
import { type Rate, rateLimit } from '../../base/access/rate.ts'

/** Of one card, so many are tried, all at once. */
const maxTried = 3
const dialMs = 3_000
/** Under way, for all who ask. */
const maxUnderWay = 32
/** What was proved counts so long, unless it is asked for again: longer than a card is left without renewal. */
const provedForMs = 900_000
const maxRemembered = 10_000

export type DialBackNeeds = { readonly host: Pick<OwnHost, 'reaches'>; readonly clock: Clock; readonly log: Log }

export type DialBackSettings = {
  /** 4 at once and one in 30 s by default. */
  readonly proofsPerPeer?: Rate
  /** Of all peers behind one IP address: 16 at once and one in 5 s by default. */
  readonly proofsPerAddress?: Rate
}

export interface DialBack {
  /** Dials those of the addresses that are at the far end of the stream; answers which led to its peer. Fault `reach.too_often`. */
  prove(stream: Pick<PeerStream, 'remotePeer' | 'remoteAddress' | 'isRelayed'>, addresses: readonly string[]): Promise<readonly string[]>
  /** Those of the peer's addresses that were proved lately. */
  proved(peerId: string, addresses: readonly string[]): readonly string[]
}

export function createDialBack({ host, clock, log }: DialBackNeeds, settings: DialBackSettings = {}): DialBack {
  const peers = rateLimit(clock, settings.proofsPerPeer ?? { burst: 4, perSecond: 1 / 30 })
  const places = rateLimit(clock, settings.proofsPerAddress ?? { burst: 16, perSecond: 1 / 5 })
  const known = new Map<string, { readonly addresses: ReadonlySet<string>; readonly until: number }>()
  let underWay = 0
  return {
    async prove({ remotePeer: peer, remoteAddress: from, isRelayed }, addresses) {
      const afterMs = underWay >= maxUnderWay ? dialMs : Math.max(peers.take(peer), places.take(from))
      if (afterMs > 0) throw fault.too_often({ afterMs })
      const near = isRelayed ? [] : addresses.filter((address) => isAt(address, from)).slice(0, maxTried)
      known.delete(peer)
      if (near.length === 0) return []
      underWay++
      const signal = deadline(clock, dialMs)
      const reached = await Promise.all(near.map((address) => host.reaches(peer, address, signal))).finally(() => underWay--)
      const proved = near.filter((_, at) => reached[at])
      log.debug('reach.registry.dialled_back', { peer, tried: near.length, proved })
      if (proved.length === 0) return []
      if (known.size >= maxRemembered) known.delete(known.keys().next().value!)
      known.set(peer, { addresses: new Set(proved), until: clock.mono() + provedForMs })
      return proved
    },
    proved(peerId, addresses) {
      const found = known.get(peerId)
      return found && found.until > clock.mono() ? addresses.filter((address) => found.addresses.has(address)) : []
    },
  }
}

/** Whether the multiaddr is a TCP port of exactly this IP address: a name could lead anywhere. */
function isAt(address: string, ip: string): boolean {
  const named = /^\/ip[46]\/([^/]+)\/tcp\/\d+(?:\/ws)?(?:\/p2p\/[^/]+)?$/.exec(address)?.[1]
  return named !== undefined && isIP(ip) !== 0 && named === ip
}
