// Signed tokens (JWT, RFC 7519): checked against the keys of their issuer, and remembered for a moment, so that a client's next call waits for nothing.
import type { JWTPayload, LocalJWKSet } from 'jose'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { JwtAlgorithm } from './jwt-algorithms.ts'
import type { KeySet } from './key-set.ts'

/** Somebody whose signature is believed, and what is made of the claims below it. */
export type JwtIssuer<Accepted> = {
  /** The claim `iss`, letter for letter. */
  readonly issuer: string
  readonly algorithms: readonly JwtAlgorithm[]
  readonly keys: KeySet
  /** `untilMs`: when the token ends, by wall time. */
  accept(claims: JWTPayload, untilMs: number): Accepted
}

/** Why a token proves nothing; `isOurs`: it could not be checked, so it may be good. */
export type Unproved = { readonly problem: string; readonly isOurs: boolean }

/** How far the clocks of issuer and gate may be apart. */
const skewSeconds = 60
/** A proof is remembered for so long, but never past the end of its token. */
const rememberMs = 30_000
const maxProofs = 10_000

type Proof<Accepted> = { readonly accepted: Accepted; readonly set: KeySet; readonly keys: LocalJWKSet; readonly untilMs: number }

/** True for what looks like a signed token; anything else is some other credential. */
export function looksLikeJwt(token: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)
}

/** Knows tokens of its issuers. Loads `jose` when the first token is to be checked. */
export class JwtVerifier<Accepted> {
  readonly #clock: Clock
  readonly #issuers: ReadonlyMap<string, JwtIssuer<Accepted>>
  readonly #proofs = new Map<string, Proof<Accepted>>()

  constructor({ clock }: { readonly clock: Clock }, issuers: readonly JwtIssuer<Accepted>[]) {
    this.#clock = clock
    this.#issuers = new Map(issuers.map((issuer) => [issuer.issuer, issuer]))
  }

  /** What a token with this hash proved a moment ago, if the keys of its issuer are still the same. */
  recall(hash: string): Accepted | undefined {
    const proof = this.#proofs.get(hash)
    if (!proof) return undefined
    if (this.#clock.mono() < proof.untilMs && proof.set.current === proof.keys) return proof.accepted
    this.#proofs.delete(hash)
    return undefined
  }

  /** Checks signature, algorithm, issuer and times. Never throws. */
  async verify(token: string, hash: string): Promise<{ readonly accepted: Accepted } | Unproved> {
    const issuer = this.#issuers.get(issuerOf(token) ?? '')
    if (!issuer) return { problem: 'it is of an issuer that is not known here', isOurs: false }
    try {
      const { claims, keys } = await checked(this.#clock, issuer, token)
      const accepted = issuer.accept(claims, (claims.exp! + skewSeconds) * 1_000)
      this.#remember(hash, claims, { accepted, set: issuer.keys, keys })
      return { accepted }
    } catch (error) {
      const { code, message } = asFault(error)
      if (code === 'access.no_keys') return { problem: message, isOurs: true }
      return { problem: problemOf(error), isOurs: false }
    }
  }

  #remember(hash: string, { exp }: JWTPayload, proof: Omit<Proof<Accepted>, 'untilMs'>): void {
    const forMs = Math.min(rememberMs, exp! * 1_000 - this.#clock.now())
    if (forMs <= 0) return
    if (this.#proofs.size >= maxProofs) this.#proofs.delete(this.#proofs.keys().next().value!) // the oldest
    this.#proofs.set(hash, { ...proof, untilMs: this.#clock.mono() + forMs })
  }
}

async function checked(
  clock: Clock,
  { issuer, algorithms, keys: set }: JwtIssuer<unknown>,
  token: string,
): Promise<{ readonly claims: JWTPayload; readonly keys: LocalJWKSet }> {
  const { jwtVerify } = await import('jose')
  const check = async (keys: LocalJWKSet): Promise<{ readonly claims: JWTPayload; readonly keys: LocalJWKSet }> => {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      algorithms: [...algorithms],
      requiredClaims: ['exp', 'aud'],
      clockTolerance: skewSeconds,
      currentDate: new Date(clock.now()),
    })
    return { claims: payload, keys }
  }
  const keys = await set.get()
  try {
    return await check(keys)
  } catch (error) {
    const newer = codeOf(error) === 'ERR_JWKS_NO_MATCHING_KEY' ? await set.newer(keys) : undefined
    if (!newer) throw error
    return check(newer)
  }
}

/** Whose token it claims to be: tells only which keys to check it with. */
function issuerOf(token: string): string | undefined {
  try {
    const { iss } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString('utf8')) as { readonly iss?: unknown }
    return typeof iss === 'string' ? iss : undefined
  } catch {
    return undefined
  }
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown } | undefined)?.code
}

/** In fixed words, which repeat nothing of the token. */
function problemOf(error: unknown): string {
  switch (codeOf(error)) {
    case 'ERR_JWT_EXPIRED':
      return 'it has expired'
    case 'ERR_JOSE_ALG_NOT_ALLOWED':
      return 'it is signed with an algorithm that its issuer may not use here'
    case 'ERR_JWKS_NO_MATCHING_KEY':
      return 'it is signed with a key that its issuer does not have'
    case 'ERR_JWKS_MULTIPLE_MATCHING_KEYS':
      return 'it does not say with which key it is signed'
    case 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED':
      return 'its signature is wrong'
    case 'ERR_JWT_CLAIM_VALIDATION_FAILED': {
      const { claim, reason } = error as { readonly claim?: unknown; readonly reason?: unknown }
      if (reason === 'missing' && (claim === 'exp' || claim === 'aud')) return `it has no ${claim}`
      return claim === 'nbf' ? 'it is not valid yet' : 'its claims are malformed'
    }
    default:
      return 'it is malformed'
  }
}
