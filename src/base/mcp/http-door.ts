// The HTTP door: Streamable HTTP as clients speak it, both eras, turned into exchanges. `../http/listener.ts` has checked Host and Origin before.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { Fault, asFault } from '../../kernel/fault.ts'
import type { Principal } from '../access/principal.ts'
import type { Frame } from '../wire/frame.ts'
import { scan } from '../wire/scan.ts'
import { type ScanLimits, defaultLimits } from '../wire/walk.ts'
import { isInitialize, versionProblem } from './legacy.ts'
import { classify, headerProblem } from './modern.ts'
import { type EventStream, SessionStreams, StreamBudget, streamHeaders } from './event-stream.ts'
import { type Exchange, type McpHeaders, type Out, type Outcome, neverAborted } from './exchange.ts'
import { errorFrame, errorOf, idToken, problemFrame } from './message.ts'
import { assumedVersion, code, legacyVersions, modernVersions, statusOf } from './protocol.ts'
import type { Endpoint, Session } from './scopes.ts'
import { eventOf, keepAliveComment } from './sse.ts'

export type HttpDoorNeeds = {
  endpoint(path: string): Endpoint | undefined
  authenticate(request: IncomingMessage): Principal | undefined
  /** Told of every refusal that never became an exchange. */
  refused(reason: string, request: IncomingMessage): void
  readonly limits?: ScanLimits
  /** The system's by default. */
  readonly clock?: Clock
}

/** After this long without a frame the client gets response headers and a comment, so that nothing on the way gives up on it. */
const quietMs = 15_000

/** Streamable HTTP for the MCP paths of a listener. */
export interface HttpDoor {
  handle(request: IncomingMessage, response: ServerResponse): void
}

