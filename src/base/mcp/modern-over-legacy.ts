// The bridge from a modern client to a legacy server: the envelope is taken off, results get what 2026-07-28 requires, and what the server asks its client
// becomes `input_required`. What cannot be bridged is answered honestly (docs/guide/eras.md).
import { hash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { randomId } from '../../kernel/random.ts'
import { type Edit, type Frame, splice, stringAt, token, valueAt } from '../wire/frame.ts'
import { locate } from '../wire/locate.ts'
import { scan } from '../wire/scan.ts'
import type { Sink } from '../wire/wire.ts'
import { ask, askFor } from './ask.ts'
import { type Leg, type McpHeaders, type Out, type Outcome, accepted, answered, cancelled, noHeaders } from './exchange.ts'
import { errorFrame, errorOf, idToken, paramsOf, resultFrame } from './message.ts'
import { code, meta, modernVersions } from './protocol.ts'

/** Methods that 2026-07-28 took away, and that a modern client therefore gets no answer to. */
const removed = new Set(['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'])
const cacheable = new Set(['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list', 'resources/read'])
/** What a server may ask of its client, that `input_required` can carry. */
const askable = new Set(['elicitation/create', 'sampling/createMessage', 'roots/list'])
const levels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']
const envelopeKeys = [meta.protocolVersion, meta.clientCapabilities, meta.clientInfo, meta.logLevel]
const maxParked = 256
const parkedMs = 5 * 60_000

/** A request whose server waits for answers from its client: the upstream request stays open, the client comes back with `requestState`. */
type Parked = {
  readonly digest: string
  readonly questions: Map<string, Frame>
  readonly stop: AbortController
  readonly held: Frame[]
  out: Sink | undefined
  asked: () => void
  readonly outcome: Promise<Outcome>
  state: string | undefined
}

type Listener = { readonly out: Sink; readonly id: string; readonly wanted: Wanted }
type Wanted = { toolsListChanged?: true; promptsListChanged?: true; resourcesListChanged?: true; resourceSubscriptions?: string[] }

export class ModernOverLegacy implements Leg {
  readonly era = 'modern' as const
  readonly tellsApart = true
  readonly ended: Promise<string>
  readonly #leg: Leg
  readonly #clock: Clock
  readonly #parked = new Map<string, Parked>()
  readonly #listeners = new Set<Listener>()
  #openCalls = 0
  #level: string | undefined

  /** `join` gives a legacy leg that answers `initialize` (a member of a shared leg), whose unclaimed frames go to the sink it is handed. */
  constructor(join: (side: Sink) => Leg, clock: Clock) {
    this.#clock = clock
    this.#leg = join({ write: (frame) => this.#publish(frame), room: () => Promise.resolve() })
    this.ended = this.#leg.ended
  }

  async request(frame: Frame, _headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const method = frame.method!
    if (removed.has(method)) {
      out.write(errorFrame(idToken(frame), code.methodNotFound, 'Method not found'))
      return { is: 'answered', status: 404 }
    }
    const server = await askFor(this.#leg, 'initialize', {}, 'fairlead-initialize')
    if (method === 'server/discover') {
      out.write(resultFrame(idToken(frame), discovered(server)))
      return answered
    }
    if (method === 'subscriptions/listen') return this.#listen(frame, out, abort, server)
    const requestState = frame.at.params && paramsOf(frame)['requestState']
    if (typeof requestState === 'string') return this.#resume(frame, requestState, out, abort, server)
    return this.#call(frame, out, abort, server)
  }

  async send(): Promise<Outcome> {
    return accepted
  }

  async listen(): Promise<boolean> {
    return false
  }

  close(): Promise<void> {
    for (const parked of this.#parked.values()) parked.stop.abort()
    return this.#leg.close()
  }

  async #call(frame: Frame, out: Out, abort: AbortSignal, server: Record<string, unknown>): Promise<Outcome> {
    await this.#followLogLevel(frame, server)
    const stop = new AbortController()
    let asked!: () => void
    const isAsked = new Promise<void>((resolve) => (asked = resolve))
    const parked: Parked = {
      digest: digestOf(frame),
      questions: new Map(),
      stop,
      held: [],
      out,
      asked,
      state: undefined,
      outcome: undefined as never,
    }
    this.#openCalls++
    const running = this.#leg.request(bare(frame), noHeaders, this.#during(frame, parked, server), stop.signal).finally(() => {
      this.#openCalls--
      if (parked.state !== undefined) this.#parked.delete(parked.state)
    })
    ;(parked as { outcome: Promise<Outcome> }).outcome = running
    return this.#untilAnsweredOrAsked(frame, parked, isAsked, abort, server)
  }

  /** The client sees either the answer, or what the server asks it; in the second case the upstream request stays open. */
  async #untilAnsweredOrAsked(
    frame: Frame,
    parked: Parked,
    isAsked: Promise<void>,
    abort: AbortSignal,
    server: Record<string, unknown>,
  ): Promise<Outcome> {
    const onAbort = (): void => parked.stop.abort()
    abort.addEventListener('abort', onAbort, { once: true })
    const first = await Promise.race([parked.outcome, isAsked.then(() => undefined)])
    abort.removeEventListener('abort', onAbort)
    if (first) return first
    const { out } = parked
    parked.out = undefined
    if (abort.aborted || !out) return cancelled
    out.write(resultFrame(idToken(frame), this.#questionsOf(parked, server)))
    return answered
  }

  /** Takes what comes while the call runs: answers and notifications go to the client that waits, questions of the server are parked. */
  #during(frame: Frame, parked: Parked, server: Record<string, unknown>): Sink {
    const method = frame.method!
    const level = stringAt(frame, frame.at.inMeta?.[meta.logLevel])
    return {
      write: (incoming) => {
        if (incoming.kind === 'request') {
          this.#question(incoming, parked)
          return true
        }
        let frameOut = incoming
        if (incoming.kind === 'result') frameOut = completed(incoming, method, server)
        else if (incoming.kind === 'error') frameOut = modernError(incoming, frame)
        else if (incoming.method === 'notifications/message' && !isLoudEnough(incoming, level)) return true
        if (parked.out) return parked.out.write(frameOut)
        if (parked.held.length < maxParked) parked.held.push(frameOut)
        return true
      },
      room: () => parked.out?.room() ?? Promise.resolve(),
    }
  }

  #question(question: Frame, parked: Parked): void {
    const isAmbiguous = this.#openCalls > 1 && !this.#leg.tellsApart
    const refuse = !askable.has(question.method!)
      ? 'this client cannot be asked that'
      : isAmbiguous
        ? 'several calls are open, and nothing says which of them asks'
        : undefined
    if (question.method === 'ping') return void this.#leg.send(resultFrame(idToken(question), {}), noHeaders)
    if (refuse !== undefined || this.#parked.size >= maxParked)
      return void this.#leg.send(
        errorFrame(idToken(question), code.methodNotFound, refuse ?? 'too many calls wait for their clients'),
        noHeaders,
      )
    parked.questions.set(randomId(9), question)
    parked.asked()
  }

  #questionsOf(parked: Parked, server: Record<string, unknown>): Record<string, unknown> {
    if (parked.state !== undefined) this.#parked.delete(parked.state)
    const state = randomId(24)
    parked.state = state
    this.#parked.set(state, parked)
    this.#clock.after(parkedMs, () => {
      if (this.#parked.get(state) === parked) parked.stop.abort()
    })
    const inputRequests = Object.fromEntries(
      [...parked.questions].map(([key, question]) => {
        const { elicitationId: _, ...params } = paramsOf(question)
        return [key, { method: question.method, ...(question.at.params ? { params } : {}) }]
      }),
    )
    return { resultType: 'input_required', inputRequests, requestState: state, _meta: { [meta.serverInfo]: server['serverInfo'] } }
  }

  async #resume(frame: Frame, state: string, out: Out, abort: AbortSignal, server: Record<string, unknown>): Promise<Outcome> {
    const parked = this.#parked.get(state)
    if (!parked || parked.out || parked.digest !== digestOf(frame)) {
      out.write(errorFrame(idToken(frame), code.invalidParams, 'Invalid or expired requestState', { reason: 'invalid_request_state' }))
      return answered
    }
    const responses = paramsOf(frame)['inputResponses']
    const given = typeof responses === 'object' && responses !== null ? (responses as Record<string, unknown>) : {}
    let asked!: () => void
    const isAsked = new Promise<void>((resolve) => (asked = resolve))
    parked.asked = asked
    const id = Buffer.from(idToken(frame))
    parked.out = {
      write: (incoming) => out.write(incoming.at.id ? splice(incoming, [{ span: incoming.at.id, with: id }]) : incoming),
      room: () => out.room(),
    }
    for (const held of parked.held.splice(0)) parked.out.write(held)
    for (const [key, question] of parked.questions) {
      if (!Object.hasOwn(given, key)) continue
      parked.questions.delete(key)
      await this.#leg.send(resultFrame(idToken(question), given[key]), noHeaders)
    }
    if (parked.questions.size > 0) asked()
    return this.#untilAnsweredOrAsked(frame, parked, isAsked, abort, server)
  }

  /** A legacy server has one log level for its connection: the lowest that any request asked for; each request still gets only what it asked. */
  async #followLogLevel(frame: Frame, server: Record<string, unknown>): Promise<void> {
    const level = stringAt(frame, frame.at.inMeta?.[meta.logLevel])
    const canLog = (server['capabilities'] as Record<string, unknown> | undefined)?.['logging'] !== undefined
    if (level === undefined || !canLog || (this.#level !== undefined && levels.indexOf(level) >= levels.indexOf(this.#level))) return
    this.#level = level
    await ask(this.#leg, 'logging/setLevel', { level }, `fairlead-${randomId(6)}`)
  }

  async #listen(frame: Frame, out: Out, abort: AbortSignal, server: Record<string, unknown>): Promise<Outcome> {
    const asked = paramsOf(frame)['notifications']
    if (typeof asked !== 'object' || asked === null) {
      out.write(errorFrame(idToken(frame), code.invalidParams, 'Invalid params: notifications must be an object'))
      return answered
    }
    const wanted = honoured(asked as Record<string, unknown>, (server['capabilities'] ?? {}) as Record<string, Record<string, unknown>>)
    const id = idToken(frame)
    const idMeta = `"_meta":{"${meta.subscriptionId}":${id}}`
    out.write(
      scan(
        Buffer.from(
          `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":${JSON.stringify(wanted)},${idMeta}}}`,
        ),
      ),
    )
    if (Object.keys(wanted).length > 0 && !abort.aborted) {
      const listener: Listener = { out, id, wanted }
      this.#listeners.add(listener)
      for (const uri of wanted.resourceSubscriptions ?? []) await ask(this.#leg, 'resources/subscribe', { uri }, `fairlead-${randomId(6)}`)
      await new Promise<void>((resolve) => {
        abort.addEventListener('abort', () => resolve(), { once: true })
        void this.#leg.ended.then(() => resolve())
      })
      this.#listeners.delete(listener)
      await this.#unwatch(wanted.resourceSubscriptions ?? [])
      if (abort.aborted) return cancelled
    }
    out.write(scan(Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete",${idMeta}}}`)))
    return answered
  }

  async #unwatch(uris: readonly string[]): Promise<void> {
    for (const uri of uris) {
      if ([...this.#listeners].some(({ wanted }) => wanted.resourceSubscriptions?.includes(uri))) continue
      await ask(this.#leg, 'resources/unsubscribe', { uri }, `fairlead-${randomId(6)}`).catch(() => {})
    }
  }

  #publish(frame: Frame): boolean {
    for (const { out, id, wanted } of this.#listeners) {
      if (isWanted(frame, wanted)) out.write(withMeta(frame, meta.subscriptionId, id))
    }
    return true
  }
}

function isWanted(frame: Frame, wanted: Wanted): boolean {
  switch (frame.method) {
    case 'notifications/tools/list_changed':
      return wanted.toolsListChanged === true
    case 'notifications/prompts/list_changed':
      return wanted.promptsListChanged === true
    case 'notifications/resources/list_changed':
      return wanted.resourcesListChanged === true
    case 'notifications/resources/updated':
      return wanted.resourceSubscriptions?.includes(stringAt(frame, frame.at.uri) ?? '') ?? false
    default:
      return false
  }
}

function honoured(asked: Record<string, unknown>, capabilities: Record<string, Record<string, unknown>>): Wanted {
  const wanted: Wanted = {}
  for (const kind of ['tools', 'prompts', 'resources'] as const) {
    if (asked[`${kind}ListChanged`] === true && capabilities[kind]?.['listChanged'] === true) wanted[`${kind}ListChanged`] = true
  }
  const uris = asked['resourceSubscriptions']
  if (Array.isArray(uris) && uris.length > 0 && capabilities['resources']?.['subscribe'] === true)
    wanted.resourceSubscriptions = uris.filter((uri) => typeof uri === 'string')
  return wanted
}

function discovered(server: Record<string, unknown>): Record<string, unknown> {
  const { tasks: _, ...capabilities } = (server['capabilities'] ?? {}) as Record<string, unknown>
  return {
    resultType: 'complete',
    supportedVersions: [...modernVersions],
    capabilities,
    ...(typeof server['instructions'] === 'string' ? { instructions: server['instructions'] } : {}),
    ttlMs: 0,
    cacheScope: 'private',
    _meta: { [meta.serverInfo]: server['serverInfo'] },
  }
}

/** The request as a legacy server knows it: without the envelope, and without the members that only answer `input_required`. */
function bare(frame: Frame): Frame {
  if (!frame.at.meta) return frame
  const rest = valueAt(frame, frame.at.meta) as Record<string, unknown>
  for (const key of envelopeKeys) delete rest[key]
  // The shared leg renames the progress token, so its place must stay known: scan what was written.
  return scan(splice(frame, [{ span: frame.at.meta, with: Buffer.from(JSON.stringify(rest)) }]).bytes)
}

/** What makes a retry the same request: its method, what it names, and its arguments to the byte. */
function digestOf(frame: Frame): string {
  const named = frame.at.name ?? frame.at.uri
  return hash(
    'sha256',
    `${frame.method}\n${named ? token(frame, named) : ''}\n${frame.at.arguments ? token(frame, frame.at.arguments) : ''}`,
    'base64url',
  )
}

function completed(frame: Frame, method: string, server: Record<string, unknown>): Frame {
  if (!frame.at.result || frame.bytes[frame.at.result[0]] !== 0x7b) return frame
  const added: Record<string, unknown> = {}
  if (!frame.at.resultType) added['resultType'] = 'complete'
  if (cacheable.has(method) && !locate(frame.bytes, frame.at.result, 'ttlMs')) Object.assign(added, { ttlMs: 0, cacheScope: 'private' })
  if (!frame.at.resultMeta) added['_meta'] = { [meta.serverInfo]: server['serverInfo'] }
  const edits: Edit[] = [insertInto(frame.bytes, frame.at.result[0], JSON.stringify(added).slice(1, -1))]
  if (frame.at.resultMeta)
    edits.push(insertInto(frame.bytes, frame.at.resultMeta[0], `"${meta.serverInfo}":${JSON.stringify(server['serverInfo'])}`))
  return splice(frame, edits)
}

/** An edit that puts members at the start of the object that begins at `at`. */
function insertInto(bytes: Uint8Array, at: number, text: string): Edit {
  let next = at + 1
  while (bytes[next] === 0x20 || bytes[next] === 0x09) next++
  const isEmpty = bytes[next] === 0x7d
  return { span: [at + 1, at + 1], with: Buffer.from(text === '' || isEmpty ? text : `${text},`) }
}

/** A notification with one more member in `params._meta`. */
function withMeta(frame: Frame, name: string, value: string): Frame {
  if (frame.at.meta) return splice(frame, [insertInto(frame.bytes, frame.at.meta[0], `"${name}":${value}`)])
  const whole = `"_meta":{"${name}":${value}}`
  if (frame.at.params) return splice(frame, [insertInto(frame.bytes, frame.at.params[0], whole)])
  return splice(frame, [insertInto(frame.bytes, 0, `"params":{${whole}}`)])
}

function modernError(answer: Frame, request: Frame): Frame {
  const error = errorOf(answer)
  if (error.code !== code.resourceNotFoundLegacy) return answer
  return errorFrame(idToken(answer), code.invalidParams, error.message, { uri: stringAt(request, request.at.uri) })
}

function isLoudEnough(frame: Frame, level: string | undefined): boolean {
  if (level === undefined) return false
  return levels.indexOf(String(paramsOf(frame)['level'])) >= levels.indexOf(level)
}
