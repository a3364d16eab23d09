// What a request to the API asks for: whether it may be answered from the cache, under which key, and what it changes.
import { createHash, createHmac } from 'node:crypto'
import { isQuery } from './graphql.ts'

/** Header names are in lower case; several lines of one name are joined by `, `. */
export type ApiRequest = {
  readonly method: string
  /** Of the API: `api.github.com`. */
  readonly host: string
  /** Path and query as they came. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

export type Asked =
  /** It may be answered from the cache. `mustAsk`: only after the API was asked whether it still holds. */
  | { readonly is: 'read'; readonly mustAsk: boolean }
  /** It passes through, and nothing is kept. */
  | { readonly is: 'pass' }
  /** It passes through, and what is kept may be wrong afterwards: `subject`, or all if it is undefined. */
  | { readonly is: 'write'; readonly subject: string | undefined }

/** Answers may differ by these, so that they belong to the key. */
export const keyedHeaders: readonly string[] = [
  'accept',
  'accept-language',
  'content-type',
  'graphql-features',
  'x-github-api-version',
  'x-github-next-global-id',
  'x-requested-with',
]
/** Who sends one of these means a part of an answer, one version of it, or somebody whom Authorization does not name. */
const passing: readonly string[] = [
  'cookie',
  'range',
  'if-match',
  'if-range',
  'if-modified-since',
  'if-unmodified-since',
  'x-github-otp',
  'expect',
]

/** Of one connection (RFC 9110 §7.6.1), and what follows from the body itself; names in lower case. */
export const hopByHop = /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])
const graphqlPath = /^(?:\/api)?\/graphql$/
const repository = /^(?:\/api\/v3)?\/repos\/([^/]+\/[^/]+)(?:\/|$)/
const insideRepository = /^(?:\/api\/v3)?\/repos\/[^/]+\/[^/]+\/./

/** GraphQL may be about anything. */
export const graphqlSubject = 'graphql'
const otherSubject = 'other'

/** Whether the path is GraphQL's. */
export function isGraphql({ target }: Pick<ApiRequest, 'target'>): boolean {
  return graphqlPath.test(pathOf(target))
}

export function asked(request: ApiRequest): Asked {
  const { method, headers } = request
  const isQuestion = method === 'POST' && isGraphql(request) && isQuery(request.body)
  if (!safeMethods.has(method) && !isQuestion) return { is: 'write', subject: writtenSubject(request) }
  if ((method !== 'GET' && !isQuestion) || (method === 'GET' && request.body.length > 0)) return { is: 'pass' }
  const said = directivesOf(headers['cache-control'])
  if (said.has('no-store') || passing.some((name) => headers[name] !== undefined)) return { is: 'pass' }
  return { is: 'read', mustAsk: said.has('no-cache') || said.get('max-age') === '0' }
}

/** What an answer is about: a repository, in lower case as GitHub does not tell cases apart; GraphQL; or something else. */
export function subjectOf(request: Pick<ApiRequest, 'target'>): string {
  if (isGraphql(request)) return graphqlSubject
  const named = repository.exec(normalPath(pathOf(request.target)))?.[1]
  return named === undefined ? otherSubject : `repos/${named.toLowerCase()}`
}

/** A write to a repository changes what is said of it. What any other changes nobody knows. */
function writtenSubject(request: ApiRequest): string | undefined {
  const subject = subjectOf(request)
  return insideRepository.test(pathOf(request.target)) ? subject : undefined
}

/** The directives of a Cache-Control (RFC 9111 §5.2), names in lower case. */
export function directivesOf(header: string | undefined): ReadonlyMap<string, string> {
  const parts = (header ?? '').split(',').map((part) => part.trim().split('=', 2))
  return new Map(parts.map(([name, value]) => [name!.trim().toLowerCase(), (value ?? '').replaceAll('"', '').trim()]))
}

/** A token is the same token whether it comes as `token` or as `Bearer`; undefined for nobody. */
export function credentialOf({ headers }: Pick<ApiRequest, 'headers'>): string | undefined {
  const { authorization } = headers
  return authorization === undefined ? undefined : authorization.trim().replace(/^(?:token|bearer)\s+/i, 'token ')
}

export type Scope = { readonly keyBytes: Uint8Array; readonly shared?: string | undefined }

/** Whom an answer is for: one credential, everybody with a credential (if the operator declared a shared scope), or who has none. */
function scopeOf(request: ApiRequest, { shared }: Scope): readonly string[] {
  const credential = credentialOf(request)
  if (credential === undefined) return ['nobody']
  return shared === undefined ? ['credential', credential] : ['shared', shared]
}

/** 64 hex digits that tell nothing of the text without the key. */
export function hidden(keyBytes: Uint8Array, what: string, text: string): string {
  return createHmac('sha256', keyBytes)
    .update(JSON.stringify([what, text]))
    .digest('hex')
}

/** The same for two requests exactly if one answer serves both: 64 hex digits. */
export function keyOf(request: ApiRequest, scope: Scope): string {
  const { method, host, target, headers, body } = request
  const relevant = keyedHeaders.map((name) => headers[name] ?? null)
  const bodyHash = body.length === 0 ? '' : createHash('sha256').update(body).digest('hex')
  const whole = [method, host.toLowerCase(), normalTarget(target), relevant, bodyHash, scopeOf(request, scope)]
  return hidden(scope.keyBytes, 'request', JSON.stringify(whole))
}

function pathOf(target: string): string {
  return target.split('?', 1)[0]!
}

/** One spelling of each target: escapes as RFC 3986 §6.2.2 has them, parameters by name. Those of one name keep their order, for it may count. */
export function normalTarget(target: string): string {
  const at = target.indexOf('?')
  if (at < 0) return normalPath(target)
  const parameters = target
    .slice(at + 1)
    .split('&')
    .filter((part) => part !== '')
    .map((part) => ({ name: meaningOf(part.split('=', 1)[0]!), text: normalPath(part) }))
  const sorted = parameters.sort((one, other) => (one.name < other.name ? -1 : Number(one.name > other.name)))
  return `${normalPath(target.slice(0, at))}${sorted.length === 0 ? '' : '?'}${sorted.map(({ text }) => text).join('&')}`
}

/** The bytes that a name stands for, in whatever spelling. */
function meaningOf(name: string): string {
  return name.replaceAll('+', ' ').replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function normalPath(text: string): string {
  return text.replaceAll(/%[0-9a-f]{2}/gi, (escaped) => {
    const char = String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
    return /[\w.~-]/.test(char) ? char : escaped.toUpperCase()
  })
}
