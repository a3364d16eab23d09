// What the cache counts: each thing once, when it happens; all other numbers follow from these.

export const counts = [
  /** Requests that could be answered from here, and were: by an entry that held, or with the one call that somebody made for the same. */
  'local_hits',
  /** Answered by what another of the group had asked for. */
  'peer_hits',
  /** Of those from here: they waited for a call that ran already. */
  'joined',
  /** Served although their time was over, for the API could not be asked. */
  'stale_hits',
  /** Requests that could have been answered from here, and needed a call. */
  'misses',
  /** Values that a program looked for by name, and that were not there: what it did then is not known. */
  'unknown_values',
  /** Calls that reached the API, whatever it answered. */
  'api_calls_made',
  /** Of them: they had to pass through, as writes do. */
  'passed',
  /** Of them: the API said that what is kept still holds. */
  'not_modified',
  /** Answered in the API's place while it wants to be left alone. */
  'held_back',
  /** Entries found here whose time was over. */
  'expirations',
  /** Entries that had to go for want of room. */
  'evictions',
  /** Entries that were not what they should be, and were thrown away. */
  'refused',
] as const

export type Count = (typeof counts)[number]
export type Counts = Readonly<Record<Count, number>>

export const noCounts = Object.fromEntries(counts.map((what) => [what, 0])) as Counts

export type Sums = Counts & {
  readonly hits: number
  /** Of those that could be answered from here; 0 when there were none. */
  readonly hit_rate: number
  /** What the same requests would have needed without the cache, less what they needed. */
  readonly api_calls_saved: number
}

export type Stats = Sums & {
  readonly cache_size: number
  readonly cache_size_bytes: number
  /** Members of the group that are connected to this host, or the host that this member is connected to. */
  readonly connected_peers: number
  /** There are others to share with, or there should be. */
  readonly p2p_enabled: boolean
  /** Of the identity that signs what is kept here. */
  readonly peer_id: string | null
  /** On a host: of all that ever joined since it was started, with its own. */
  readonly group?: (Sums & { readonly members: number }) | undefined
}

type Kept = { readonly size: number; readonly sizeBytes: number }
type Met = Pick<Stats, 'connected_peers' | 'p2p_enabled' | 'peer_id' | 'group'>

export function statsOf(counted: Counts, { size, sizeBytes }: Kept, met: Met): Stats {
  return { ...sumsOf(counted), cache_size: size, cache_size_bytes: sizeBytes, ...met }
}

export function sumsOf(counted: Counts): Sums {
  const hits = counted.local_hits + counted.peer_hits + counted.stale_hits
  const asked = hits + counted.misses + counted.unknown_values
  const answered = hits + counted.misses + counted.held_back
  return {
    ...counted,
    hits,
    hit_rate: asked === 0 ? 0 : hits / asked,
    api_calls_saved: answered - (counted.api_calls_made - counted.passed),
  }
}
