// A leg over Streamable HTTP: one POST per client message, answers as JSON or as an event stream, a GET stream for what belongs to no request.
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../kernel/clock.ts'
import { Fault } from '../../kernel/fault.ts'
import { type HttpClient, HttpSendError } from '../http/client.ts'
import { type Frame, idKey } from '../wire/frame.ts'
import { scan } from '../wire/scan.ts'
import { type ScanLimits, defaultLimits } from '../wire/walk.ts'
import type { Sink } from '../wire/wire.ts'
import { type Era, type Leg, type McpHeaders, type Out, type Outcome, accepted, answered, cancelled } from './exchange.ts'
import { cancelFrame, errorFrame, errorOf, idToken } from './message.ts'
import { type SseEvent, SseReader } from './sse.ts'
import { fault, idInUse } from './wire-leg.ts'

export type HttpLegOptions = {
  readonly url: URL
  readonly era: Era
  readonly name: string
  /** Our own credentials for this server; a client's never travel on. */
  readonly headers: Readonly<Record<string, string>>
  readonly client: HttpClient
  readonly clock: Clock
  readonly side: Sink
  /** A session of the server that an earlier leg opened. */
  readonly sessionId?: string
  readonly limits?: ScanLimits
}

/** A server that refuses a body before it has read it cannot know the id, and says null; over HTTP there is no doubt which request is meant. */
function underIdOf(request: Frame, answer: Frame): Frame {
  if (answer.kind !== 'error' || (answer.at.id && idToken(answer) !== 'null')) return answer
  const { code, message, data } = errorOf(answer)
  return errorFrame(idToken(request), code, message, data)
}

const maxResumes = 20
const defaultRetryMs = 1_000
/** How long a stream may stay open after its answer before it is cut. */
const lingerMs = 1_000
/** How long a server may take to be told that its session is over. */
const farewellMs = 2_000

export class HttpLeg implements Leg {
  readonly era: Era
  readonly tellsApart = true
  readonly ended: Promise<string>
  readonly #options: HttpLegOptions
  readonly #limits: ScanLimits
  readonly #stop = new AbortController()
  #end!: (reason: string) => void
  #listening: Promise<boolean> | undefined
  readonly #open = new Map<string, { readonly give: AbortController; readonly isInitialize: boolean }>()
  /** The server's own session id (legacy): what a restarted gate goes on with. */
  sessionId: string | undefined

