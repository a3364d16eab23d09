// A raw MCP client over HTTP: bodies, headers, streams and cuts are the test's own. It knows no SDK, so that nothing is smoothed over.
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { meta, modernVersion, namedBy } from '../../src/base/mcp/protocol.ts'

export type Message = {
  readonly jsonrpc?: string
  readonly id?: unknown
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly code: number; readonly message: string; readonly data?: Readonly<Record<string, unknown>> }
}

export type RawEvent = { readonly id: string | undefined; readonly data: string; readonly retryMs: number | undefined }

const timeoutMs = 15_000
const agent = new Agent({ keepAlive: true, maxSockets: 256 })

function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${timeoutMs} ms for ${what}`)), timeoutMs)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** What came back of one request: read it as one body, or event by event. */
export class Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly #response: IncomingMessage
  readonly #events: RawEvent[] = []
  #text = ''
  #cutAt = 0
  #isOver = false
  #wake: () => void = () => {}

  constructor(response: IncomingMessage, isPaused: boolean) {
    this.status = response.statusCode!
    this.headers = response.headers
    this.#response = response
    if (isPaused) return
    response.setEncoding('utf8').on('data', (text: string) => {
      this.#text += text
      if (this.isStream) this.#cutEvents()
      this.#wake()
    })
    response.on('close', () => {
      this.#isOver = true
      this.#wake()
    })
    response.on('error', () => {})
  }

  get isStream(): boolean {
    return this.headers['content-type'] === 'text/event-stream'
  }

  /** Ends the connection at once, as a client does that is killed. */
  cut(): void {
    this.#response.destroy()
  }

  /** Reads what was left alone so far (`send` with `isPaused`). */
  async drain(): Promise<number> {
    let sizeBytes = 0
    for await (const chunk of this.#response) sizeBytes += (chunk as Buffer).length
    return sizeBytes
  }

  /** The whole body, of a stream too. */
  async text(): Promise<string> {
    while (!this.#isOver) await this.#more('the end of the body')
    return this.#text
  }

  async json(): Promise<Message> {
    return JSON.parse(await this.text()) as Message
  }

  /** The next event, comments left out; undefined at the end of the stream. */
  async event(): Promise<RawEvent | undefined> {
    for (;;) {
      const event = this.#events.shift()
      if (event || this.#isOver) return event
      await this.#more('an event')
    }
  }

  /** The next event that holds a message; undefined at the end. */
  async next(): Promise<(Message & { readonly eventId: string | undefined; readonly raw: string }) | undefined> {
    for (let event = await this.event(); event; event = await this.event())
      if (event.data !== '') return { ...(JSON.parse(event.data) as Message), eventId: event.id, raw: event.data }
    return undefined
  }

  /** The messages that are left, up to the end of the stream. */
  async rest(): Promise<Message[]> {
    const found: Message[] = []
    for (let message = await this.next(); message; message = await this.next()) found.push(message)
    return found
  }

  /** The answer, whether it comes as one body or as the last message of a stream. */
  async answer(): Promise<Message> {
    if (!this.isStream) return this.json()
    for (let message = await this.next(); message; message = await this.next()) if (message.result || message.error) return message
    throw new Error('the stream ended without an answer')
  }

  #more(what: string): Promise<void> {
    return within(new Promise((resolve) => (this.#wake = resolve)), `${what}; so far: ${this.#text.slice(-500)}`)
  }

  #cutEvents(): void {
    for (let end = this.#text.indexOf('\n\n', this.#cutAt); end >= 0; end = this.#text.indexOf('\n\n', this.#cutAt)) {
      const lines = this.#text.slice(this.#cutAt, end).split('\n')
      this.#cutAt = end + 2
      const field = (name: string): string | undefined => lines.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 2)
      const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(6))
      const retry = field('retry')
      if (data.length > 0 || retry !== undefined)
        this.#events.push({ id: field('id'), data: data.join('\n'), retryMs: retry === undefined ? undefined : Number(retry) })
    }
  }
}

export type Send = {
  readonly method?: string
  readonly body?: string | Uint8Array
  readonly headers?: Readonly<Record<string, string | undefined>>
  /** Leaves the response unread until `drain`: a slow reader. */
  readonly isPaused?: boolean
  /** Cuts the connection, even before there is an answer. */
  readonly signal?: AbortSignal
}

