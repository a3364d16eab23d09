// Asks an identity service about tokens that the node did not make: what it says is believed for half a minute, and never when it cannot be asked.
import { tokenHash } from '../../base/access/principal.ts'
import type { HttpClient } from '../../base/http/client.ts'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import { type Role, role, validated } from './api.ts'
import { fault } from './faults.ts'

const believedMs = 30_000
const refusedMs = 2_000
const maxKept = 10_000
const timeoutMs = 5_000
const maxAnswerBytes = 64 << 10

export type OutsideUser = {
  readonly name: string
  readonly roles: readonly Role[]
  readonly isGuest: boolean
  readonly accountType: string
}

/** Who a bearer is; undefined: nobody that the service knows. Fault `token.no_validator`. */
export interface Validator {
  userOf(bearer: string): Promise<OutsideUser | undefined>
  /** What was believed is asked again. */
  forget(): void
}

export type ValidatorSettings = {
  /** Where it is asked: `https://id.example.org/v1/token/validate`. */
  readonly url: string
  /** What its roles are here. A role that is not named here and is none of ours counts for nothing. */
  readonly roles?: Readonly<Record<string, Role>>
}

/** Asks once for all who show the same token at the same time. */
export function createValidator(
  { http, clock }: { readonly http: Pick<HttpClient, 'send'>; readonly clock: Pick<Clock, 'mono' | 'after'> },
  { url, roles = {} }: ValidatorSettings,
): Validator {
  const kept = new Map<string, { readonly untilMs: number; readonly user: OutsideUser | undefined }>()
  const asking = new Map<string, Promise<OutsideUser | undefined>>()
  const roleOf = (name: string): Role | undefined => (Object.hasOwn(roles, name) ? roles[name] : role.safeParse(name).data)
  const ask = async (bearer: string): Promise<OutsideUser | undefined> => {
    const answer = await post(http, clock, url, bearer)
    const { valid, username, roles: named = [], account_type: accountType = '' } = answer
    if (!valid || username === undefined) return undefined
    const isGuest = accountType === 'guest' || named.includes('guest')
    return { name: username, roles: named.map(roleOf).filter((one) => one !== undefined), isGuest, accountType }
  }
  return {
    async userOf(bearer) {
      const hash = tokenHash(bearer)
      const known = kept.get(hash)
      if (known && known.untilMs > clock.mono()) return known.user
      const underway = asking.get(hash)
      if (underway) return underway
      const startedMs = clock.mono() // what is believed counts from the question on, not from the answer
      const answer = ask(bearer)
      asking.set(hash, answer)
      try {
        const user = await answer
        kept.delete(hash)
        if (kept.size >= maxKept) kept.delete(kept.keys().next().value!)
        if (asking.get(hash) === answer) kept.set(hash, { user, untilMs: startedMs + (user ? believedMs : refusedMs) })
        return user
      } finally {
        if (asking.get(hash) === answer) asking.delete(hash)
      }
    },
    forget() {
      kept.clear()
      asking.clear()
    },
  }
}

async function post(http: Pick<HttpClient, 'send'>, clock: Pick<Clock, 'after'>, url: string, bearer: string) {
  try {
    const signal = deadline(clock, timeoutMs)
    const headers = { authorization: `Bearer ${bearer}`, accept: 'application/json' }
    const response = await http.send({ method: 'POST', url: new URL(url), headers, body: new Uint8Array(), signal })
    const { statusCode } = response
    let text = ''
    for await (const part of response.setEncoding('utf8')) {
      text += part
      if (text.length > maxAnswerBytes) throw new Error('its answer is too long')
    }
    if (statusCode === 401 || statusCode === 403) return { valid: false }
    if (statusCode !== 200) throw new Error(`HTTP ${statusCode}`)
    return validated.parse(JSON.parse(text))
  } catch (error) {
    throw fault.no_validator({ reason: reasonOf(error).split('\n')[0]! }, error)
  }
}