  constructor(options: HttpLegOptions) {
    this.era = options.era
    this.#options = options
    this.#limits = options.limits ?? defaultLimits
    this.sessionId = options.sessionId
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  async request(frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const key = idKey(frame, frame.at.id!)
    if (this.#open.has(key)) return idInUse(key)
    const give = new AbortController()
    const onAbort = (): void => {
      if (this.era === 'legacy') void this.send(cancelFrame(idToken(frame)), headers)
      give.abort()
    }
    this.#open.set(key, { give, isInitialize: frame.method === 'initialize' })
    abort.addEventListener('abort', onAbort, { once: true })
    if (abort.aborted) give.abort()
    try {
      const outcome = await this.#exchange(frame, headers, out, give.signal)
      return outcome.is === 'cancelled' && this.#stop.signal.aborted ? this.#unknown('we closed it') : outcome
    } catch (error) {
      return give.signal.aborted && !this.#stop.signal.aborted ? cancelled : this.#unknown(error)
    } finally {
      this.#open.delete(key)
      abort.removeEventListener('abort', onAbort)
    }
  }

  async send(frame: Frame, headers: McpHeaders): Promise<Outcome> {
    const sent = await this.#post(frame, headers, this.#stop.signal)
    if (!('response' in sent)) return sent
    sent.response.resume()
    // A server leaves a cancelled request unanswered, so nobody waits for it.
    const open =
      frame.method === 'notifications/cancelled' && frame.at.requestId ? this.#open.get(idKey(frame, frame.at.requestId)) : undefined
    if (open && !open.isInitialize) open.give.abort()
    const status = sent.response.statusCode ?? 0
    if (status >= 200 && status < 300) return accepted
    return { is: 'refused', reason: `the server ${this.#options.name} answered ${status}`, status }
  }

  listen(): Promise<boolean> {
    const listening = (this.#listening ??= this.#get(undefined))
    void listening.then((isOffered) => {
      if (!isOffered) this.#listening = undefined // a server that was away for a moment may offer one the next time
    })
    return listening
  }

  async close(keepsSession = false): Promise<void> {
    this.#stop.abort()
    for (const { give } of this.#open.values()) give.abort()
    this.#end('closed')
    if (keepsSession || this.era === 'modern' || this.sessionId === undefined) return
    const late = new AbortController()
    const inTime = this.#options.clock.after(farewellMs, () => late.abort())
    const { client, url } = this.#options
    try {
      const response = await client.send({ method: 'DELETE', url, headers: this.#headers({}), signal: late.signal })
      response.resume()
    } catch {
      // the server forgets an unused session by itself
    } finally {
      inTime()
    }
  }

  async #exchange(frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const sent = await this.#post(frame, headers, abort)
    if (!('response' in sent)) return sent
    const { response } = sent
    const session = response.headers['mcp-session-id']
    if (typeof session === 'string' && frame.method === 'initialize') this.sessionId = session
    if (contentType(response) === 'text/event-stream') return this.#stream(frame, response, headers, out, abort)
    return this.#single(frame, response, out)
  }

  #headers(mcp: McpHeaders): Record<string, string> {
    return {
      ...mcp,
      ...this.#options.headers,
      accept: 'application/json, text/event-stream',
      ...(this.era === 'legacy' && this.sessionId !== undefined ? { 'mcp-session-id': this.sessionId } : {}),
    }
  }

  async #post(frame: Frame, mcp: McpHeaders, signal: AbortSignal): Promise<{ response: IncomingMessage } | Outcome> {
    try {
      const headers = this.#headers(mcp)
      headers['content-type'] = 'application/json'
      return { response: await this.#options.client.send({ method: 'POST', url: this.#options.url, headers, body: frame.bytes, signal }) }
    } catch (error) {
      if (signal.aborted) return cancelled
      if (error instanceof HttpSendError && !error.isSent)
        return { is: 'notSent', fault: fault.gone({ upstream: this.#options.name, reason: error.message }, error) }
      return this.#unknown(error)
    }
  }

  #unknown(error: unknown): Outcome {
    const reason = error instanceof Error ? error.message : String(error)
    return { is: 'unknown', fault: fault.lost({ upstream: this.#options.name, reason }, error) }
  }

  async #single(request: Frame, response: IncomingMessage, out: Sink): Promise<Outcome> {
    const status = response.statusCode ?? 0
    const body = await collect(response, this.#limits.maxFrameBytes)
    let frame: Frame | undefined
    try {
      frame = scan(body, this.#limits)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
    }
    const isSessionLost = status === 404 && this.era === 'legacy' && this.sessionId !== undefined
    if (isSessionLost) return { is: 'notSent', fault: fault.gone({ upstream: this.#options.name, reason: 'session lost' }) }
    if (frame && (frame.kind === 'result' || frame.kind === 'error') && status !== 401 && status !== 403) {
      out.write(underIdOf(request, frame))
      return status === 200 ? answered : { is: 'answered', status }
    }
    return {
      is: 'unknown',
      fault: fault.lost({ upstream: this.#options.name, reason: `it answered HTTP ${status} without a JSON-RPC message` }),
    }
  }

  /** Reads an event stream to its answer; a legacy stream that ends early is fetched on from its last event id (SEP-1699). */
  async #stream(request: Frame, first: IncomingMessage, mcp: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    out.streaming?.begin()
    let response = first
    let lastEventId: string | undefined
    let retryMs = defaultRetryMs
    for (let resumes = 0; resumes <= maxResumes; resumes++) {
      let isAnswered = false
      await this.#events(response, (event, frame) => {
        if (event.id !== undefined) lastEventId = event.id
        if (event.retryMs !== undefined) retryMs = event.retryMs
        if (!frame) return true
        const hasRoom = out.write(underIdOf(request, frame))
        if (frame.kind !== 'result' && frame.kind !== 'error') return hasRoom || out
        isAnswered = true
        return 'enough'
      }).catch((error: unknown) => {
        if (isAnswered) return
        if (lastEventId === undefined || this.era === 'modern' || abort.aborted) throw error
      })
      if (isAnswered) return answered
      if (lastEventId === undefined || this.era === 'modern') break
      out.streaming?.hangUp(retryMs)
      await this.#options.clock.wait(retryMs, abort)
      response = await this.#options.client.send({
        method: 'GET',
        url: this.#options.url,
        headers: { ...this.#headers(mcp), 'last-event-id': lastEventId },
        signal: abort,
      })
      if (response.statusCode !== 200) break
    }
    return { is: 'unknown', fault: fault.lost({ upstream: this.#options.name, reason: 'its event stream ended' }) }
  }

  /** Hands over each event with its frame, if it holds one, and waits where the taker has no room; `enough` ends it, and what comes after is dropped. */
  #events(response: IncomingMessage, take: (event: SseEvent, frame: Frame | undefined) => true | 'enough' | Sink): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false
      const fail = (error: Error): void => {
        response.destroy()
        reject(error)
      }
      const reader = new SseReader(this.#limits.maxFrameBytes, (event) => {
        if (isOver) return
        const frame = event.data.length > 0 && event.event === 'message' ? scan(event.data, this.#limits) : undefined
        const full = take(event, frame)
        if (full === true) return
        if (full === 'enough') {
          isOver = true
          const cut = this.#options.clock.after(lingerMs, () => response.destroy())
          response.on('close', cut)
          return resolve()
        }
        response.pause()
        void full.room().then(() => response.resume())
      })
      response.on('data', (chunk: Buffer) => {
        try {
          if (!reader.take(chunk)) fail(new Error('an event over the frame limit'))
        } catch (error) {
          fail(error as Error)
        }
      })
      response.on('end', resolve)
      response.on('error', reject)
      response.on('close', resolve)
    })
  }

  async #get(lastEventId: string | undefined): Promise<boolean> {
    const { client, url, side } = this.#options
    const headers = {
      ...this.#headers({}),
      accept: 'text/event-stream',
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    }
    try {
      const response = await client.send({ method: 'GET', url, headers, signal: this.#stop.signal })
      if (response.statusCode !== 200 || contentType(response) !== 'text/event-stream') {
        response.resume()
        return false
      }
      void this.#follow(response, lastEventId, side)
      return true
    } catch {
      return false
    }
  }

  /** Keeps the GET stream open for as long as the leg lives. */
  async #follow(response: IncomingMessage, from: string | undefined, side: Sink): Promise<void> {
    let lastEventId = from
    let retryMs = defaultRetryMs
    await this.#events(response, (event, frame) => {
      if (event.id !== undefined) lastEventId = event.id
      if (event.retryMs !== undefined) retryMs = event.retryMs
      return !frame || side.write(frame) || side
    }).catch(() => {})
    for (let tries = 0; tries < maxResumes && !this.#stop.signal.aborted; tries++) {
      await this.#options.clock.wait(Math.min(retryMs * 2 ** tries, 30_000), this.#stop.signal).catch(() => {})
      if (this.#stop.signal.aborted || (await this.#get(lastEventId))) return
    }
  }
}

function contentType(response: IncomingMessage): string {
  return (response.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
}

/** The whole body, when it stays within `maxBytes`. */
export async function collect(stream: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of stream) {
    sizeBytes += chunk.length
    if (sizeBytes > maxBytes) throw new Error(`a body of more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}
