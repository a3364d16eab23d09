// A peer on the local network, found by its whole id with nobody's help. Whoever answers there is tried, at the same time as others who do; the key decides.
import type { Clock } from '../kernel/clock.ts'
import type { PeerHost, PeerStream } from '../base/peer/host.ts'
import { fault } from './faults.ts'
import type { Flag } from '../base/terminal/command.ts'
import type { KnownAddresses } from './known-addresses.ts'

/** Of the commands that look for a peer. */
export const nearbyFlag = {
  'no-lan': { summary: 'do not ask for the peer on the local network, where everybody hears which one is asked for' },
} as const satisfies Record<string, Flag>

export type NearbyNeeds = { readonly host: PeerHost; readonly known: KnownAddresses; readonly clock: Clock }

export type Wanted = {
  /** Undefined when only a name is known: nobody can be asked for that. */
  readonly peer: string | undefined
  readonly protocol: string
}

/** A stream to the first who proves to be the peer; fault `reach.not_nearby` when nobody does. */
export async function dialNearby(
  { host, known, clock }: NearbyNeeds,
  { peer, protocol }: Wanted,
  signal: AbortSignal,
): Promise<PeerStream> {
  if (peer === undefined) throw fault.not_nearby({})
  const { searchLan } = await import('../base/peer/lan-search.ts')
  const { promise: first, resolve } = Promise.withResolvers<PeerStream>()
  const enough = new AbortController()
  const tries: Promise<void>[] = []
  const attempt = async (address: string): Promise<void> => {
    const stream = await host.dial(peer, [address], protocol, signal)
    if (enough.signal.aborted) return stream.abort()
    enough.abort()
    known.remember(peer, [address])
    resolve(stream)
  }
  const searched = searchLan(
    { clock },
    peer,
    (address) => tries.push(attempt(address).catch(() => {})),
    AbortSignal.any([signal, enough.signal]),
  )
  const none = searched.then(async () => {
    await Promise.all(tries)
    throw fault.not_nearby({})
  })
  return Promise.race([first, none])
}
