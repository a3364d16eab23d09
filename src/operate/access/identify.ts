// Who sends a request over HTTP, and what they may: whatever is shown must prove somebody, all of it the same one; nothing shown is nobody.
import type { JWTPayload } from 'jose'
import { audiencesOf, claimTexts, verifiedEmail } from '../../base/access/claims.ts'
import { type JwtAlgorithm, type JwtIssuer, JwtVerifier, looksLikeJwt } from '../../base/access/jwt.ts'
import type { KeySet } from '../../base/access/key-set.ts'
import { matcher } from '../../base/access/pattern.ts'
import { type Principal, bearerToken, tokenHash } from '../../base/access/principal.ts'
import type { Admit } from '../../base/mcp/tool/http.ts'
import { type Role, reaches, roles } from '../../base/mcp/tool/tool.ts'
import type { Clock } from '../../kernel/clock.ts'
import { fault } from '../faults.ts'

export type RoleRule = { readonly claim: string; readonly value: string; readonly role: Role }

type Signer = { readonly audience: string; readonly keys: KeySet; readonly rules: readonly RoleRule[] }
export type IssuerSettings = Signer & { readonly name: string; readonly issuer: string; readonly algorithms: readonly JwtAlgorithm[] }
export type CloudflareSettings = Signer & { readonly team: string }

/** Whom a token is for, and who shows it; undefined: nobody who is let in. */
type Accepted = { readonly isForUs: boolean; readonly principal: Principal | undefined }

export const assertionHeader = 'cf-access-jwt-assertion'

export type IdentifySettings = {
  /** By the hash of their tokens. */
  readonly tokens: ReadonlyMap<string, Principal>
  readonly issuers: readonly IssuerSettings[]
  readonly cloudflare: CloudflareSettings | undefined
}

/** Faults `operate.no_credential`, `.bad_credential`, `.not_let_in`, `.keys_away`. */
export function createAdmit(needs: { readonly clock: Clock }, { tokens, issuers, cloudflare }: IdentifySettings): Admit {
  const bearers = new JwtVerifier<Accepted>(needs, issuers.map(issuerOf))
  const assertions = cloudflare && new JwtVerifier<Accepted>(needs, [cloudflareOf(cloudflare)])

  const signed = async (verifier: JwtVerifier<Accepted>, token: string, hash: string): Promise<Principal> => {
    const remembered = verifier.recall(hash)
    const result = remembered ? { accepted: remembered } : await verifier.verify(token, hash)
    if (!('accepted' in result))
      throw result.isOurs
        ? fault.keys_away({ problem: result.problem })
        : fault.bad_credential({ problem: `the token is not accepted: ${result.problem}` })
    const { isForUs, principal } = result.accepted
    if (!isForUs) throw fault.bad_credential({ problem: 'the token is for another server' })
    if (!principal) throw fault.not_let_in({})
    return principal
  }
  const byBearer = async (authorization: string): Promise<Principal> => {
    const token = bearerToken(authorization)
    if (token === undefined) throw fault.bad_credential({ problem: 'the Authorization header holds no bearer token' })
    const hash = tokenHash(token)
    const principal = tokens.get(hash)
    if (principal) return principal
    if (issuers.length === 0 || !looksLikeJwt(token)) throw fault.bad_credential({ problem: 'the token is not known here' })
    return signed(bearers, token, hash)
  }
  const byAssertion = (verifier: JwtVerifier<Accepted>, assertion: string): Promise<Principal> => {
    if (!looksLikeJwt(assertion)) throw fault.bad_credential({ problem: 'the assertion is malformed' })
    return signed(verifier, assertion, tokenHash(assertion))
  }

  return async ({ headers }) => {
    const { authorization, [assertionHeader]: assertion } = headers
    const shown: Principal[] = []
    if (authorization !== undefined) shown.push(await byBearer(authorization))
    if (assertions && assertion !== undefined) shown.push(await byAssertion(assertions, String(assertion)))
    const [first, second] = shown
    if (!first) throw fault.no_credential({})
    if (second && second.name !== first.name) throw fault.bad_credential({ problem: 'the credentials are of different principals' })
    return second && !reaches(first.role, second.role as Role) ? first : (second ?? first) // of two proofs the lesser role
  }
}

function issuerOf({ name, issuer, audience, algorithms, keys, rules }: IssuerSettings): JwtIssuer<Accepted> {
  return {
    issuer,
    algorithms,
    keys,
    accept(claims, untilMs) {
      const role = roleOf(claims, rules, verifiedEmail(claims))
      const { sub } = claims
      const principal =
        role && typeof sub === 'string' && sub !== '' ? ({ name: `${name}:${sub}`, via: 'jwt', role, untilMs } as const) : undefined
      return { isForUs: audiencesOf(claims).includes(audience), principal }
    },
  }
}

/** Cloudflare has verified what it asserts. A service token has a common name and no email. */
function cloudflareOf({ team, audience, keys, rules }: CloudflareSettings): JwtIssuer<Accepted> {
  return {
    issuer: team,
    algorithms: ['RS256'],
    keys,
    accept(claims, untilMs) {
      const { email, common_name: service } = claims
      const name = typeof email === 'string' ? email : typeof service === 'string' && email === undefined ? `service:${service}` : undefined
      const role = roleOf(claims, rules, typeof email === 'string' ? email : undefined)
      const principal = role && name !== undefined ? ({ name, via: 'cloudflare', role, untilMs } as const) : undefined
      return { isForUs: audiencesOf(claims).includes(audience), principal }
    },
  }
}

/** The highest role of the rules that fit; `email`: what may be believed to be one. A common name beside an email is none of a service token. */
function roleOf(claims: JWTPayload, rules: readonly RoleRule[], email: string | undefined): Role | undefined {
  const textsOf = (claim: string): readonly string[] => {
    if (claim === 'email') return email === undefined ? [] : [email]
    return claim === 'common_name' && claims['email'] !== undefined ? [] : claimTexts(claims, claim)
  }
  const found = rules.filter(({ claim, value }) => textsOf(claim).some(matcher([value]))).map(({ role }) => roles.indexOf(role))
  return found.length === 0 ? undefined : roles[Math.max(...found)]
}
