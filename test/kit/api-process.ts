// The API double as a process of its own: its parent tells it by messages what to be like, and asks what it has seen since it was asked last.
import process from 'node:process'
import { type ApiDouble, apiDouble } from './api-double.ts'

/** What is not said stays as it was. */
export type ApiTold = {
  readonly delayMs?: number
  readonly headers?: Record<string, string>
  readonly version?: number
  /** From now on everything is answered 403 with such a Retry-After; 0: no more. */
  readonly limitSeconds?: number
  /** So many bytes more in the answer about each repository. */
  readonly padBytes?: number
  /** To listen there over TLS, too. */
  readonly secureAt?: { readonly host: string; readonly chain: string; readonly key: string }
}
export type ApiSaid = { readonly url: string; readonly secureUrl: string | undefined; readonly seen: ApiDouble['seen'] }

const double = await apiDouble(() => {})
let secureUrl: string | undefined
let [limitSeconds, padBytes] = [0, 0]
double.instead = ({ method, url }, response) => {
  if (limitSeconds > 0) {
    response.writeHead(403, { 'content-type': 'application/json', 'retry-after': String(limitSeconds), 'x-ratelimit-remaining': '0' })
    response.end('{"message":"API rate limit exceeded"}')
  } else if (padBytes > 0 && method === 'GET')
    response.writeHead(200, { etag: `"${url}"` }).end(JSON.stringify({ pad: 'x'.repeat(padBytes) }))
  else return false
  return true
}

process.on('message', ({ told }: { told: ApiTold }) => {
  void (async () => {
    const { secureAt, ...plain } = told
    limitSeconds = plain.limitSeconds ?? limitSeconds
    padBytes = plain.padBytes ?? padBytes
    double.delayMs = plain.delayMs ?? double.delayMs
    double.headers = plain.headers ?? double.headers
    double.version = plain.version ?? double.version
    if (secureAt) secureUrl = await double.listenSecurely(secureAt.host, secureAt)
    process.send!({ url: double.url, secureUrl, seen: double.seen.splice(0) } satisfies ApiSaid)
  })()
})
process.on('disconnect', () => process.exit())
