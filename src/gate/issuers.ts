// Whose signed tokens the gate takes, and which principal each of them is: identity providers, and Cloudflare Access.
import type { JWTPayload } from 'jose'
import { audiencesOf, scopesOf, verifiedEmail } from '../base/access/claims.ts'
import { type JwtAlgorithm, JwtVerifier } from '../base/access/jwt.ts'
import type { KeySet } from '../base/access/key-set.ts'
import type { Principal } from '../base/access/principal.ts'
import type { Clock } from '../kernel/clock.ts'

export type IssuerSettings = {
  /** In `gate.issuers`. */
  readonly name: string
  readonly issuer: string
  /** What a token must be for. Undefined: the resource that is called, or the whole gate. */
  readonly audience: string | undefined
  readonly algorithms: readonly JwtAlgorithm[]
  readonly keys: KeySet
  readonly claim: 'sub' | 'email'
  /** The claim's value, letter for letter, and the principal it is. */
  readonly principals: ReadonlyMap<string, string>
}

export type CloudflareSettings = {
  /** `https://TEAM.cloudflareaccess.com` */
  readonly team: string
  readonly audience: string
  readonly keys: KeySet
  /** By email. */
  readonly principals: ReadonlyMap<string, string>
  /** By the common name of a service token. */
  readonly serviceTokens: ReadonlyMap<string, string>
}

/** What a token says that has been checked. */
export type Accepted = {
  /** Undefined: it is of somebody who is nobody here. */
  readonly principal: Principal | undefined
  readonly audiences: readonly string[]
  /** What `audiences` must hold; undefined: the resource that is called. */
  readonly audience: string | undefined
  readonly scopes: ReadonlySet<string>
}

export function issuersVerifier(needs: { readonly clock: Clock }, issuers: readonly IssuerSettings[]): JwtVerifier<Accepted> {
  return new JwtVerifier(
    needs,
    issuers.map(({ issuer, audience, algorithms, keys, claim, principals }) => ({
      issuer,
      algorithms,
      keys,
      accept: (claims, untilMs) => ({
        principal: named(principals.get(personOf(claims, claim) ?? ''), 'jwt', untilMs),
        audiences: audiencesOf(claims),
        audience,
        scopes: scopesOf(claims),
      }),
    })),
  )
}

export function cloudflareVerifier(
  needs: { readonly clock: Clock },
  { team, audience, keys, principals, serviceTokens }: CloudflareSettings,
): JwtVerifier<Accepted> {
  const principalOf = ({ email, common_name: commonName }: JWTPayload): string | undefined => {
    if (typeof commonName === 'string') return email === undefined ? serviceTokens.get(commonName) : undefined
    return typeof email === 'string' ? principals.get(email) : undefined
  }
  const accept = (claims: JWTPayload, untilMs: number): Accepted => ({
    principal: named(principalOf(claims), 'cloudflare', untilMs),
    audiences: audiencesOf(claims),
    audience,
    scopes: new Set(),
  })
  return new JwtVerifier(needs, [{ issuer: team, algorithms: ['RS256'], keys, accept }])
}

function named(name: string | undefined, via: 'jwt' | 'cloudflare', untilMs: number): Principal | undefined {
  return name === undefined ? undefined : { name, via, untilMs }
}

function personOf(claims: JWTPayload, claim: 'sub' | 'email'): string | undefined {
  if (claim === 'email') return verifiedEmail(claims)
  return typeof claims.sub === 'string' ? claims.sub : undefined
}
