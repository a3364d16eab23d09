// The HTTP door of our own MCP server: proves who asks, scans the message, and hands it to the official SDK, each protocol era its own way.
import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server'
import type { Clock } from '../../../kernel/clock.ts'
import { type Fault, asFault, faults, outside } from '../../../kernel/fault.ts'
import type { Log } from '../../../kernel/log.ts'
import { randomId } from '../../../kernel/random.ts'
import type { Secret } from '../../../kernel/secret.ts'
import { type Principal, bearerToken, tokenHash } from '../../access/principal.ts'
import { isLoopback } from '../../http/host.ts'
import { scan } from '../../wire/scan.ts'
import { defaultLimits, fault as wireFault } from '../../wire/walk.ts'

export type Sdk = typeof import('@modelcontextprotocol/server')

const fault = faults('mcp', {
  no_token: () => ({
    kind: 'unauthenticated',
    message: 'this server asks for a token, and the request has none that it knows',
    hint: 'send Authorization: Bearer with the token of this server',
  }),
  not_local: (d: { address: string }) => ({
    kind: 'denied',
    message: `${d.address} is not this machine, and a server without a token answers only this machine`,
    hint: 'go through the gate, or give this server a token',
  }),
  no_session: () => ({ kind: 'missing', message: 'the session is unknown or has expired', hint: 'send initialize again' }),
  session_wanted: () => ({
    kind: 'usage',
    message: 'the Mcp-Session-Id header is missing',
    hint: 'send initialize first, and then its session id with every request',
  }),
  too_many_sessions: (d: { maxSessions: number }) => ({
    kind: 'unavailable',
    message: `all ${d.maxSessions} sessions are in use`,
    hint: 'end a session with DELETE, or try again later',
  }),
})

export type Admit = (request: IncomingMessage) => Principal | Promise<Principal>

/** With a token: whoever shows it, compared in constant time. Without: whoever is on this machine. Faults `mcp.no_token`, `mcp.not_local`. */
export function admitBearer(token: Secret | undefined): Admit {
  const wanted = token && Buffer.from(tokenHash(token.reveal()))
  return (request) => {
    if (wanted) {
      const shown = bearerToken(request.headers.authorization)
      if (shown === undefined || !timingSafeEqual(Buffer.from(tokenHash(shown)), wanted)) throw fault.no_token({})
      return { name: 'token', via: 'token' }
    }
    const address = request.socket.remoteAddress ?? 'an unknown address'
    if (!isLoopback(address.replace(/^::ffff:/, ''))) throw fault.not_local({ address })
    return { name: 'local', via: 'door' }
  }
}

/** The address that a request came from. What Cloudflare says of it counts only beside its assertion, which was proved. */
export function sourceOf({ headers, socket }: IncomingMessage, principal?: Principal): string {
  const said = principal?.via === 'cloudflare' ? headers['cf-connecting-ip'] : undefined
  return typeof said === 'string' ? said.slice(0, 64) : (socket.remoteAddress ?? 'unknown').replace(/^::ffff:/, '')
}

export type HttpLimits = {
  /** Of one request; 1 MiB by default: arguments of tools are small. */
  readonly maxBodyBytes?: number
  /** Legacy sessions; 128 by default. The one idle for longest makes room. */
  readonly maxSessions?: number
  /** A legacy session without a request or an open stream for this long is ended; 30 min by default. */
  readonly sessionIdleMs?: number
}

export type HttpDoorOptions = {
  readonly loadSdk: () => Promise<Sdk>
  /** `source`: the address that the request came from, of a session that opened it. */
  readonly serverFor: (sdk: Sdk, principal: Principal, source: string) => Server
  readonly admit: Admit
  readonly clock: Clock
  readonly log: Log
  readonly limits?: HttpLimits
}