/** A door; it keeps the event streams of its sessions, within the bounds of `./event-stream.ts`. */
export function createHttpDoor(needs: HttpDoorNeeds): HttpDoor {
  const limits = needs.limits ?? defaultLimits
  const streamsOf = new WeakMap<Session, SessionStreams>()
  const budget = new StreamBudget(needs.clock ?? systemClock)

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const endpoint = needs.endpoint(request.url!)
    if (!endpoint) return refuse(request, response, 404, code.serverError, 'there is no such endpoint')
    const principal = needs.authenticate(request)
    if (!principal) {
      response.setHeader('www-authenticate', 'Bearer realm="fairlead"')
      return refuse(request, response, 401, code.denied, 'a valid credential is needed')
    }
    if (request.method === 'POST') return post(request, response, endpoint, principal)
    const isModern = (modernVersions as readonly string[]).includes(String(request.headers['mcp-protocol-version'] ?? ''))
    if (isModern || (request.method !== 'GET' && request.method !== 'DELETE')) {
      response.setHeader('allow', isModern ? 'POST' : 'GET, POST, DELETE')
      return refuse(request, response, 405, code.serverError, 'Method not allowed.')
    }
    const session = await sessionOf(request, response, endpoint, principal)
    if (!session) return
    if (request.method === 'DELETE') {
      await session.close('the client ended it')
      streamsOf.get(session)?.endAll()
      response.writeHead(200).end()
      return
    }
    return get(request, response, session)
  }

  function refuse(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    errorCode: number,
    message: string,
    id = 'null',
    data?: unknown,
  ): void {
    needs.refused(message, request)
    if (!request.complete) response.setHeader('connection', 'close') // what is left of the body is never read
    send(response, status, errorFrame(id, errorCode, message, data).bytes)
  }

  async function post(request: IncomingMessage, response: ServerResponse, endpoint: Endpoint, principal: Principal): Promise<void> {
    const type = request.headers['content-type']
    if (type === undefined || !/^application\/json *(;|$)/i.test(type))
      return refuse(request, response, 415, code.serverError, 'Content-Type must be application/json')
    const body = await readBody(request, limits.maxFrameBytes)
    if (!body) return refuse(request, response, 413, code.serverError, `the body is larger than ${limits.maxFrameBytes} bytes`)
    let frame: Frame
    try {
      frame = scan(body, limits)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      const id = typeof error.details['id'] === 'string' ? error.details['id'] : 'null'
      return refuse(request, response, 400, error.code === 'wire.not_json' ? code.parseError : code.invalidRequest, error.message, id)
    }
    const headers = mcpHeaders(request)
    const classified = classify(frame, headers, true)
    const refusal =
      classified.era === 'refused' ? classified.refusal : classified.era === 'modern' ? headerProblem(frame, headers) : undefined
    if (refusal) return refuse(request, response, refusal.status, refusal.code, refusal.message, idToken(frame), refusal.data)
    if (classified.era === 'modern')
      return modern({ frame, era: 'modern', principal, headers, abort: abortOnClose(response) }, response, endpoint)
    return legacy({ frame, era: 'legacy', principal, headers, abort: neverAborted }, request, response, endpoint)
  }

  async function modern(exchange: Exchange, response: ServerResponse, endpoint: Endpoint): Promise<void> {
    const reply = new Reply(response, budget, undefined)
    reply.keepAwake()
    reply.finish(exchange.frame, await endpoint.handle(exchange, reply))
  }

  async function legacy(exchange: Exchange, request: IncomingMessage, response: ServerResponse, endpoint: Endpoint): Promise<void> {
    const { frame, headers, principal } = exchange
    if (isInitialize(frame)) {
      const streams = new SessionStreams(budget)
      const reply = new Reply(response, budget, streams) // says nothing before the session id is known, however long the server takes
      const { session, outcome } = await endpoint.open({ ...exchange }, reply, streams.side)
      if (session) {
        streamsOf.set(session, streams)
        reply.headers = { 'mcp-session-id': session.id }
      }
      return reply.finish(frame, outcome)
    }
    const problem = versionProblem(headers)
    if (problem) return refuse(request, response, 400, code.serverError, problem, idToken(frame))
    const session = await sessionOf(request, response, endpoint, principal, frame)
    if (!session) return
    const reply = new Reply(response, budget, streamsFor(session), knowsPriming(headers))
    reply.keepAwake()
    reply.finish(frame, await session.handle(exchange, reply))
  }

  async function sessionOf(
    request: IncomingMessage,
    response: ServerResponse,
    endpoint: Endpoint,
    principal: Principal,
    frame?: Frame,
  ): Promise<Session | undefined> {
    const id = request.headers['mcp-session-id']
    const token = frame ? idToken(frame) : 'null'
    if (typeof id !== 'string') {
      refuse(
        request,
        response,
        400,
        code.serverError,
        `Bad Request: Mcp-Session-Id header is required (supported versions: ${legacyVersions.join(', ')})`,
        token,
      )
      return undefined
    }
    const fresh = new SessionStreams(budget)
    const session = await endpoint.find(id, principal, () => fresh.side)
    if (!session) refuse(request, response, 404, code.denied, 'Session not found', token)
    else if (!streamsOf.has(session)) streamsOf.set(session, fresh)
    return session
  }

  function streamsFor(session: Session): SessionStreams {
    let streams = streamsOf.get(session)
    if (!streams) streamsOf.set(session, (streams = new SessionStreams(budget)))
    return streams
  }

  async function get(request: IncomingMessage, response: ServerResponse, session: Session): Promise<void> {
    if (!(request.headers.accept ?? '').includes('text/event-stream'))
      return refuse(request, response, 406, code.serverError, 'Not Acceptable: accept text/event-stream')
    const streams = streamsFor(session)
    const lastEventId = request.headers['last-event-id']
    const found = typeof lastEventId === 'string' ? streams.find(lastEventId) : { stream: streams.side, seq: streams.side.sentSeq }
    if (!found) return refuse(request, response, 400, code.serverError, 'Bad Request: nothing is kept after this Last-Event-ID')
    const { stream, seq } = found
    // Who names an event has lost its connection, even if we have not noticed yet; who names none asks for a second one.
    const isTaken = (): boolean => stream.isAttached && lastEventId === undefined
    if (!isTaken() && stream === streams.side && !(await session.listen())) {
      response.setHeader('allow', 'POST, DELETE')
      return refuse(request, response, 405, code.serverError, 'the server offers no stream of its own')
    }
    if (isTaken()) return refuse(request, response, 409, code.serverError, 'Conflict: this stream is open already')
    stream.attach(response, seq, { 'mcp-session-id': session.id }, knowsPriming(mcpHeaders(request)))
  }

  return {
    handle(request, response) {
      handle(request, response).catch((error: unknown) => {
        if (response.headersSent || response.destroyed) return void response.destroy()
        const fault = asFault(error)
        needs.refused(fault.message, request)
        send(response, 500, errorFrame('null', code.internalError, 'Internal error').bytes)
      })
    },
  }
}

