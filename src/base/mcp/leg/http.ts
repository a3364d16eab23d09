// A leg over Streamable HTTP: one POST per client message, answers as JSON or as an event stream, a GET stream for what belongs to no request.
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../../kernel/clock.ts'
import { Fault } from '../../../kernel/fault.ts'
import { type HttpClient, HttpSendError } from '../../http/client.ts'
import { insteadOfAnswer, isTooMuch } from '../../wire/bad-line.ts'
import { Share } from '../../wire/budget.ts'
import { type Frame, idKey } from '../../wire/frame.ts'
import { scan } from '../../wire/scan.ts'
import { type ScanLimits, defaultLimits, fault as wireFault } from '../../wire/walk.ts'
import type { Sink } from '../../wire/wire.ts'
import { type Era, type Leg, type McpHeaders, type Out, type Outcome, accepted, answered, cancelled, through } from '../exchange.ts'
import { cancelFrame, errorOf, hasId, idToken, resultOf, underIdOf } from '../message.ts'
import { code, legacyVersions } from '../protocol.ts'
import { type SseEvent, SseReader } from '../door/sse.ts'
import { fault, idInUse } from './wire.ts'

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

/** Of an event's `data: ` before the frame. */
const fieldBytes = 16
const versionHeader = 'mcp-protocol-version'
const maxResumes = 20
const defaultRetryMs = 1_000
/** How long a stream may stay open after its answer before it is cut. */
const lingerMs = 1_000
/** How long a server may take to be told that its session is over. */
const farewellMs = 2_000
/** A server with so many questions whose answers it does not take is not read until it takes some. */
const maxSending = 64
/** What a server's HTTP status may say to our client about its message. All else speaks of us and the server: our credentials, its address, its health. */
const passedStatuses = new Set([400, 413])

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
  #sending = 0
  /** What the server agreed to, and what the client's messages said last: it belongs to a GET and a DELETE too. */
  #version: string | undefined
  #wake = Promise.withResolvers<void>()
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
      if (this.era === 'legacy') this.send(cancelFrame(idToken(frame)), headers).catch(() => {})
      give.abort()
    }
    this.#open.set(key, { give, isInitialize: frame.method === 'initialize' })
    abort.addEventListener('abort', onAbort, { once: true })
    if (abort.aborted) give.abort()
    try {
      const outcome = await this.#exchange(frame, headers, frame.method === 'initialize' ? this.#learning(out) : out, give.signal)
      return outcome.is === 'cancelled' && this.#stop.signal.aborted ? this.#unknown('we closed it') : outcome
    } catch (error) {
      if (give.signal.aborted && !this.#stop.signal.aborted) return cancelled
      if (!(error instanceof Fault && isTooMuch(error))) return this.#unknown(error)
      const { maxFrameBytes, budget } = this.#limits
      const answers = idToken(frame)
      const isLimit = error.code === 'wire.too_large'
      out.write(
        insteadOfAnswer(
          isLimit ? wireFault.too_large({ maxFrameBytes, answers }) : wireFault.no_room({ maxBytes: budget!.maxBytes, answers }),
        )!,
      )
      return answered
    } finally {
      this.#open.delete(key)
      abort.removeEventListener('abort', onAbort)
    }
  }

  async send(frame: Frame, headers: McpHeaders): Promise<Outcome> {
    const hadSession = this.sessionId !== undefined && this.era === 'legacy'
    this.#sending++
    const sent = await this.#post(frame, headers, this.#stop.signal)
    this.#sending--
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
    if (!('response' in sent)) return sent
    sent.response.resume()
    // A server leaves a cancelled request unanswered, so nobody waits for it.
    const open =
      frame.method === 'notifications/cancelled' && frame.at.requestId ? this.#open.get(idKey(frame, frame.at.requestId)) : undefined
    if (open && !open.isInitialize) open.give.abort()
    const status = sent.response.statusCode ?? 0
    if (status >= 200 && status < 300) return accepted
    if (status === 404 && hadSession) return this.#sessionLost()
    const reason = `the server ${this.#options.name} answered HTTP ${status}`
    return { is: 'refused', reason, code: code.serverError, status: passedStatuses.has(status) ? status : 502 }
  }

  listen(): Promise<boolean> {
    const listening = (this.#listening ??= this.#get(undefined))
    void listening.then((isOffered) => {
      // #get never rejects
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
    const hadSession = this.sessionId !== undefined && this.era === 'legacy'
    const sent = await this.#post(frame, headers, abort)
    if (!('response' in sent)) return sent
    const { response } = sent
    const status = response.statusCode ?? 0
    if ((status >= 300 && status < 400) || status === 401 || status === 403) {
      response.destroy()
      return this.#unknown(`it answered HTTP ${status}`)
    }
    const session = response.headers['mcp-session-id']
    if (typeof session === 'string' && frame.method === 'initialize') this.sessionId = session
    if (status === 200 && contentType(response) === 'text/event-stream') return this.#stream(frame, response, headers, out, abort)
    return this.#single(frame, response, out, hadSession)
  }

  /** A client may listen before it says anything more. */
  #learning(out: Out): Out {
    return through(out, (incoming) => {
      const agreed = resultOf(incoming)?.['protocolVersion']
      this.#version = legacyVersions.find((known) => known === agreed)
      return out.write(incoming)
    })
  }

  #headers(mcp: McpHeaders): Record<string, string> {
    this.#version = mcp[versionHeader] ?? this.#version
    return {
      ...(this.era === 'legacy' && this.#version !== undefined ? { [versionHeader]: this.#version } : {}),
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

  #sessionLost(): Outcome {
    return { is: 'notSent', fault: fault.gone({ upstream: this.#options.name, reason: 'session lost' }) }
  }

  /**
   * One body. The specification has 404 to a message with a session id mean that the server does not know that session, so it did nothing (2025-11-25,
   * session management): such a call is sent once more in a new session. Only a body that answers this very request says that it did get there.
   */
  async #single(request: Frame, response: IncomingMessage, out: Sink, hadSession: boolean): Promise<Outcome> {
    const status = response.statusCode ?? 0
    const body = await collect(response, this.#limits)
    let frame: Frame | undefined
    try {
      frame = scan(body, this.#limits)
    } catch (error) {
      if (!(error instanceof Fault) || error.code === 'wire.two_readings') throw error
    }
    if (status === 404 && hadSession && !(frame && hasReached(request, frame))) return this.#sessionLost()
    if (frame && (frame.kind === 'result' || frame.kind === 'error')) {
      out.write(underIdOf(request, frame))
      // To a legacy client 404 would say that its session with us is over.
      return status === 200 || (status === 404 && this.era === 'legacy') ? answered : { is: 'answered', status }
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
        if (error instanceof Fault && (error.code === 'wire.too_large' || error.code === 'wire.two_readings')) throw error // and so it would be the next time
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
      let isWaiting = false
      const { maxFrameBytes, budget } = this.#limits
      const share = new Share(budget)
      const fail = (error: Error): void => {
        response.destroy()
        reject(error)
      }
      const reader = new SseReader(maxFrameBytes + fieldBytes, (event) => {
        if (isOver) return
        const frame = event.data.length > 0 && event.event === 'message' ? scan(event.data, this.#limits) : undefined
        const full = take(event, frame)
        if (full === true && (frame?.kind !== 'request' || this.#sending < maxSending)) return
        if (full === 'enough') {
          isOver = true
          const cut = this.#options.clock.after(lingerMs, () => response.destroy())
          response.on('close', cut)
          return resolve()
        }
        if (isWaiting) return // one wait for all that came in one piece
        isWaiting = true
        response.pause()
        const room = full === true ? this.#wake.promise : full.room()
        room.then(() => {
          isWaiting = false
          response.resume()
        }, fail)
      })
      response.on('data', (chunk: Buffer) => {
        try {
          if (!reader.take(chunk)) fail(wireFault.too_large({ maxFrameBytes }))
          else if (!share.grow(reader.heldBytes)) fail(wireFault.no_room({ maxBytes: budget!.maxBytes }))
          else if (reader.heldBytes === 0) share.giveAll()
        } catch (error) {
          fail(error as Error)
        }
      })
      response.on('end', resolve)
      response.on('error', reject)
      response.on('close', () => {
        share.giveAll()
        resolve()
      })
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
      this.#follow(response, lastEventId, side).catch(() => {})
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

/** True for an answer to this very request, other than that its session is not known (−32001, as the official SDK says it). */
function hasReached(request: Frame, answer: Frame): boolean {
  if (answer.kind !== 'result' && answer.kind !== 'error') return false
  if (!hasId(answer) || idKey(answer, answer.at.id!) !== idKey(request, request.at.id!)) return false
  return answer.kind === 'result' || errorOf(answer).code !== code.denied
}

function contentType(response: IncomingMessage): string {
  return (response.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
}

/** The whole body; faults `wire.too_large`, `wire.no_room`. */
async function collect(stream: AsyncIterable<Buffer>, { maxFrameBytes, budget }: ScanLimits): Promise<Buffer> {
  const chunks: Buffer[] = []
  const share = new Share(budget)
  let sizeBytes = 0
  try {
    for await (const chunk of stream) {
      sizeBytes += chunk.length
      if (sizeBytes > maxFrameBytes) throw wireFault.too_large({ maxFrameBytes })
      if (!share.grow(sizeBytes)) throw wireFault.no_room({ maxBytes: budget!.maxBytes })
      chunks.push(chunk)
    }
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
  } finally {
    share.giveAll()
  }
}
