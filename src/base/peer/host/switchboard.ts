// Hands each stream that comes in to one of those who serve its protocol: in this process or, through the host's socket, in another one of the same owner.
import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
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

export type SwitchboardNeeds = {
  readonly host: Pick<PeerHost, 'handle' | 'unhandle'>
  readonly clock: Clock
  readonly log: Log
  /** How long those who served through the host before this one may take to offer again: so long nobody is refused in their name. 0: there was none. */
  readonly settleMs: number
}

/** Streams that wait for an offer; one more is refused at once. */
const maxWaiting = 256

/** Serves on `host` whatever is offered. */
export function createSwitchboard({ host, clock, log, settleMs }: SwitchboardNeeds): Switchboard {
  const byProtocol = new Map<string, Set<Offer>>()
  const waiting = new Set<() => void>()
  const wake = (): void => {
    for (const go of waiting) go()
  }
  let isSettled = settleMs === 0
  if (!isSettled)
    clock.after(settleMs, () => {
      isSettled = true
      wake()
    })

  const route = async (stream: PeerStream): Promise<void> => {
    const asked = new Set<Offer>()
    const offers = (): Offer[] => [...(byProtocol.get(stream.protocol) ?? [])]
    for (;;) {
      const fresh = offers().filter((offer) => !asked.has(offer))
      for (const offer of fresh) if (await offer.take(stream, false)) return
      for (const offer of fresh) asked.add(offer)
      if (offers().some((offer) => !asked.has(offer))) continue
      if (isSettled || waiting.size >= maxWaiting) break
      await new Promise<void>((resolve) => {
        const go = (): void => {
          waiting.delete(go)
          resolve()
        }
        waiting.add(go)
      })
    }
    for (const offer of offers()) if (await offer.take(stream, true)) return
    log.debug('peer.nobody', { peer: stream.remotePeer, protocol: stream.protocol })
    stream.abort()
  }
  return {
    add(protocol, offer) {
      const offers = byProtocol.get(protocol) ?? new Set()
      if (offers.size === 0) host.handle(protocol, (stream) => void route(stream))
      byProtocol.set(protocol, offers.add(offer))
      wake()
      return () => {
        if (!offers.delete(offer) || offers.size > 0) return
        byProtocol.delete(protocol)
        host.unhandle(protocol)
      }
    },
  }
}