/** Where the frames of one POST go: one JSON body when the answer comes first, an event stream as soon as anything comes before it. */
class Reply implements Out {
  readonly #response: ServerResponse
  readonly #budget: StreamBudget
  readonly #streams: SessionStreams | undefined
  readonly #primes: boolean
  #stayQuiet: (() => void) | undefined
  headers: Record<string, string> = {}
  readonly streaming = { begin: (): void => this.#start(), hangUp: (retryMs: number): void => this.#stream?.hangUp(retryMs) }
  #answer: Frame | undefined
  #stream: EventStream | undefined
  #isStreaming = false

  constructor(response: ServerResponse, budget: StreamBudget, streams: SessionStreams | undefined, primes = false) {
    this.#response = response
    this.#budget = budget
    this.#streams = streams
    this.#primes = primes
  }

  /** Begins a stream when there is nothing to say for too long. */
  keepAwake(): void {
    this.#stayQuiet = this.#budget.clock.after(quietMs, () => this.#keepAlive())
  }

  write(frame: Frame): boolean {
    const isAnswer = frame.kind === 'result' || frame.kind === 'error'
    if (isAnswer && !this.#isStreaming) {
      this.#answer = frame
      return true
    }
    this.#start()
    if (this.#stream) return this.#stream.write(frame)
    return this.#budget.write(this.#response, eventOf(frame.bytes))
  }

  room(): Promise<void> {
    return this.#stream ? this.#stream.room() : this.#budget.room(this.#response)
  }

  /** Says how it ended: the answer that was kept back, or an error in its place. */
  finish(request: Frame, outcome: Outcome): void {
    this.#stayQuiet?.()
    const problem = problemFrame(request, outcome)
    if (this.#isStreaming) {
      if (problem) this.write(problem)
      if (this.#stream) this.#stream.end()
      else this.#response.end()
      return
    }
    if (this.#response.destroyed) return
    if (problem) return send(this.#response, problemStatus(request, outcome), problem.bytes, this.headers)
    if (this.#answer)
      return send(this.#response, statusFor(outcome, this.#answer, this.#streams === undefined), this.#answer.bytes, this.headers)
    if (outcome.is === 'accepted') return void this.#response.writeHead(202, this.headers).end()
    this.#response.writeHead(200, { ...streamHeaders, ...this.headers }).end() // cancelled: an event stream without events
  }

  #start(): void {
    if (this.#isStreaming) return
    this.#isStreaming = true
    if (this.#streams) {
      this.#stream = this.#streams.create()
      this.#stream.attach(this.#response, 0, this.headers, this.#primes)
    } else this.#response.writeHead(200, { ...streamHeaders, ...this.headers })
  }

  #keepAlive(): void {
    if (this.#response.destroyed) return
    this.#start()
    if (this.#stream) return
    this.#response.write(keepAliveComment)
    this.#budget.keepAwake(this.#response)
  }
}

/** A refused request is answered in band; what has no id to answer to gets an HTTP status. */
function problemStatus(request: Frame, outcome: Outcome): number {
  if (outcome.is === 'refused' && outcome.status !== undefined) return outcome.status
  return request.kind === 'request' ? 200 : 400
}

/** A modern error that a server made before its handler ran has a status of its own; over stdio only its code tells. */
function statusFor(outcome: Outcome, answer: Frame, isModern: boolean): number {
  if (outcome.is === 'answered' && outcome.status !== undefined) return outcome.status
  return isModern && answer.kind === 'error' ? statusOf(errorOf(answer).code) : 200
}

function send(response: ServerResponse, status: number, body: Uint8Array, headers: Record<string, string> = {}): void {
  response.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': body.length })
  response.end(body)
}

/** Older clients take an event without data for a broken message. */
function knowsPriming(headers: McpHeaders): boolean {
  return (headers['mcp-protocol-version'] ?? assumedVersion) >= '2025-11-25'
}

function mcpHeaders(request: IncomingMessage): McpHeaders {
  const kept: Record<string, string> = {}
  for (const name in request.headers) {
    if (name.startsWith('mcp-') && name !== 'mcp-session-id') kept[name] = String(request.headers[name])
  }
  return kept
}

function abortOnClose(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.on('close', () => {
    if (!response.writableFinished) controller.abort()
  })
  return controller.signal
}

/** The whole body, or undefined when it is larger than `maxBytes`: then the rest stays unread. */
function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return Promise.resolve(undefined)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    request.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes > maxBytes) {
        request.pause()
        return resolve(undefined)
      }
      chunks.push(chunk)
    })
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    request.on('error', reject)
    request.on('close', () => reject(new Error('the client went away')))
  })
}
