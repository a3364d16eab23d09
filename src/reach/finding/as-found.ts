// Dials a peer at every address that a search brings, at the same time: whoever answers there is tried, and the key decides.
import type { PeerHost, PeerStream, Protocols } from '../../base/peer/host/host.ts'
import { fault } from '../faults.ts'
import type { KnownAddresses } from './known-addresses.ts'

export type AsFoundNeeds = { readonly host: PeerHost; readonly known: KnownAddresses }

export type Wanted = {
  /** Undefined when only a name is known: nobody can be asked for that. */
  readonly peer: string | undefined
  readonly protocol: Protocols
  /** Which of the addresses may be used. */
  readonly usable: (addresses: readonly string[]) => readonly string[]
}

/** Hands on addresses of the peer as they are found, and resolves when there will be no more. */
export type Search = (peer: string, found: (addresses: readonly string[]) => void, signal: AbortSignal) => Promise<unknown>

/** A stream to the first who proves to be the peer; fault `reach.nobody_knows` when nobody does. */
export async function dialAsFound(
  { host, known }: AsFoundNeeds,
  { peer, protocol, usable }: Wanted,
  search: Search,
  signal: AbortSignal,
): Promise<PeerStream> {
  if (peer === undefined) throw fault.nobody_knows({})
  const { promise: first, resolve } = Promise.withResolvers<PeerStream>()
  const enough = new AbortController()
  const tries: Promise<void>[] = []
  const attempt = async (found: readonly string[]): Promise<void> => {
    const addresses = usable(found)
    if (addresses.length === 0) return
    const stream = await host.dial(peer, addresses, protocol, signal)
    if (enough.signal.aborted) return stream.abort()
    enough.abort()
    known.remember(peer, addresses)
    resolve(stream)
  }
  const searched = search(peer, (addresses) => tries.push(attempt(addresses).catch(() => {})), AbortSignal.any([signal, enough.signal]))
  const none = searched.then(async () => {
    await Promise.all(tries)
    throw fault.nobody_knows({})
  })
  return Promise.race([first, none])
}
