// The HTTP door: Streamable HTTP as clients speak it, both eras, turned into exchanges. `../../http/listener.ts` has checked Host and Origin before.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Clock, systemClock } from '../../../kernel/clock.ts'
import { Fault, asFault } from '../../../kernel/fault.ts'
import type { Principal, Refused, Via } from '../../access/principal.ts'
import type { Frame } from '../../wire/frame.ts'
import { scan } from '../../wire/scan.ts'
import { type ScanLimits, defaultLimits } from '../../wire/walk.ts'
import { isInitialize, versionProblem } from '../legacy.ts'
import { classify, headerProblem } from '../modern.ts'
import { Bodies } from './body.ts'
import { SessionStreams, StreamBudget } from './event-stream.ts'
import { type Exchange, type McpHeaders, neverAborted } from '../exchange.ts'
import { errorFrame, idToken } from '../message.ts'
import { assumedVersion, code, legacyVersions, modernVersions } from '../protocol.ts'
import { Reply, send } from './reply.ts'
import { traceNames } from '../trace.ts'
import type { Endpoint, Session } from '../scopes.ts'

/** What a client reads that asks for a stream where there is none, as clients of the older era do: the protocol has it so. */
export const noStream = 'the server offers no stream of its own'

export type HttpDoorNeeds = {
  endpoint(path: string): Endpoint | undefined
  /**
   * `local`: whom the socket stands for that the request came in by. No promise where the answer is known: the next call of a client waits for nothing. Asked again of
   * the same request while its stream is open (`recheck`).
   */
  authenticate(request: IncomingMessage, local?: Principal): Principal | Refused | Promise<Principal | Refused>
  /** Told of every refusal that never became an exchange, and what was shown when it was not believed. */
  refused(reason: string, request: IncomingMessage, status: number, via?: Via): void
  readonly limits?: ScanLimits
  /** The system's by default. */
  readonly clock?: Clock
  /** Of all requests that wait for their answers; 256 MiB by default. */
  readonly maxAllBodyBytes?: number
}

/** Streamable HTTP for the MCP paths of a listener. */
export interface HttpDoor {
  /** `local`: whom the socket stands for now that the request came in by. */
  handle(request: IncomingMessage, response: ServerResponse, local?: Local): void
  /** Credentials are others now: ends every stream that only listens whose client would not be let in as the same principal. Calls that run are answered. */
  recheck(): void
}

export type Local = () => Principal | undefined

/** Who sent a request, and what that was found by. `asOf`: how often credentials had become others. */
type Proof = { readonly request: IncomingMessage; readonly local: Local | undefined; readonly principal: Principal; readonly asOf: number }