export interface HttpDoor {
  /** Answers one request, whatever it is; never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void
  readonly sessions: number
  close(): Promise<void>
}

/** `open`: responses that are being written, a GET stream among them. */
type Session = {
  readonly principal: Principal
  readonly server: Server
  readonly transport: WebStandardStreamableHTTPServerTransport
  usedAt: number
  open: number
}
type Asked = {
  readonly request: Request
  readonly body: unknown
  readonly principal: Principal
  readonly source: string
  readonly response: ServerResponse
}

async function readBody(request: IncomingMessage, maxBodyBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  // Kept alive when we stop reading, so that the refusal can still be sent
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > maxBodyBytes) throw wireFault.too_large({ maxFrameBytes: maxBodyBytes })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function webRequest(request: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers)) {
    for (const item of Array.isArray(value) ? value : value === undefined ? [] : [value]) headers.append(name, item)
  }
  return new Request('http://localhost/mcp', { method: request.method ?? 'GET', headers, signal })
}

async function send(from: Response, to: ServerResponse, signal: AbortSignal): Promise<void> {
  to.writeHead(from.status, Object.fromEntries(from.headers))
  if (!from.body) return void to.end()
  if (from.headers.get('content-type')?.startsWith('application/json')) return void to.end(await from.text())
  to.flushHeaders()
  const reader = from.body.getReader()
  signal.addEventListener('abort', () => void reader.cancel().catch(() => {}), { once: true })
  for (let part = await reader.read(); !part.done && !signal.aborted; part = await reader.read()) {
    if (!to.write(part.value)) await once(to, 'drain', { signal }).catch(() => {})
  }
  to.end()
}

function refuse(failure: Fault, response: ServerResponse): void {
  if (response.headersSent) return void response.destroy()
  const { httpStatus, rpcCode } = outside[failure.kind]
  const status = failure.code === 'wire.too_large' ? 413 : httpStatus
  const code = failure.code === 'wire.not_json' ? -32700 : failure.code === 'wire.not_a_message' ? -32600 : rpcCode
  const id = typeof failure.details.id === 'string' ? (JSON.parse(failure.details.id) as string | number) : null
  response.writeHead(status, {
    'content-type': 'application/json',
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    ...(status === 413 ? { connection: 'close' } : {}),
  })
  response.end(
    JSON.stringify({
      jsonrpc: '2.0',
      id,
      error: { code, message: failure.message, ...(failure.hint ? { data: { hint: failure.hint } } : {}) },
    }),
  )
}

/** With another role it is another: what the session was opened for no longer holds. */
function isSame(one: Principal, other: Principal): boolean {
  return one.name === other.name && one.via === other.via && one.role === other.role
}

/** Sessions of the eras before 2026-07-28: bounded, each bound to the principal that opened it. */
class Sessions {
  readonly #options: HttpDoorOptions
  readonly #maxSessions: number
  readonly #idleMs: number
  readonly #byId = new Map<string, Session>()
  #stopSweep: (() => void) | undefined

  constructor(options: HttpDoorOptions) {
    this.#options = options
    this.#maxSessions = options.limits?.maxSessions ?? 128
    this.#idleMs = options.limits?.sessionIdleMs ?? 30 * 60_000
  }

  get size(): number {
    return this.#byId.size
  }

  async answer(sdk: Sdk, { request, body, principal, source, response }: Asked): Promise<Response> {
    const id = request.headers.get('mcp-session-id')
    const isInitialize = (body as { method?: unknown } | undefined)?.method === 'initialize'
    // Without a session a GET or DELETE can only be a client of the stateless era, or one that has lost its way
    if (!id && !isInitialize && request.method !== 'POST') return new Response(null, { status: 405, headers: { allow: 'POST' } })
    if (!id && !isInitialize) throw fault.session_wanted({})
    const session = id ? this.#byId.get(id) : await this.#open(sdk, principal, source)
    if (!session || !isSame(session.principal, principal)) throw fault.no_session({})
    session.usedAt = this.#options.clock.mono()
    session.open++
    response.once('close', () => {
      session.open--
      session.usedAt = this.#options.clock.mono()
    })
    return session.transport.handleRequest(request, body === undefined ? {} : { parsedBody: body })
  }

