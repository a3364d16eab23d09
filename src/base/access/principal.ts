// Who is asking: a credential becomes a principal here, or nothing. A bad credential is never "anonymous".
import { hash } from 'node:crypto'

/**
 * How somebody was proved: a static token, a signed token (JWT) of an issuer, the assertion of Cloudflare Access, a peer identity proved in the
 * handshake, the UNIX socket or the local door one came in by.
 */
export type Via = 'token' | 'jwt' | 'cloudflare' | 'peer' | 'socket' | 'door'

/** Someone whose credential was proved. */
export type Principal = {
  readonly name: string
  readonly via: Via
  /** When the proof ends (wall time): what only listens ends with it, so that whoever listens proves it again. Undefined: it has no end. */
  readonly untilMs?: number
  /** What its credential lets it do, where that says so; undefined: whatever its door lets everyone do. */
  readonly role?: string
}

/** Somebody who is let in nowhere: what HTTP answers, and why. The reason is theirs to read, so it repeats nothing of a credential. */
export type Refused = {
  readonly status: 401 | 403 | 503
  readonly reason: string
  /** What was shown, as far as it could be told. */
  readonly via?: Via
  readonly headers: Readonly<Record<string, string>>
}

/** What a principal may prove itself with. Tokens are known by their SHA-256 only. */
export type Credentials = {
  readonly name: string
  /** Lower-case hex, 64 characters. */
  readonly tokenHashes: readonly string[]
  /** libp2p peer ids. */
  readonly peers: readonly string[]
}

/** Finds the principal that a proved credential belongs to; undefined: nobody. */
export interface Directory {
  /** By the `tokenHash` of what was shown. */
  byTokenHash(hash: string): Principal | undefined
  byPeer(peerId: string): Principal | undefined
}

/** The SHA-256 of a token, lower-case hex: what a configuration holds instead of the token. */
export function tokenHash(token: string): string {
  return hash('sha256', token, 'hex')
}

/** Looks credentials up by hash and by proved peer id. The hash is what is compared, so the time it takes tells nothing about a token. */
export function createDirectory(all: readonly Credentials[]): Directory {
  const byHash = new Map<string, Principal>()
  const byPeerId = new Map<string, Principal>()
  for (const { name, tokenHashes, peers } of all) {
    for (const value of tokenHashes) byHash.set(value, { name, via: 'token' })
    for (const peer of peers) byPeerId.set(peer, { name, via: 'peer' })
  }
  return {
    byTokenHash: (value) => byHash.get(value),
    byPeer: (peerId) => byPeerId.get(peerId),
  }
}

/** The token of an `Authorization: Bearer` header (RFC 6750 §2.1), or undefined for anything else. */
export function bearerToken(header: string | undefined): string | undefined {
  return header ? /^Bearer +([A-Za-z0-9\-._~+/]+=*) *$/i.exec(header)?.[1] : undefined
}
