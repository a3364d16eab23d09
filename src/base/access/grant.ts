// Grants: short statements of who somebody is and which roles they have, signed by whoever proved it (JWT, RFC 7519, with EdDSA, RFC 8037). An issuer is named by its peer id, which holds its key.
import type { Clock } from '../../kernel/clock.ts'
import { faults } from '../../kernel/fault.ts'
import { type Identity, publicKeyOf, verify } from '../identity/identity.ts'
import { tokenHash } from './principal.ts'

/** No grant is good for longer: whoever takes one away can do little with it. */
export const maxGrantMs = 60_000
/** How far the clocks of issuer and verifier may be apart. */
const skewMs = 5_000
const maxLength = 4_096
/** A grant names no more. */
export const maxRoles = 16
const maxProofs = 1_000
const header = { alg: 'EdDSA', typ: 'JWT' }

const fault = faults('access', {
  bad_grant: (d: { problem: string }) => ({
    kind: 'denied',
    message: `the grant that was shown is not believed: ${d.problem}`,
    hint: 'show a fresh one, of an issuer that the configuration of this daemon names',
  }),
})

export type Grant = {
  readonly issuer: string
  readonly subject: string
  readonly roles: readonly string[]
  /** How the subject was proved to the issuer. */
  readonly via: string
  /** When it ends, by wall time. */
  readonly untilMs: number
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Signs a grant for the daemon `audience`; `ttlMs` is at most, and by default, a minute. */
export async function issueGrant(
  { identity, clock }: { readonly identity: Identity; readonly clock: Pick<Clock, 'now'> },
  { subject, roles, via, audience, ttlMs = maxGrantMs }: Pick<Grant, 'subject' | 'roles' | 'via'> & { audience: string; ttlMs?: number },
): Promise<string> {
  const iat = Math.floor(clock.now() / 1_000)
  const exp = iat + Math.floor(Math.min(ttlMs, maxGrantMs) / 1_000)
  const signed = `${encode(header)}.${encode({ iss: identity.peerId, sub: subject, roles, via, aud: audience, iat, exp })}`
  return `${signed}.${Buffer.from(await identity.sign(Buffer.from(signed))).toString('base64url')}`
}

/** Believes grants of its issuers for one audience. What was proved is remembered until it ends. */
export class GrantVerifier {
  readonly #clock: Pick<Clock, 'now'>
  readonly #issuers: ReadonlySet<string>
  readonly #audience: string
  readonly #proofs = new Map<string, Grant>()

  /** `issuers`: peer ids. */
  constructor(
    { clock }: { readonly clock: Pick<Clock, 'now'> },
    { issuers, audience }: { readonly issuers: readonly string[]; readonly audience: string },
  ) {
    this.#clock = clock
    this.#issuers = new Set(issuers)
    this.#audience = audience
  }

  /** What the grant says. Fault `access.bad_grant`, in words that repeat nothing of it. */
  verify(text: string): Grant {
    if (text.length > maxLength) throw fault.bad_grant({ problem: 'it is too long' })
    const key = tokenHash(text)
    const grant = this.#proofs.get(key) ?? this.#check(text)
    if (this.#clock.now() >= grant.untilMs) {
      this.#proofs.delete(key)
      throw fault.bad_grant({ problem: 'it has expired' })
    }
    if (!this.#proofs.has(key) && this.#proofs.size >= maxProofs) this.#proofs.delete(this.#proofs.keys().next().value!) // the oldest
    this.#proofs.set(key, grant)
    return grant
  }

  #check(text: string): Grant {
    const parts = text.split('.')
    if (parts.length !== 3 || !parts.every((part) => /^[\w-]+$/.test(part))) throw fault.bad_grant({ problem: 'it is not a signed token' })
    const [head, body, signature] = parts as [string, string, string]
    const { alg, crit } = decode(head)
    if (alg !== header.alg || crit !== undefined) throw fault.bad_grant({ problem: 'it is not signed with EdDSA' })
    const { iss, sub, roles, via, aud, iat, exp } = decode(body)
    if (typeof iss !== 'string' || !this.#issuers.has(iss)) throw fault.bad_grant({ problem: 'it is of an issuer that is not known here' })
    if (!verify(publicKeyOf(iss), Buffer.from(`${head}.${body}`), Buffer.from(signature, 'base64url')))
      throw fault.bad_grant({ problem: 'its signature is not of its issuer' })
    if (aud !== this.#audience) throw fault.bad_grant({ problem: 'it is for another daemon' })
    if (typeof sub !== 'string' || sub === '' || sub.length > 256 || typeof via !== 'string' || via.length > 64)
      throw fault.bad_grant({ problem: 'it does not say who it is for' })
    if (!Array.isArray(roles) || roles.length > maxRoles || !roles.every((role) => typeof role === 'string'))
      throw fault.bad_grant({ problem: 'it does not say which roles' })
    if (!Number.isSafeInteger(iat) || !Number.isSafeInteger(exp))
      throw fault.bad_grant({ problem: 'it does not say for how long it is good' })
    const [fromMs, untilMs] = [(iat as number) * 1_000, (exp as number) * 1_000]
    if (untilMs - fromMs > maxGrantMs || untilMs > this.#clock.now() + maxGrantMs + skewMs)
      throw fault.bad_grant({ problem: `it is good for longer than ${maxGrantMs / 1_000} s` })
    if (fromMs > this.#clock.now() + skewMs) throw fault.bad_grant({ problem: 'it is of a time to come' })
    return { issuer: iss, subject: sub, roles, via, untilMs }
  }
}

function decode(part: string): Readonly<Record<string, unknown>> {
  try {
    const value = JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as unknown
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // told below
  }
  throw fault.bad_grant({ problem: 'it is not a signed token' })
}
