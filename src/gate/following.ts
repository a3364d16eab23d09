// Keeps what this gate has in memory as other gates of its cluster change it.
import { asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'

/** What holds copies of entries that others write, too. */
export interface Follower {
  /** Ends when `signal` is aborted. */
  follow(signal: AbortSignal): Promise<void>
}

/** Follows until the returned function is called. */
export function following({ log }: { readonly log: Log }, followers: readonly Follower[]): () => Promise<void> {
  const stop = new AbortController()
  const running = followers.map((follower) =>
    follower.follow(stop.signal).catch((error: unknown) => log.error('gate.following.failed', { error: asFault(error) })),
  )
  return async () => {
    stop.abort()
    await Promise.all(running)
  }
}
