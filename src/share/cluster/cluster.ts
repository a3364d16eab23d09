// What a cache needs of the others of its group: their entries, the right to ask the API for all of them, and what the API forbids them all.
import type { Offer, Outcome } from './board.ts'

/** `entry`: sealed, and proved by nobody yet. */
export type Got = { readonly is: 'entry'; readonly sealed: Uint8Array } | { readonly is: Exclude<Offer, 'look'> }

export interface Cluster {
  /** Of the key of a request. Waits for whoever is asking the API for it. Never rejects: without the others one is alone. */
  want(key: string): Promise<Got>
  /** Follows each lease. */
  done(key: string, subject: string, outcome: Outcome, sealed?: Uint8Array): void
  /** What is kept of these subjects (all, without) is forgotten everywhere else. */
  forget(subjects?: readonly string[]): void
  /** The API wants to be left alone: nobody else asks it for what comes out of this budget. `sealed`: its answer, under that key, for as long as it said. */
  hold(budget: string, sealed: Uint8Array): void
  /** To be called once: what others say. */
  listen(heard: Heard): void
  /** The members that are connected, or the host. */
  readonly connected: readonly Near[]
}

/** A peer id, and since when it is connected, in ms since 1970. */
export type Near = { readonly peer: string; readonly since: number }

export interface Heard {
  forget(subjects?: readonly string[]): void
  hold(budget: string, sealed: Uint8Array): void
}

/** Where a peer is that may be the host. */
export type Way = { readonly peer: string; readonly address: string }

/** `/ip4/ADDRESS/tcp/PORT/p2p/ID`, and other ways that end in an id; undefined for anything else. */
export function wayAt(address: string): Way | undefined {
  const peer = address.length > maxAddressLength ? undefined : /^(?:\/[\w.:%-]+)+\/p2p\/([1-9A-HJ-NP-Za-km-z]{52})$/.exec(address)?.[1]
  return peer === undefined ? undefined : { peer, address }
}

const maxAddressLength = 300
