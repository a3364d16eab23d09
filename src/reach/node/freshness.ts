// Whether a card still speaks for somebody: one with addresses is renewed for as long as its owner listens there.
import { renewalMs } from '../registry/registration.ts'
import type { KnownPeer } from '../registry/client.ts'

/** Three renewals were missed: a slow registry alone does not explain it. */
const staleMs = 3 * renewalMs

/** Whether whoever published the addresses seems to be gone. */
export function isStale({ addresses, ageMs }: Pick<KnownPeer, 'addresses' | 'ageMs'>): boolean {
  return addresses.length > 0 && ageMs > staleMs
}
