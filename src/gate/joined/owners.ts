// Whose a URI is: URIs stay as their servers write them, and one that two servers have belongs to the one that named it first.

/** Remembered at once; the oldest are forgotten, and found again by asking. */
const maxOwned = 10_000

export class Owners {
  readonly #owned = new Map<string, string>()

  /** The upstream that named this URI first to this principal; it is this one now if none did. */
  claim(principal: string, uri: string, upstream: string): string {
    const key = `${principal}\n${uri}`
    const owner = this.#owned.get(key)
    if (owner !== undefined) return owner
    this.#owned.set(key, upstream)
    if (this.#owned.size > maxOwned) this.#owned.delete(this.#owned.keys().next().value!)
    return upstream
  }

  of(principal: string, uri: string): string | undefined {
    return this.#owned.get(`${principal}\n${uri}`)
  }

  /** What upstreams that are gone, or are others now, have named is anybody's. */
  forget(upstreams: ReadonlySet<string>): void {
    for (const [key, upstream] of this.#owned) if (upstreams.has(upstream)) this.#owned.delete(key)
  }
}
