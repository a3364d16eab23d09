// Who sends a request over HTTP: whatever is shown must prove somebody, all of it the same one; nothing shown is nobody, or whom the door stands for.
import type { IncomingMessage } from 'node:http'
import { type JwtVerifier, looksLikeJwt } from '../base/access/jwt.ts'
import { type Directory, type Principal, type Refused, bearerToken, tokenHash } from '../base/access/principal.ts'
import type { Accepted } from './issuers.ts'
import type { ProtectedResource } from './protected-resource.ts'

/** `local`: whom the UNIX socket stands for that the request came in by. A promise only when a signed token has to be checked. */
export type Identify = (request: IncomingMessage, local?: Principal) => Known | Promise<Known>

export type Known = Principal | Refused

export type IdentifyNeeds = {
  readonly directory: Directory
  readonly resource: ProtectedResource
  /** Knows bearer tokens of the configured issuers. */
  readonly issuers?: JwtVerifier<Accepted>
  /** Knows the assertions of Cloudflare Access; without it they are nothing. */
  readonly cloudflare?: JwtVerifier<Accepted>
}

export const assertionHeader = 'cf-access-jwt-assertion'
const needed = 'a valid credential is needed'
const retryAfterSeconds = 5

/** `stranger`: who everyone is that shows nothing and comes in by TCP. */
export function createIdentify({ directory, resource, issuers, cloudflare }: IdentifyNeeds, stranger: Principal | undefined): Identify {
  const known = (url: string, accepted: Accepted, via: 'jwt' | 'cloudflare'): Known => {
    const { principal, audience, audiences, scopes } = accepted
    const isForUs = audience === undefined ? audiences.some((one) => resource.isFor(one, url)) : audiences.includes(audience)
    if (!isForUs) return unproved(url, via, 'it is for another resource')
    if (via === 'jwt' && !resource.scopes.every((scope) => scopes.has(scope))) return resource.insufficient(url)
    return principal ?? { status: 403, reason: 'the token is of somebody who is no principal here', via, headers: {} }
  }
  const unproved = (url: string, via: 'jwt' | 'cloudflare', problem: string): Refused =>
    resource.unauthenticated(url, `the token is not accepted: ${problem}`, { via, problem })

  const signed = (verifier: JwtVerifier<Accepted>, url: string, token: string, hash: string, via: 'jwt' | 'cloudflare') => {
    const remembered = verifier.recall(hash)
    if (remembered) return known(url, remembered, via)
    return verifier.verify(token, hash).then((result): Known => {
      if ('accepted' in result) return known(url, result.accepted, via)
      if (!result.isOurs) return unproved(url, via, result.problem)
      return {
        status: 503,
        reason: 'the token cannot be checked now: the keys of its issuer cannot be had',
        via,
        headers: { 'retry-after': String(retryAfterSeconds) },
      }
    })
  }
  const byBearer = (url: string, authorization: string): Known | Promise<Known> => {
    const token = bearerToken(authorization)
    if (token === undefined) return resource.unauthenticated(url, needed, {})
    const hash = tokenHash(token)
    const principal = directory.byTokenHash(hash)
    if (principal) return principal
    if (issuers && looksLikeJwt(token)) return signed(issuers, url, token, hash, 'jwt')
    return resource.unauthenticated(url, needed, { via: 'token' })
  }
  const byAssertion = (url: string, assertion: string): Known | Promise<Known> =>
    looksLikeJwt(assertion)
      ? signed(cloudflare!, url, assertion, tokenHash(assertion), 'cloudflare')
      : unproved(url, 'cloudflare', 'it is malformed')

  return (request, local) => {
    const url = request.url!
    const { authorization } = request.headers
    const assertion = cloudflare && request.headers[assertionHeader]
    if (assertion === undefined) {
      if (authorization === undefined) return local ?? stranger ?? resource.unauthenticated(url, needed)
      if (!local) return byBearer(url, authorization)
    }
    const shown = [
      ...(authorization === undefined ? [] : [byBearer(url, authorization)]),
      ...(assertion === undefined ? [] : [byAssertion(url, String(assertion))]),
      ...(local ? [local] : []),
    ]
    return shown.some((one) => one instanceof Promise)
      ? Promise.all(shown.map((one) => Promise.resolve(one))).then((all) => agreed(resource, url, all))
      : agreed(resource, url, shown as Known[])
  }
}

/** The first refusal, or the one principal that all of them prove. */
function agreed(resource: ProtectedResource, url: string, all: readonly Known[]): Known {
  const refused = all.find((one) => 'status' in one)
  if (refused) return refused
  const [first] = all as readonly Principal[]
  if ((all as readonly Principal[]).every(({ name }) => name === first!.name)) return first!
  return resource.unauthenticated(url, 'the credentials are of different principals', {})
}
