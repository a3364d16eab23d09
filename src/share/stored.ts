// What was counted, when no proxy runs that could tell.
import { readWalletCard } from '../base/identity/wallet.ts'
import { lockFolder } from '../base/store/lock.ts'
import type { Clock } from '../kernel/clock.ts'
import { statOf } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import { type Stats, noCounts, statsOf } from './counts.ts'
import type { Places } from './places.ts'
import { openShelf } from './shelf.ts'

/** Faults: `store.locked` while a `share gh` runs, and those of the store. */
export function storedStats(needs: { readonly clock: Clock; readonly log: Log }, { folder, wallet }: Places): Stats {
  const met = { connected_peers: 0, p2p_enabled: false, peer_id: readWalletCard(wallet)?.peerId ?? null }
  if (!statOf(folder)) return statsOf(noCounts, { size: 0, sizeBytes: 0 }, met)
  using _lock = lockFolder(folder)
  const shelf = openShelf(needs, { folder, maxBytes: Number.MAX_SAFE_INTEGER })
  try {
    return statsOf(shelf.counts, shelf, met)
  } finally {
    shelf.close()
  }
}