/** A door; it keeps the event streams of its sessions, within the bounds of `./event-stream.ts`. */
export function createHttpDoor(needs: HttpDoorNeeds): HttpDoor {
  const limits = needs.limits ?? defaultLimits
  const clock = needs.clock ?? systemClock
  const streamsOf = new WeakMap<Session, SessionStreams>()
  const budget = new StreamBudget(clock, limits.maxFrameBytes)
  const bodies = new Bodies(needs.maxAllBodyBytes)

  const listening = new Map<ServerResponse, Proof>()
  let changes = 0

  async function handle(request: IncomingMessage, response: ServerResponse, local: Local | undefined): Promise<void> {
    const asOf = changes
    let principal = needs.authenticate(request, local?.())
    if (principal instanceof Promise) principal = await principal
    if ('status' in principal) return turnAway(request, response, principal)
    const endpoint = needs.endpoint(request.url!) // strangers do not learn which there are
    if (!endpoint) return refuse(request, response, 404, code.serverError, 'there is no such endpoint')
    const proof = { request, local, principal, asOf }
    if (request.method === 'POST') return post(response, endpoint, proof)
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
    endWithProof(proof, response)
    return get(request, response, session)
  }

  /** What only listens lives no longer than the proof of who listens; calls that run are answered. */
  function endWithProof(proof: Proof, response: ServerResponse): void {
    const { untilMs } = proof.principal
    const cancel = untilMs === undefined ? () => {} : clock.after(Math.max(0, untilMs - clock.now()), () => response.destroy())
    listening.set(response, proof)
    response.on('close', () => {
      listening.delete(response)
      cancel()
    })
    if (response.destroyed) listening.delete(response)
    else if (proof.asOf !== changes) void check(response, proof)
  }

  async function check(response: ServerResponse, { request, local, principal }: Proof): Promise<void> {
    try {
      const known = await needs.authenticate(request, local?.())
      if ('name' in known && known.name === principal.name) return
    } catch {
      // who cannot be told is nobody
    }
    response.destroy()
  }

  function turnAway(request: IncomingMessage, response: ServerResponse, { status, reason, via, headers }: Refused): void {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    refuse(request, response, status, status === 503 ? code.serverError : code.denied, reason, { via })
  }

  function refuse(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    errorCode: number,
    message: string,
    { id = 'null', data, via }: { readonly id?: string; readonly data?: unknown; readonly via?: Via | undefined } = {},
  ): void {
    needs.refused(message, request, status, via)
    if (!request.complete) response.setHeader('connection', 'close') // what is left of the body is never read
    send(budget, response, status, errorFrame(id, errorCode, message, data).bytes)
  }

  async function post(response: ServerResponse, endpoint: Endpoint, proof: Proof): Promise<void> {
    const { request } = proof
    const type = request.headers['content-type']
    if (type === undefined || !/^application\/json *(;|$)/i.test(type))
      return refuse(request, response, 415, code.serverError, 'Content-Type must be application/json')
    const body = await bodies.read(request, limits.maxFrameBytes)
    if (body === 'tooLarge')
      return refuse(request, response, 413, code.serverError, `the body is larger than ${limits.maxFrameBytes} bytes`)
    if (body === 'noRoom') {
      response.setHeader('retry-after', '1')
      return refuse(request, response, 503, code.serverError, 'too many large requests wait for their answers: try again')
    }
    try {
      await exchange(body.bytes, response, endpoint, proof)
    } finally {
      body.release()
    }
  }

  async function exchange(body: Buffer, response: ServerResponse, endpoint: Endpoint, proof: Proof): Promise<void> {
    const { request, principal } = proof
    let frame: Frame
    try {
      frame = scan(body, limits)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      const id = typeof error.details['id'] === 'string' ? error.details['id'] : 'null'
      return refuse(request, response, 400, error.code === 'wire.not_json' ? code.parseError : code.invalidRequest, error.message, { id })
    }
    const headers = mcpHeaders(request)
    const classified = classify(frame, headers, true)
    const refusal =
      classified.era === 'refused' ? classified.refusal : classified.era === 'modern' ? headerProblem(frame, headers) : undefined
    if (refusal) return refuse(request, response, refusal.status, refusal.code, refusal.message, { id: idToken(frame), data: refusal.data })
    if (classified.era === 'modern')
      return modern({ frame, era: 'modern', principal, headers, abort: abortOnClose(response) }, response, endpoint, proof)
    return legacy({ frame, era: 'legacy', principal, headers, abort: neverAborted }, request, response, endpoint)
  }

  async function modern(exchange: Exchange, response: ServerResponse, endpoint: Endpoint, proof: Proof): Promise<void> {
    const reply = new Reply(response, budget, undefined)
    reply.keepAwake()
    if (exchange.frame.method === 'subscriptions/listen') endWithProof(proof, response)
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
    if (problem) return refuse(request, response, 400, code.serverError, problem, { id: idToken(frame) })
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
    const answers = frame ? { id: idToken(frame) } : {}
    if (typeof id !== 'string') {
      refuse(
        request,
        response,
        400,
        code.serverError,
        `Bad Request: Mcp-Session-Id header is required (supported versions: ${legacyVersions.join(', ')})`,
        answers,
      )
      return undefined
    }
    let fresh: SessionStreams | undefined
    const session = await endpoint.find(id, principal, () => (fresh = new SessionStreams(budget)).side)
    if (!session) refuse(request, response, 404, code.denied, 'Session not found', answers)
    else if (fresh && !streamsOf.has(session)) streamsOf.set(session, fresh)
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
      return refuse(request, response, 405, code.serverError, noStream)
    }
    if (isTaken()) return refuse(request, response, 409, code.serverError, 'Conflict: this stream is open already')
    stream.attach(response, seq, { 'mcp-session-id': session.id }, knowsPriming(mcpHeaders(request)))
  }

  return {
    recheck() {
      changes++
      for (const [response, proof] of listening) void check(response, proof)
    },
    handle(request, response, local) {
      response.on('error', () => response.destroy()) // one connection's trouble is nobody else's
      handle(request, response, local).catch((error: unknown) => {
        if (response.headersSent || response.destroyed) return void response.destroy()
        const fault = asFault(error)
        needs.refused(fault.message, request, 500)
        send(budget, response, 500, errorFrame('null', code.internalError, 'Internal error').bytes)
      })
    },
  }
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
  for (const name of traceNames) if (request.headers[name] !== undefined) kept[name] = String(request.headers[name])
  return kept
}

function abortOnClose(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.on('close', () => {
    if (!response.writableFinished) controller.abort()
  })
  return controller.signal
}
