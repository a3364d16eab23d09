// Hands each stream that comes in to one of those who serve its protocol: in this process or, through the host's socket, in another one of the same owner.
import type { Log } from '../../kernel/log.ts'
import type { PeerHost, PeerStream } from './host.ts'

/** Someone who serves a protocol. */
export interface Offer {
  /** Takes the stream, or says no to a peer that it does not know. With `must` it takes it in any case, and tells the peer why it goes no further. */
  take(stream: PeerStream, must: boolean): Promise<boolean>
}

/** Who serves what. The offer made first is asked first, so that a peer that comes back finds its session. */
export interface Switchboard {
  /** The returned function takes the offer back. */
  add(protocol: string, offer: Offer): () => void
}

/** Serves on `host` whatever is offered. */
export function createSwitchboard({ host, log }: { host: Pick<PeerHost, 'handle' | 'unhandle'>; log: Log }): Switchboard {
  const byProtocol = new Map<string, Set<Offer>>()

  const route = async (stream: PeerStream): Promise<void> => {
    const offers = [...(byProtocol.get(stream.protocol) ?? [])]
    for (const must of [false, true]) for (const offer of offers) if (await offer.take(stream, must)) return
    log.debug('peer.nobody', { peer: stream.remotePeer, protocol: stream.protocol })
    stream.abort()
  }
  return {
    add(protocol, offer) {
      const offers = byProtocol.get(protocol) ?? new Set()
      if (offers.size === 0) host.handle(protocol, (stream) => void route(stream))
      byProtocol.set(protocol, offers.add(offer))
      return () => {
        if (!offers.delete(offer) || offers.size > 0) return
        byProtocol.delete(protocol)
        host.unhandle(protocol)
      }
    },
  }
}
