// The bridge from a legacy client to a modern server: the session lives here, every request gets its envelope, and `input_required` becomes requests to the client.
import { randomId } from '../../../kernel/random.ts'
import { type Frame, type Span, idKey, stringAt, token, valueAt } from '../../wire/frame.ts'
import { locate, members } from '../../wire/locate.ts'
import { rescan, scan } from '../../wire/scan.ts'
import type { Sink } from '../../wire/wire.ts'
import { beforeSending } from '../leg/before-sending.ts'
import { UpstreamRefusal, askFor, ownClientInfo, ownId } from '../leg/ask.ts'
import { membersText, withEnvelope } from '../envelope.ts'
import { type Leg, type McpHeaders, type Out, type Outcome, accepted, answered, cancelled, noHeaders, through } from '../exchange.ts'
import { errorFrame, errorOf, idToken, paramsOf, resultFrame } from '../message.ts'
import { ParamHeaders } from '../param-headers.ts'
import { code, encodeHeader, legacyVersions, meta, modernVersion, namedBy } from '../protocol.ts'
import { idInUse } from '../leg/wire.ts'

const maxRounds = 10
/** What a server may ask in one round, and the bytes of all answers together. */
const maxQuestions = 64
const maxAnswerBytes = 64 << 20

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
  readonly #paramHeaders: ParamHeaders
  #listening: AbortController | undefined
  #isListening = false

  constructor(leg: Leg, side: Sink) {
    this.#leg = leg
    this.#side = side
    this.ended = leg.ended
    this.#paramHeaders = new ParamHeaders((cursor) => {
      const params = { _meta: this.#envelope(), ...(cursor === undefined ? {} : { cursor }) }
      return askFor(leg, 'tools/list', params, this.#headers('tools/list'))
    })
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
      this.#server = await askFor(this.#leg, 'server/discover', { _meta: this.#envelope() }, this.#headers('server/discover'))
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
    if (!this.#leg.tellsApart) return noHeaders // a pipe carries none
    return {
      'mcp-protocol-version': modernVersion,
      'mcp-method': method,
      ...(named === undefined ? {} : { 'mcp-name': encodeHeader(named) }),
      ...params,
    }
  }

  async #call(frame: Frame, out: Sink, outerAbort: AbortSignal): Promise<Outcome> {
    const key = idKey(frame, frame.at.id!)
    if (this.#aborts.has(key)) return idInUse(key)
    const abort = new AbortController()
    const onAbort = (): void => abort.abort()
    outerAbort.addEventListener('abort', onAbort, { once: true })
    this.#aborts.set(key, abort)
    if (!this.#listening) this.#relisten()
    try {
      return await this.#rounds(frame, out, abort.signal)
    } finally {
      this.#aborts.delete(key)
      outerAbort.removeEventListener('abort', onAbort)
    }
  }

  async #rounds(frame: Frame, out: Out, abort: AbortSignal): Promise<Outcome> {
    const place = namedBy[frame.method!]
    const headers = this.#headers(
      frame.method!,
      place && stringAt(frame, frame.at[place]),
      this.#leg.tellsApart ? await beforeSending(this.#paramHeaders.of(frame)) : {},
    )
    let request = withEnvelope(frame, this.#envelope())
    for (let round = 0; ; round++) {
      let asked: Frame | undefined
      const taking = through(out, (incoming) => {
        if (incoming.kind === 'error' && errorOf(incoming).code === code.headerMismatch) this.#paramHeaders.forget() // its schemas changed
        const isQuestion = stringAt(incoming, incoming.at.resultType) === 'input_required'
        if (!isQuestion) return out.write(incoming)
        asked = incoming
        return true
      })
      const outcome = await this.#leg.request(request, headers, taking, abort)
      if (!asked) return outcome
      const inputResponses =
        round < maxRounds ? await this.#ask(asked, out, abort) : new Error(`the server asked for input more than ${maxRounds} times`)
      if (abort.aborted) return cancelled
      if (inputResponses instanceof Error) {
        out.write(failed(frame, inputResponses.message))
        return answered
      }
      const state = locate(asked.bytes, asked.at.result, 'requestState')
      request = withEnvelope(frame, this.#envelope(), { inputResponses, ...(state ? { requestState: token(asked, state) } : {}) })
    }
  }

  /** Puts the server's questions to the client, all at once; the answers as JSON text by key, or why there are none. */
  async #ask(asked: Frame, out: Out, abort: AbortSignal): Promise<string | Error> {
    const span = locate(asked.bytes, asked.at.result, 'inputRequests')
    if (!span || asked.bytes[span[0]] !== 0x7b) return '{}'
    const questions = [...members(asked.bytes, span)]
    if (questions.length > maxQuestions) return new Error(`the server asked for more than ${maxQuestions} inputs at once`)
    const answers = await Promise.all(
      questions.map(async ({ name, value }) => {
        const answer = await this.#question(asked, value, out, abort)
        return answer?.at.result ? `${JSON.stringify(name)}:${token(answer, answer.at.result)}` : new Error(unanswered(name, answer))
      }),
    )
    const sizeBytes = answers.reduce((sum, answer) => sum + (answer instanceof Error ? 0 : answer.length), 0)
    if (sizeBytes > maxAnswerBytes) return new Error('the answers to what the server asked are too large together')
    return answers.find((answer) => answer instanceof Error) ?? `{${answers.join(',')}}`
  }

  /** One question as a request to the client, and its answer; undefined when the call was cancelled meanwhile. */
  #question(asked: Frame, span: Span, out: Out, abort: AbortSignal): Promise<Frame | undefined> {
    const id = JSON.stringify(`fairlead-${randomId(9)}`)
    const params = locate(asked.bytes, span, 'params')
    const mode = locate(asked.bytes, params, 'mode')
    const isUrl = mode !== undefined && valueAt(asked, mode) === 'url'
    const head = isUrl ? [`"elicitationId":"${randomId()}"`] : []
    const full = params ? `,"params":{${[...head, ...membersText(asked, params, () => true)].join(',')}}` : ''
    const method = locate(asked.bytes, span, 'method')
    const request = rescan(Buffer.from(`{"jsonrpc":"2.0","id":${id},"method":${method ? token(asked, method) : '""'}${full}}`))
    return new Promise((resolve) => {
      const settle = (frame: Frame | undefined): void => {
        this.#questions.delete(id)
        abort.removeEventListener('abort', onAbort)
        resolve(frame)
      }
      const onAbort = (): void => settle(undefined)
      this.#questions.set(id, { settle })
      abort.addEventListener('abort', onAbort, { once: true })
      if (abort.aborted) return onAbort()
      out.write(request)
    })
  }

  /** One listen stream for all that this client watches, opened anew when that changes. */
  #relisten(): void {
    this.#listening?.abort()
    this.#listening = undefined
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
          id: ownId(),
          method: 'subscriptions/listen',
          params: { _meta: this.#envelope(), notifications },
        }),
      ),
    )
    const out: Sink = {
      write: (frame) => {
        if (frame.kind !== 'notification' || frame.method === 'notifications/subscriptions/acknowledged') return true
        if (frame.method === 'notifications/tools/list_changed') this.#paramHeaders.forget()
        return this.#side.write(frame)
      },
      room: () => this.#side.room(),
    }
    // A stream that the server ended is opened again with the client's next request: it may have been restarted.
    const over = (): void => {
      if (this.#listening === stop) this.#listening = undefined
    }
    this.#leg.request(request, this.#headers('subscriptions/listen'), out, stop.signal).then(over, over)
  }
}

/** How a call fails whose questions were not answered: a tool says so in its result, so that a model can read it. */
function failed(frame: Frame, reason: string): Frame {
  if (frame.method !== 'tools/call') return errorFrame(idToken(frame), code.internalError, reason)
  return resultFrame(idToken(frame), { content: [{ type: 'text', text: reason }], isError: true })
}

function unanswered(key: string, answer: Frame | undefined): string {
  const why = answer ? `: ${errorOf(answer).message}` : ''
  return `the client did not answer what the server asked (${key})${why}`
}
