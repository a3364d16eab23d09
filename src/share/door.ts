// What a client of the API talks to instead of the API: the same requests, the same answers, at a UNIX socket or a port of this machine.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { answerJson } from '../base/http/answer.ts'
import type { HttpClient } from '../base/http/client.ts'
import { isLoopback } from '../base/http/host.ts'
import { reasonOf } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import { type ApiRequest, type Asked, asked, hopByHop } from './request/request.ts'
import type { Cache, Served } from './cache.ts'
import { headerOf } from './entry/entry.ts'
import { answerHeaders, onceOf, onward, pass, urlAt } from './upstream.ts'

export type DoorNeeds = { readonly log: Log; readonly client: HttpClient; readonly cache: Cache }

export type Door = (request: IncomingMessage, response: ServerResponse) => void

/** Requests with longer bodies pass through. */
const maxQuestionBytes = 1 << 20
const noBody = Buffer.alloc(0)
const hostName = /^[a-z0-9.-]{1,253}(?::\d{1,5})?$/
/** The cache asks by its own. */
const conditional: ReadonlySet<string> = new Set(['if-none-match', 'accept-encoding', 'host', 'content-length'])

/** Where the API is (an origin), and the names that clients know it by. */
export type Api = { readonly url: URL; readonly names: readonly string[] }

/** Requests for other hosts, which `gh` sends to its socket as well (downloads, uploads), pass through to them, over https. */
export function createDoor(needs: DoorNeeds, api: Api): Door {
  return (request, response) => {
    const host = (request.headers.host ?? '').toLowerCase()
    const isApi = api.names.includes(host) || host === api.url.host || isLoopback(host.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''))
    if (!request.url!.startsWith('/') || !(isApi || hostName.test(host)))
      return answerJson(response, 400, { message: 'fairlead: write a path, and the name of a host in Host' })
    const origin = isApi ? api.url : new URL(`https://${host}`)
    const taken = isApi ? take(needs, api.url, request, response) : passOn(needs, origin, request, request, response)
    taken.catch((error: unknown) => {
      needs.log.warn('share.unreachable', { host: origin.host, reason: reasonOf(error) })
      if (response.headersSent) response.destroy()
      else answerJson(response, 502, { message: `fairlead: ${origin.host} does not answer: ${reasonOf(error)}` })
    })
  }
}

async function take(needs: DoorNeeds, api: URL, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const target = incoming.url!
  const { body, rest } = await beginningOf(incoming)
  const request: ApiRequest = { method: incoming.method!, host: api.host, target, headers: askedWith(incoming), body }
  const what: Asked = rest && incoming.method !== 'GET' ? asked({ ...request, body: new Uint8Array() }) : asked(request)
  if (what.is !== 'read' || rest) {
    try {
      await passOn(needs, api, incoming, rest ?? Readable.from([body]), response)
    } finally {
      if (what.is === 'write') needs.cache.written(what.subject) // it may have been done, whatever came back
    }
    return needs.cache.passed()
  }
  send(response, await needs.cache.read(request, what.mustAsk), incoming.headers['if-none-match'])
}

/** The headers that the cache asks with: those that go on, but for its own. */
function askedWith({ headers }: IncomingMessage): ApiRequest['headers'] {
  const once = onceOf(headers.connection)
  const asked: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers))
    if (typeof value === 'string' && !conditional.has(name) && !hopByHop.test(name) && !once.includes(name)) asked[name] = value
  return asked
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}

/** The body, if it is short; else `rest` is all of it. */
async function beginningOf(incoming: IncomingMessage): Promise<{ readonly body: Buffer; readonly rest?: Readable }> {
  if (!hasBody(incoming)) return { body: noBody }
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const parts = incoming[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  for (let part = await parts.next(); !part.done; part = await parts.next()) {
    chunks.push(part.value)
    sizeBytes += part.value.length
    if (sizeBytes > maxQuestionBytes) return { body: noBody, rest: Readable.from(all(chunks, parts)) }
  }
  return { body: Buffer.concat(chunks) }
}

async function* all(chunks: readonly Buffer[], parts: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks
  yield* { [Symbol.asyncIterator]: () => parts }
}

async function passOn(
  { client }: DoorNeeds,
  origin: URL,
  incoming: IncomingMessage,
  body: Readable,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const headers = onward(incoming.rawHeaders)
  const sent = { method: incoming.method!, url: urlAt(origin, incoming.url!), headers, signal: gone.signal }
  const answer = await pass(client, { ...sent, body: hasBody(incoming) ? body : Readable.from([]) })
  answer.on('error', () => response.destroy())
  response.writeHead(answer.statusCode!, answer.statusMessage, answerHeaders(answer).flat())
  answer.pipe(response)
}

/** RFC 9211 words for how it was served. */
const statusWords: Readonly<Record<Served['how'], string>> = {
  hit: 'hit',
  peer: 'hit; detail=peer',
  joined: 'fwd=miss; collapsed',
  stale: 'hit; detail=stale',
  'held back': 'fwd=miss; detail=limited',
  fetched: 'fwd=miss',
}

function send(response: ServerResponse, { answer, how, ageMs, rest }: Served, condition: string | undefined): void {
  if (response.destroyed) return void rest?.destroy() // nobody reads it any more
  const etag = headerOf(answer, 'etag')
  const isKnown = condition !== undefined && etag !== undefined && answer.status === 200 && matches(condition, etag)
  const ours = rest ? /^age$/i : /^(?:content-length|age)$/i
  const headers: string[] = []
  for (const [name, value] of answer.headers) if (!ours.test(name)) headers.push(name, value)
  if (how === 'hit' || how === 'peer' || how === 'stale') headers.push('Age', String(Math.floor(ageMs / 1_000)))
  headers.push('Cache-Status', `fairlead; ${statusWords[how]}`)
  if (!rest && !isKnown) headers.push('Content-Length', String(answer.body.length))
  response.writeHead(isKnown ? 304 : answer.status, headers)
  if (isKnown) return void response.end()
  if (!rest) return void response.end(answer.body)
  response.write(answer.body)
  rest.once('error', () => response.destroy())
  response.once('close', () => void rest.destroy())
  rest.pipe(response)
}

/** If-None-Match compares weakly (RFC 9110 §13.1.2). */
function matches(condition: string, etag: string): boolean {
  const plain = (tag: string): string => tag.trim().replace(/^W\//, '')
  return condition.trim() === '*' || condition.split(',').some((tag) => plain(tag) === plain(etag))
}
