// What the package tells its users of the cache: types alone, of nothing else.

export type GlobalCacheOptions = {
  /** `process.env` by default: the variables of `fairlead share proxy`, and where its folders are. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Told what happens on the way, a JSON line at a time. */
  readonly log?: (line: string) => void
}

export type PutOptions = {
  /** How long it holds: 1 to 86400; `CACHE_DEFAULT_TTL` by default, and 300 without that. */
  readonly ttlSeconds?: number
}

/** Everything is counted once, when it is served: see `fairlead share stats`. */
export type GlobalCacheStats = {
  /** Of what could be answered without a call, from 0 to 1. */
  readonly hit_rate: number
  readonly hits: number
  readonly local_hits: number
  readonly peer_hits: number
  readonly misses: number
  /** Looked for by name, and not there. */
  readonly unknown_values: number
  readonly api_calls_made: number
  readonly api_calls_saved: number
  readonly expirations: number
  readonly evictions: number
  readonly cache_size: number
  readonly cache_size_bytes: number
  /** Members connected to this host, or the host that this member is connected to. */
  readonly connected_peers: number
  readonly p2p_enabled: boolean
  /** Of the host, or the member, that runs on this machine. */
  readonly peer_id: string | null
  /** What else `fairlead share stats --json` tells. */
  readonly [more: string]: unknown
}

/**
 * One cache for all programs of a person on a machine, and with the variables of a group for all of its machines. The one that runs (`fairlead share host`, `proxy`, or
 * another program that opened it) is used; if there is none, this process opens it, and is it for the others until `shutdown`.
 *
 * Names are the caller's; what is put under one is for all of the group. A write that passes through the proxy, and changes nobody knows what, takes values along.
 * Failures are errors with a `code`: `share.value_too_large`, `share.ttl_invalid` and so on.
 */
export interface GlobalCache {
  /** What JSON made of the value; undefined: there is none that holds. */
  get(name: string): Promise<unknown>
  /** At most 512 KiB of JSON. It takes the place of what was there. */
  put(name: string, value: unknown, options?: PutOptions): Promise<void>
  /** Here, and everywhere else in the group. */
  invalidate(name: string): Promise<void>
  getStats(): Promise<GlobalCacheStats>
  /** Lets go of what was opened, without which a process that opened the cache does not end. The next `getGlobalCache` begins anew. */
  shutdown(): Promise<void>
}
