// The bridge from a legacy client to a modern server: the session lives here, every request gets its envelope, and `input_required` becomes requests to the client.
import { randomId } from '../../kernel/random.ts'
import { type Frame, idKey, splice, stringAt, valueAt } from '../wire/frame.ts'
import { scan } from '../wire/scan.ts'
import type { Sink } from '../wire/wire.ts'
import { UpstreamRefusal, askFor, ownClientInfo } from './ask.ts'
import { type Leg, type McpHeaders, type Out, type Outcome, accepted, answered, cancelled } from './exchange.ts'
import { errorFrame, idToken, paramsOf, resultFrame, resultOf } from './message.ts'
import { code, encodeHeader, legacyVersions, meta, modernVersion, namedBy } from './protocol.ts'

const maxRounds = 10
const maxListPages = 50

type HeaderRule = { readonly header: string; readonly path: readonly string[] }
type Question = { readonly settle: (answer: Frame | undefined) => void }

export class LegacyOverModern implements Leg {
  readonly era = 'legacy' as const
  readonly tellsApart = true
  readonly ended: Promise<string>
  readonly #leg: Leg
  readonly #side: Sink
  readonly #aborts = new Map<string, AbortController>()
  readonly #questions = new Map<string, Question>()
  readonly #uris = new Set<string>()
  #client: { capabilities: unknown; clientInfo: unknown } = { capabilities: {}, clientInfo: ownClientInfo }
  #server: Record<string, unknown> = {}
  #level: string | undefined
  #headerRules: Promise<Map<string, readonly HeaderRule[]>> | undefined
  #listening: AbortController | undefined
  #isListening = false

  constructor(leg: Leg, side: Sink) {
    this.#leg = leg
    this.#side = side
    this.ended = leg.ended
  }

  async request(frame: Frame, _headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    switch (frame.method) {
      case 'initialize':
        return this.#initialize(frame, out)
      case 'ping':
        return this.#answer(frame, out, {})
      case 'logging/setLevel':
        this.#level = String(paramsOf(frame)['level'])
        return this.#answer(frame, out, {})
      case 'resources/subscribe':
      case 'resources/unsubscribe': {
        const uri = stringAt(frame, frame.at.uri)
        if (uri === undefined) {
          out.write(errorFrame(idToken(frame), code.invalidParams, 'Invalid params: uri must be a string'))
          return answered
        }
        if (frame.method === 'resources/subscribe') this.#uris.add(uri)
        else this.#uris.delete(uri)
        this.#relisten()
        return this.#answer(frame, out, {})
      }
      default:
        return this.#call(frame, out, abort)
    }
  }

  async send(frame: Frame): Promise<Outcome> {
    if (frame.kind === 'result' || frame.kind === 'error') {
      const key = frame.at.id && idKey(frame, frame.at.id)
      if (key !== undefined) this.#questions.get(key)?.settle(frame)
    } else if (frame.method === 'notifications/cancelled' && frame.at.requestId) {
      this.#aborts.get(idKey(frame, frame.at.requestId))?.abort()
    }
    return accepted
  }

  async listen(): Promise<boolean> {
    this.#isListening = true
    this.#relisten()
    return true
  }

  close(): Promise<void> {
    this.#listening?.abort()
    for (const abort of this.#aborts.values()) abort.abort()
    return this.#leg.close()
  }

  #answer(frame: Frame, out: Sink, result: unknown): Outcome {
    out.write(resultFrame(idToken(frame), result))
    return answered
  }