  async close(): Promise<void> {
    this.#stopSweep?.()
    await Promise.allSettled([...this.#byId.values()].map(({ server }) => server.close()))
    this.#byId.clear()
  }

  async #open(sdk: Sdk, principal: Principal, source: string): Promise<Session> {
    this.#makeRoom()
    const server = this.#options.serverFor(sdk, principal, source)
    const transport = new sdk.WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomId(),
      onsessioninitialized: (id) => {
        this.#byId.set(id, session)
        this.#sweepLater()
      },
    })
    const session: Session = { principal, server, transport, usedAt: this.#options.clock.mono(), open: 0 }
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK has only this; it keeps ours when it connects
    transport.onclose = () => {
      if (transport.sessionId !== undefined) this.#byId.delete(transport.sessionId)
    }
    await server.connect(transport)
    return session
  }

  #makeRoom(): void {
    if (this.#byId.size < this.#maxSessions) return
    let oldest: Session | undefined
    for (const session of this.#byId.values()) {
      if (session.open === 0 && (!oldest || session.usedAt < oldest.usedAt)) oldest = session
    }
    if (!oldest) throw fault.too_many_sessions({ maxSessions: this.#maxSessions })
    this.#end(oldest, 'made room for a new one')
  }

  #end(session: Session, reason: string): void {
    if (session.transport.sessionId !== undefined) this.#byId.delete(session.transport.sessionId)
    this.#options.log.info('mcp.session.ended', { principal: session.principal.name, reason })
    session.server.close().catch((error: unknown) => this.#options.log.warn('mcp.session.not_closed', { error }))
  }

  #sweepLater(): void {
    this.#stopSweep ??= this.#options.clock.after(this.#idleMs / 4, () => {
      this.#stopSweep = undefined
      const before = this.#options.clock.mono() - this.#idleMs
      for (const session of this.#byId.values()) if (session.open === 0 && session.usedAt < before) this.#end(session, 'idle')
      if (this.#byId.size > 0) this.#sweepLater()
    })
  }
}

/** Makes the door. The SDK is loaded by the first request. */
export function createHttpDoor(options: HttpDoorOptions): HttpDoor {
  const { log, limits } = options
  const maxBodyBytes = limits?.maxBodyBytes ?? 1 << 20
  const sessions = new Sessions(options)
  const askers = new WeakMap<Request, { readonly principal: Principal; readonly source: string }>()
  let modern: ReturnType<Sdk['createMcpHandler']> | undefined

  const answer = async (request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<Response> => {
    const principal = await options.admit(request)
    const source = sourceOf(request, principal)
    const body =
      request.method === 'POST'
        ? (JSON.parse(
            scan(await readBody(request, maxBodyBytes), { ...defaultLimits, maxFrameBytes: maxBodyBytes }).bytes.toString(),
          ) as unknown)
        : undefined
    const sdk = await options.loadSdk()
    const asked = webRequest(request, signal)
    if (await sdk.isLegacyRequest(asked, body)) return sessions.answer(sdk, { request: asked, body, principal, source, response })
    const serverOf = (one: Request): Server => {
      const asker = askers.get(one)!
      return options.serverFor(sdk, asker.principal, asker.source)
    }
    modern ??= sdk.createMcpHandler(({ requestInfo }) => serverOf(requestInfo!), {
      legacy: 'reject',
      maxSubscriptions: 64,
      onerror: (error) => log.debug('mcp.refused', { error }),
    })
    askers.set(asked, { principal, source })
    return modern.fetch(asked, { parsedBody: body })
  }

  return {
    handle(request, response) {
      const left = new AbortController()
      response.once('close', () => {
        if (!response.writableFinished) left.abort()
      })
      answer(request, response, left.signal)
        .then((made) => send(made, response, left.signal))
        .catch((error: unknown) => {
          const failure = asFault(error)
          if (!left.signal.aborted) log[outside[failure.kind].level]('mcp.refused', { code: failure.code, error: failure.message })
          request.resume()
          refuse(failure, response)
        })
    },
    get sessions() {
      return sessions.size
    },
    async close() {
      await Promise.all([sessions.close(), modern?.close()])
    },
  }
}
