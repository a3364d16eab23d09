// How long an answer holds, and how long to leave an API alone that said "not so fast".
import { type ApiRequest, directivesOf, isGraphql, keyedHeaders } from './request.ts'

/** Header names are in lower case. */
export type AnswerHead = { readonly status: number; readonly headers: Readonly<Record<string, string>> }

const secondMs = 1_000
/** Nothing holds for longer, whatever is said. */
export const maxTtlMs = 86_400_000
/** An API that says to wait for longer is asked again by then. */
export const maxWaitMs = 3_600_000

/** What CI polls: the first that fits decides, before what Cache-Control says (GitHub says 60 s of everything). */
const endpoints: readonly (readonly [path: RegExp, ttlMs: number])[] = [
  [/^\/(?:repos\/[^/]+\/[^/]+|orgs\/[^/]+|enterprises\/[^/]+)\/actions\/runners(?:\/|$)/, 30_000],
  [/^\/repos\/[^/]+\/[^/]+\/actions\/(?:runs|jobs|workflows\/[^/]+\/runs)(?:\/|$)/, 60_000],
  [/^\/rate_limit$/, 0],
  [/^\/repos\/[^/]+\/[^/]+$/, 300_000],
  [/^\/(?:user|users\/[^/]+|orgs\/[^/]+)\/repos$/, 300_000],
]
const graphqlTtlMs = 60_000

/** A credential and what is sent for every request are in the key already, or such requests pass. */
const told: ReadonlySet<string> = new Set([...keyedHeaders, 'authorization', 'cookie', 'x-github-otp', 'accept-encoding', 'origin', ''])

/** How long the answer holds, in milliseconds; 0: it is kept, but the API has to be asked whether it still holds. Undefined: it must not be kept. */
export function ttlOf(request: Pick<ApiRequest, 'target'>, { status, headers }: AnswerHead, defaultTtlMs: number): number | undefined {
  if (status !== 200 || headers['set-cookie'] !== undefined) return undefined
  if (!(headers['vary'] ?? '').split(',').every((name) => told.has(name.trim().toLowerCase()))) return undefined
  const said = directivesOf(headers['cache-control'])
  if (said.has('no-store')) return undefined
  if (said.has('no-cache')) return 0
  const path = request.target.split('?', 1)[0]!.replace(/^\/api\/v3(?=\/)/, '')
  const declared = isGraphql(request) ? graphqlTtlMs : endpoints.find(([pattern]) => pattern.test(path))?.[1]
  const maxAge = /^\d{1,9}$/.test(said.get('max-age') ?? '') ? Number(said.get('max-age')) * secondMs : undefined
  return Math.min(maxAge === 0 ? 0 : (declared ?? maxAge ?? defaultTtlMs), maxTtlMs)
}

/** For how long the API wants to be left alone; undefined: it said nothing of that. */
export function waitOf({ status, headers }: AnswerHead, nowMs: number): number | undefined {
  if (status !== 403 && status !== 429) return undefined
  const after = headers['retry-after']
  const reset = headers['x-ratelimit-reset']
  const isUsedUp = headers['x-ratelimit-remaining'] === '0'
  const waitMs =
    after !== undefined && /^\d{1,9}$/.test(after)
      ? Number(after) * secondMs
      : isUsedUp && reset !== undefined && /^\d{1,12}$/.test(reset)
        ? Number(reset) * secondMs - nowMs
        : status === 429 || isUsedUp
          ? 60 * secondMs
          : undefined
  return waitMs === undefined ? undefined : Math.min(Math.max(waitMs, secondMs), maxWaitMs)
}

/** GitHub counts these apart, so that one used up leaves the others. */
export function budgetOf(request: Pick<ApiRequest, 'target'>): string {
  if (isGraphql(request)) return 'graphql'
  return /^(?:\/api\/v3)?\/search\//.test(request.target) ? 'search' : 'core'
}
