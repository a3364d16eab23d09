// Room for streams that a service has open at once: bounded in all, for one peer, and for all peers behind one IP address, whose ids cost nothing.
import type { PeerStream } from './host/host.ts'

export type SlotLimits = {
  readonly most: number
  readonly perPeer: number
  /** Half of `most` by default, so that others always find some, but as many as one peer. */
  readonly perAddress?: number | undefined
}

/** Takes a slot; the returned function gives it back, once. Undefined when there is none for this peer. */
export type Slots = (of: Pick<PeerStream, 'remotePeer' | 'remoteAddress'>) => (() => void) | undefined

/** Slots within these limits, counted in memory of those that are taken alone. */
export function slots({ most, perPeer, perAddress = Math.max(perPeer, Math.ceil(most / 2)) }: SlotLimits): Slots {
  const peers = counts()
  const addresses = counts()
  let taken = 0
  return ({ remotePeer, remoteAddress }) => {
    if (taken >= most || peers.of(remotePeer) >= perPeer || addresses.of(remoteAddress) >= perAddress) return undefined
    taken++
    peers.add(remotePeer, 1)
    addresses.add(remoteAddress, 1)
    let isTaken = true
    return () => {
      if (!isTaken) return
      isTaken = false
      taken--
      peers.add(remotePeer, -1)
      addresses.add(remoteAddress, -1)
    }
  }
}

function counts(): { of(key: string): number; add(key: string, more: number): void } {
  const byKey = new Map<string, number>()
  const of = (key: string): number => byKey.get(key) ?? 0
  return {
    of,
    add(key, more) {
      const count = of(key) + more
      if (count > 0) byKey.set(key, count)
      else byKey.delete(key)
    },
  }
}
