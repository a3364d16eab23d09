// What a cache needs of the others of its group: their entries, and the right to ask the API for all of them.
import type { Offer, Outcome } from './board.ts'

/** `entry`: sealed, and proved by nobody yet. */
export type Got = { readonly is: 'entry'; readonly sealed: Uint8Array } | { readonly is: Exclude<Offer, 'look'> }

export type Connected = { readonly peer: string; readonly since: number }

export interface Cluster {
  /** Of the key of a request. Waits for whoever is asking the API for it. Never rejects: without the others one is alone. */
  want(key: string): Promise<Got>
  /** Follows each lease. */
  done(key: string, subject: string, outcome: Outcome, sealed?: Uint8Array): void
  /** What is kept of these subjects (all, without) is forgotten everywhere else. */
  forget(subjects?: readonly string[]): void
  /** To be called once: others said to forget. */
  onForget(act: (subjects?: readonly string[]) => void): void
  /** Connected members, or the host that we are connected to: peer ids, and since when (ms since 1970). */
  readonly connected: readonly Connected[]
}
