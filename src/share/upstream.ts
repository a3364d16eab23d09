// Asks the API itself: one request sent as it is, the answer collected as far as it may be kept, or passed on as it comes.
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { HttpClient } from '../base/http/client.ts'
import type { Clock } from '../kernel/clock.ts'
import { type ApiRequest, hopByHop } from './request/request.ts'
import type { Reply } from './cache.ts'
import { maxBodyBytes } from './entry/entry.ts'

const answerMs = 60_000

export type Passing = {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string[]>>
  readonly body: Readable
  readonly signal: AbortSignal
}

/** The headers that go on, by their names in lower case. */
export function onward(rawHeaders: readonly string[]): Readonly<Record<string, string[]>> {
  const named: Record<string, string[]> = {}
  for (const [given, value] of pairs(rawHeaders)) (named[given.toLowerCase()] ??= []).push(value)
  const once = onceOf(named['connection']?.join(','))
  return Object.fromEntries(Object.entries(named).filter(([name]) => !hopByHop.test(name) && !once.includes(name)))
}

/** The names in a Connection: headers of this connection alone. */
export function onceOf(connection: string | undefined): readonly string[] {
  if (connection === undefined || connection === 'keep-alive') return []
  return connection.split(',').map((name) => name.trim().toLowerCase())
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at]!, raw[2 * at + 1]!])
}

/** The headers of an answer that go on, as they came. */
export function answerHeaders({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): [string, string][] {
  const kept = onward(rawHeaders)
  return pairs(rawHeaders).filter(([name]) => kept[name.toLowerCase()] !== undefined)
}

/** Sends what passes through; the answer streams. Rejects with a `HttpSendError`. */
export function pass(client: HttpClient, { headers, url, ...rest }: Passing): Promise<IncomingMessage> {
  return client.send({ ...rest, url, headers: { ...headers, host: url.host } })
}

/** Sends a request whose answer may be kept, and so is asked for without compression: it serves those who cannot undo it, too. */
export async function askApi(
  { client, clock }: { readonly client: HttpClient; readonly clock: Clock },
  origin: URL,
  request: ApiRequest,
): Promise<Reply> {
  const { method, target, body } = request
  const late = new AbortController()
  const cancel = clock.after(answerMs, () => late.abort(new Error(`no whole answer within ${answerMs / 1_000} s`)))
  try {
    const headers = { ...request.headers, host: request.host, 'accept-encoding': 'identity' }
    const url = urlAt(origin, target)
    const response = await client.send({ method, url, headers, ...(body.length > 0 ? { body } : {}), signal: late.signal })
    const head = { status: response.statusCode!, headers: answerHeaders(response) }
    const chunks: Uint8Array[] = []
    let sizeBytes = 0
    const parts = response[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
    for (let part = await parts.next(); !part.done; part = await parts.next()) {
      chunks.push(part.value)
      sizeBytes += part.value.length
      if (sizeBytes > maxBodyBytes)
        return { answer: { ...head, body: Buffer.concat(chunks) }, rest: Readable.from({ [Symbol.asyncIterator]: () => parts }) }
    }
    return { answer: { ...head, body: Buffer.concat(chunks) } }
  } finally {
    cancel()
  }
}

/** The address of a target. It is added, not resolved: `//elsewhere` would lead the credential to another host. */
export function urlAt({ origin }: URL, target: string): URL {
  return new URL(`${origin}${target}`)
}
