// Who is let in over HTTPS, and what they may: by a token of the node, or one that an identity service knows.
import type { IncomingMessage } from 'node:http'
import { matcher } from '../../base/access/pattern.ts'
import { bearerToken, tokenHash } from '../../base/access/principal.ts'
import type { Admit, Called } from '../../base/control/answering.ts'
import type { Privilege } from '../../base/control/api.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Role } from './api.ts'
import { fault } from './faults.ts'
import type { Tokens } from './tokens.ts'
import type { Validator } from './validator.ts'

/** Somebody with a good token, and for which services which roles count. */
export type User = {
  readonly name: string
  readonly roles: readonly Role[]
  readonly services: readonly string[]
  readonly accountType: string
}

export type UserNeeds = { readonly tokens: Tokens; readonly validator?: Validator | undefined; readonly clock: Pick<Clock, 'now'> }

const least: Readonly<Record<Privilege, Role>> = { observe: 'viewer', change: 'operator', administer: 'admin' }
const order: readonly Role[] = ['viewer', 'operator', 'admin']

/** Faults `token.unauthenticated`, `.guest`, `.no_validator`. */
async function userOf({ tokens, validator, clock }: UserNeeds, request: IncomingMessage): Promise<User> {
  const { authorization } = request.headers
  const bearer = bearerToken(authorization)
  if (bearer === undefined)
    throw fault.unauthenticated({ reason: authorization ? 'what was shown is no bearer token' : 'no token was shown' })
  const own = tokens.byHash(tokenHash(bearer))
  if (own) {
    if (own.expiresAt <= clock.now()) throw fault.unauthenticated({ reason: `the token ${own.name} has expired` })
    return { name: own.name, roles: [own.role], services: own.services, accountType: 'system' }
  }
  const outside = await validator?.userOf(bearer)
  if (!outside) throw fault.unauthenticated({ reason: 'the token is not known here, or was revoked' })
  if (outside.isGuest) throw fault.guest({ name: outside.name })
  return { ...outside, services: ['*'] }
}

/** Without a service in the input all services are meant. Fault `token.denied`. */
export function authorize(user: Pick<User, 'name' | 'roles' | 'services'>, { operation, privilege, input }: Called): void {
  const named = (input as { readonly service?: unknown } | null)?.service
  const service = typeof named === 'string' ? named : undefined
  const needs = least[privilege]
  const hasRole = user.roles.some((one) => order.indexOf(one) >= order.indexOf(needs))
  const isFor = service === undefined ? user.services.includes('*') : matcher(user.services)(service)
  if (!hasRole || !isFor) throw fault.denied({ name: user.name, operation, service, needs })
}

/** Each call is asked anew, and a stream again while it goes on: a token that was revoked counts no more. */
export function admission(needs: UserNeeds): Admit {
  return async (request) => {
    const user = await userOf(needs, request)
    return { caller: { name: user.name, via: 'token' }, authorize: (called) => authorize(user, called) }
  }
}

/** The answer to `POST /v1/token/validate`: about the token that is shown, and for whoever shows it. */
export function validation(needs: UserNeeds): (request: IncomingMessage) => Promise<unknown> {
  return async (request) => {
    try {
      const { name, roles, accountType } = await userOf(needs, request)
      return { valid: true, username: name, roles, account_type: accountType }
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === 'token.unauthenticated' || code === 'token.guest') return { valid: false }
      throw error
    }
  }
}

/** Where that is answered. */
export const validatePath = '/v1/token/validate'