  async #initialize(frame: Frame, out: Sink): Promise<Outcome> {
    const params = paramsOf(frame)
    this.#client = { capabilities: params['capabilities'] ?? {}, clientInfo: params['clientInfo'] ?? ownClientInfo }
    try {
      this.#server = await askFor(
        this.#leg,
        'server/discover',
        { _meta: this.#envelope() },
        `fairlead-${randomId(6)}`,
        this.#headers('server/discover'),
      )
    } catch (error) {
      if (!(error instanceof UpstreamRefusal)) throw error
      out.write(errorFrame(idToken(frame), error.error.code, error.error.message, error.error.data))
      return answered
    }
    const asked = String(params['protocolVersion'])
    const { capabilities, instructions, _meta } = this.#server as {
      capabilities?: unknown
      instructions?: unknown
      _meta?: Record<string, unknown>
    }
    return this.#answer(frame, out, {
      protocolVersion: (legacyVersions as readonly string[]).includes(asked) ? asked : legacyVersions[0],
      capabilities: capabilities ?? {},
      serverInfo: _meta?.[meta.serverInfo] ?? { name: 'unnamed', version: '0' },
      ...(typeof instructions === 'string' ? { instructions } : {}),
    })
  }

  #envelope(): Record<string, unknown> {
    return {
      [meta.protocolVersion]: modernVersion,
      [meta.clientCapabilities]: this.#client.capabilities,
      [meta.clientInfo]: this.#client.clientInfo,
      ...(this.#level === undefined ? {} : { [meta.logLevel]: this.#level }),
    }
  }

  #headers(method: string, named?: string, params: Record<string, string> = {}): McpHeaders {
    return {
      'mcp-protocol-version': modernVersion,
      'mcp-method': method,
      ...(named === undefined ? {} : { 'mcp-name': encodeHeader(named) }),
      ...params,
    }
  }

  async #call(frame: Frame, out: Sink, outerAbort: AbortSignal): Promise<Outcome> {
    const key = idKey(frame, frame.at.id!)
    const abort = new AbortController()
    const onAbort = (): void => abort.abort()
    outerAbort.addEventListener('abort', onAbort, { once: true })
    this.#aborts.set(key, abort)
    try {
      return await this.#rounds(frame, out, abort.signal)
    } finally {
      this.#aborts.delete(key)
      outerAbort.removeEventListener('abort', onAbort)
    }
  }

  async #rounds(frame: Frame, out: Out, abort: AbortSignal): Promise<Outcome> {
    const place = namedBy[frame.method!]
    const headers = this.#headers(frame.method!, place && stringAt(frame, frame.at[place]), await this.#paramHeaders(frame))
    let request = this.#enveloped(frame, {})
    for (let round = 0; ; round++) {
      let asked: Frame | undefined
      const outcome = await this.#leg.request(
        request,
        headers,
        {
          write(incoming) {
            const isQuestion = incoming.at.resultType && valueAt(incoming, incoming.at.resultType) === 'input_required'
            if (!isQuestion) return out.write(incoming)
            asked = incoming
            return true
          },
          room: () => out.room(),
        },
        abort,
      )
      if (!asked) return outcome
      if (round === maxRounds) {
        out.write(errorFrame(idToken(frame), code.internalError, `the server asked for input more than ${maxRounds} times`))
        return answered
      }
      const { inputRequests, requestState } = resultOf(asked) as {
        inputRequests?: Record<string, { method: string; params?: Record<string, unknown> }>
        requestState?: string
      }
      const inputResponses = await this.#ask(inputRequests ?? {}, out, abort)
      if (abort.aborted) return cancelled
      if (typeof inputResponses === 'string') {
        out.write(errorFrame(idToken(frame), code.internalError, inputResponses))
        return answered
      }
      request = this.#enveloped(frame, { inputResponses, ...(requestState === undefined ? {} : { requestState }) })
    }
  }

  /** The client's request as the modern era has it. The envelope goes in front of what `_meta` held; arguments stay byte for byte. */
  #enveloped(frame: Frame, more: Record<string, unknown>): Frame {
    const old = frame.at.meta ? (valueAt(frame, frame.at.meta) as Record<string, unknown>) : {}
    const _meta = JSON.stringify({ ...old, ...this.#envelope() })
    const added = Object.entries(more)
      .map(([name, value]) => `"${name}":${JSON.stringify(value)},`)
      .join('')
    if (frame.at.meta) {
      const inserted = { span: [frame.at.params![0] + 1, frame.at.params![0] + 1] as const, with: Buffer.from(added) }
      return scan(splice(frame, [{ span: frame.at.meta, with: Buffer.from(_meta) }, ...(added ? [inserted] : [])]).bytes)
    }
    if (!frame.at.params) return scan(splice(frame, [{ span: [1, 1], with: Buffer.from(`"params":{${added}"_meta":${_meta}},`) }]).bytes)
    const isEmpty = Object.keys(paramsOf(frame)).length === 0
    const text = `${added}"_meta":${_meta}${isEmpty ? '' : ','}`
    return scan(splice(frame, [{ span: [frame.at.params[0] + 1, frame.at.params[0] + 1], with: Buffer.from(text) }]).bytes)
  }

  /** Puts the server's questions to the client, all at once; the answers by key, or in words why there are none. */
  async #ask(
    questions: Record<string, { method: string; params?: Record<string, unknown> }>,
    out: Out,
    abort: AbortSignal,
  ): Promise<Record<string, unknown> | string> {
    const answers = await Promise.all(
      Object.entries(questions).map(async ([key, { method, params }]) => {
        const id = `fairlead-${randomId(9)}`
        const full = method === 'elicitation/create' && params?.['mode'] === 'url' ? { ...params, elicitationId: randomId() } : params
        const answer = new Promise<Frame | undefined>((resolve) => {
          const settle = (frame: Frame | undefined): void => {
            this.#questions.delete(JSON.stringify(id))
            resolve(frame)
          }
          this.#questions.set(JSON.stringify(id), { settle })
          abort.addEventListener('abort', () => settle(undefined), { once: true })
        })
        out.write(scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, ...(full ? { params: full } : {}) }))))
        const frame = await answer
        return [key, frame && resultOf(frame)] as const
      }),
    )
    const unanswered = answers.find(([, result]) => result === undefined)
    return unanswered ? `the client did not answer what the server asked (${unanswered[0]})` : Object.fromEntries(answers)
  }

  /** `Mcp-Param-*` of a call: the server's schemas say which arguments are mirrored in headers (`x-mcp-header`). */
  async #paramHeaders(frame: Frame): Promise<Record<string, string>> {
    if (frame.method !== 'tools/call' || !frame.at.arguments || !this.#leg.tellsApart) return {}
    const rules = (await (this.#headerRules ??= this.#readHeaderRules())).get(stringAt(frame, frame.at.name) ?? '') ?? []
    const headers: Record<string, string> = {}
    const args = rules.length > 0 ? valueAt(frame, frame.at.arguments) : undefined
    for (const { header, path } of rules) {
      const value = path.reduce<unknown>(
        (inner, name) => (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[name] : undefined),
        args,
      )
      if (value !== undefined && value !== null)
        headers[`mcp-param-${header.toLowerCase()}`] = encodeHeader(typeof value === 'string' ? value : JSON.stringify(value))
    }
    return headers
  }

  async #readHeaderRules(): Promise<Map<string, readonly HeaderRule[]>> {
    const found = new Map<string, readonly HeaderRule[]>()
    let cursor: unknown
    for (let page = 0; page < maxListPages; page++) {
      const params = { _meta: this.#envelope(), ...(cursor === undefined ? {} : { cursor }) }
      const result = await askFor(this.#leg, 'tools/list', params, `fairlead-${randomId(6)}`, this.#headers('tools/list')).catch(
        () => undefined,
      )
      for (const tool of (result?.['tools'] ?? []) as { name: string; inputSchema?: Schema }[])
        found.set(tool.name, headerRules(tool.inputSchema, []))
      cursor = result?.['nextCursor']
      if (typeof cursor !== 'string') break
    }
    return found
  }

  /** One listen stream for all that this client watches, opened anew when that changes. */
  #relisten(): void {
    this.#listening?.abort()
    const capabilities = (this.#server['capabilities'] ?? {}) as Record<string, Record<string, unknown>>
    const notifications: Record<string, unknown> = {}
    if (this.#isListening) {
      for (const kind of ['tools', 'prompts', 'resources'])
        if (capabilities[kind]?.['listChanged'] === true) notifications[`${kind}ListChanged`] = true
    }
    if (this.#uris.size > 0) notifications['resourceSubscriptions'] = [...this.#uris]
    if (Object.keys(notifications).length === 0) return
    const stop = (this.#listening = new AbortController())
    const request = scan(
      Buffer.from(
        JSON.stringify({
          jsonrpc: '2.0',
          id: `fairlead-listen-${randomId(6)}`,
          method: 'subscriptions/listen',
          params: { _meta: this.#envelope(), notifications },
        }),
      ),
    )
    const out: Sink = {
      write: (frame) =>
        frame.kind !== 'notification' || frame.method === 'notifications/subscriptions/acknowledged' || this.#side.write(frame),
      room: () => this.#side.room(),
    }
    void this.#leg.request(request, this.#headers('subscriptions/listen'), out, stop.signal)
  }
}

type Schema = { readonly properties?: Record<string, Schema & { readonly 'x-mcp-header'?: unknown }> }

function headerRules(schema: Schema | undefined, path: readonly string[]): HeaderRule[] {
  return Object.entries(schema?.properties ?? {}).flatMap(([name, inner]) => {
    const header = inner['x-mcp-header']
    return [...(typeof header === 'string' ? [{ header, path: [...path, name] }] : []), ...headerRules(inner, [...path, name])]
  })
}