/** One HTTP request, exactly as told; a header that is undefined is left out. */
export function send(url: string, { method = 'POST', body, headers = {}, isPaused = false, signal }: Send): Promise<Reply> {
  const all: Record<string, string> = { accept: 'application/json, text/event-stream' }
  if (method === 'POST') all['content-type'] = 'application/json'
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) delete all[name]
    else all[name] = value
  }
  const replied = new Promise<Reply>((resolve, reject) => {
    const sending = request(url, { method, headers: all, agent, ...(signal ? { signal } : {}) })
    sending.on('response', (response) => resolve(new Reply(response, isPaused)))
    sending.on('error', reject)
    sending.end(body)
  })
  return within(replied, `the answer to ${method} ${url}`)
}

export type Params = Readonly<Record<string, unknown>>

/** One legacy session. Ids are the test's own. */
export type RawSession = {
  readonly id: string
  readonly headers: Readonly<Record<string, string>>
  /** Sends one message with the session's headers, whatever it is. */
  post(message: unknown, more?: Send): Promise<Reply>
  request(id: string | number, method: string, params?: Params): Promise<Reply>
  call(id: string | number, name: string, given?: Params, meta?: Params): Promise<Reply>
  get(headers?: Readonly<Record<string, string>>): Promise<Reply>
  end(): Promise<Reply>
}

export type SessionOptions = { readonly capabilities?: Params; readonly version?: string; readonly token?: string }

/** Opens a legacy session: `initialize` and `notifications/initialized`. */
export async function openSession(url: string, options: SessionOptions = {}): Promise<RawSession> {
  const { capabilities = {}, version = '2025-11-25', token } = options
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const params = { protocolVersion: version, capabilities, clientInfo: { name: 'raw', version: '1' } }
  const reply = await send(url, {
    body: JSON.stringify({ jsonrpc: '2.0', id: 'init', method: 'initialize', params }),
    headers: authorization,
  })
  const answer = await reply.answer()
  const id = reply.headers['mcp-session-id']
  if (!answer.result || typeof id !== 'string') throw new Error(`no session: ${reply.status} ${JSON.stringify(answer)}`)
  const headers = { ...authorization, 'mcp-session-id': id, 'mcp-protocol-version': version }
  const post = (message: unknown, more: Send = {}): Promise<Reply> =>
    send(url, { body: JSON.stringify(message), ...more, headers: { ...headers, ...more.headers } })
  await post({ jsonrpc: '2.0', method: 'notifications/initialized' })
  return {
    id,
    headers,
    post,
    request: (requestId, method, given = {}) => post({ jsonrpc: '2.0', id: requestId, method, params: given }),
    call: (requestId, name, given = {}, _meta) =>
      post({ jsonrpc: '2.0', id: requestId, method: 'tools/call', params: { name, arguments: given, ...(_meta ? { _meta } : {}) } }),
    get: (more = {}) => send(url, { method: 'GET', headers: { ...headers, accept: 'text/event-stream', ...more } }),
    end: () => send(url, { method: 'DELETE', headers }),
  }
}

export type ModernOptions = {
  readonly capabilities?: Params
  readonly meta?: Params
  readonly token?: string
  /** Changes to the headers that belong to the message; undefined leaves one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly isPaused?: boolean
  readonly signal?: AbortSignal
}

/** One message of 2026-07-28 with its envelope. */
export function enveloped(id: string | number | undefined, method: string, params: Params = {}, options: ModernOptions = {}): Message {
  const _meta = {
    [meta.protocolVersion]: modernVersion,
    [meta.clientCapabilities]: options.capabilities ?? {},
    [meta.clientInfo]: { name: 'raw', version: '1' },
    ...options.meta,
  }
  return { jsonrpc: '2.0', ...(id === undefined ? {} : { id }), method, params: { ...params, _meta } }
}

/** Sends one request of 2026-07-28 with its envelope and headers. */
export function modern(url: string, id: string | number, method: string, params: Params = {}, options: ModernOptions = {}): Promise<Reply> {
  const place = namedBy[method]
  const named = place && params[place]
  return send(url, {
    body: JSON.stringify(enveloped(id, method, params, options)),
    headers: {
      'mcp-protocol-version': modernVersion,
      'mcp-method': method,
      ...(typeof named === 'string' ? { 'mcp-name': named } : {}),
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    },
    isPaused: options.isPaused ?? false,
    ...(options.signal ? { signal: options.signal } : {}),
  })
}

export const modernCall = (
  url: string,
  id: string | number,
  name: string,
  given: Params = {},
  options: ModernOptions = {},
): Promise<Reply> => modern(url, id, 'tools/call', { name, arguments: given }, options)

/** The text of a tool's first content. */
export function textOf(message: Message | undefined): string {
  const content = message?.result?.['content'] as { text: string }[] | undefined
  if (!content) throw new Error(`not the result of a tool: ${JSON.stringify(message)}`)
  return content[0]!.text
}
