// The bridge from a modern client to a legacy server: the envelope is taken off, results get what 2026-07-28 requires, and what the server asks its client
// becomes `input_required`. What cannot be bridged is answered honestly (docs/guide/eras.md).
import { hash } from 'node:crypto'
import type { Clock } from '../../../kernel/clock.ts'
import { randomId } from '../../../kernel/random.ts'
import { type Frame, idKey, splice, stringAt, token } from '../../wire/frame.ts'
import { locate } from '../../wire/locate.ts'
import { rescan, scan } from '../../wire/scan.ts'
import type { Sink } from '../../wire/wire.ts'
import { UpstreamRefusal, askFor } from '../leg/ask.ts'
import { beforeSending } from '../leg/before-sending.ts'
import { readdressed, withMeta, withoutEnvelope } from '../envelope.ts'
import { type Leg, type McpHeaders, type Out, type Outcome, accepted, answered, cancelled, noHeaders } from '../exchange.ts'
import { errorFrame, idToken, paramsOf, resultFrame } from '../message.ts'
import {
  type Capabilities,
  type Server,
  type Wanted,
  capabilitiesIn,
  completed,
  discovered,
  honoured,
  inputRequest,
  isWanted,
  mayBeAsked,
  modernError,
  sameness,
  serverMeta,
} from './modern-shapes.ts'
import { capabilitiesOf } from '../modern.ts'
import { ParamHeaders, refused } from '../param-headers.ts'
import { code, meta, severityOf } from '../protocol.ts'
import type { MemberSide } from '../leg/multiplexed.ts'

/** Methods that 2026-07-28 took away, and that a modern client therefore gets no answer to. */
const removed = new Set(['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'])
const maxParked = 256
const parkedMs = 5 * 60_000
/** What one call may ask its client before that has answered: questions, and their bytes together. */
const maxQuestions = 64
const maxQuestionBytes = 4 << 20
/** How long to wait for a second question after the first: a server that asks several things asks them at once. */
const gatherMs = 10

/** One request at the server. When the server asks its client something, it stays open, and the client comes back to it with `requestState`. */
type Call = {
  readonly digest: string
  readonly stop: AbortController
  readonly questions: Map<string, Frame>
  questionBytes: number
  /** Resolves when there is a question; begun anew when all are answered. */
  asked: PromiseWithResolvers<void>
  /** The client that waits now, if one does. */
  waiting: { readonly out: Out; readonly id: string; readonly progressToken: string | undefined } | undefined
  answer: Frame | undefined
  outcome: Promise<Outcome>
  state: string | undefined
  forget: () => void
}

type Listener = { readonly out: Sink; readonly id: string; readonly wanted: Wanted; readonly end: () => void }

export class ModernOverLegacy implements Leg {
  readonly era = 'modern' as const
  readonly tellsApart = true
  readonly ended: Promise<string>
  readonly #leg: Leg
  readonly #clock: Clock
  readonly #parked = new Map<string, Call>()
  readonly #listeners = new Set<Listener>()
  readonly #paramHeaders: ParamHeaders
  #nextId = 1
  #severity = -1

  /** `join` gives a legacy leg that answers `initialize` (a member of a shared leg), whose unclaimed frames go to the side it is handed. */
  constructor(join: (side: MemberSide) => Leg, clock: Clock) {
    this.#clock = clock
    this.#leg = join({
      write: (frame) => this.#publish(frame),
      room: () => Promise.resolve(),
      lost: () => this.#endListeners(),
    })
    this.ended = this.#leg.ended
    this.#paramHeaders = new ParamHeaders((cursor) => askFor(this.#leg, 'tools/list', cursor === undefined ? {} : { cursor }))
  }

  async request(frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal, caller = ''): Promise<Outcome> {
    const method = frame.method!
    if (removed.has(method)) {
      out.write(errorFrame(idToken(frame), code.methodNotFound, 'Method not found'))
      return { is: 'answered', status: 404 }
    }
    const server = await beforeSending(this.#server(frame, out))
    if (!server) return answered
    if (method === 'server/discover') {
      out.write(resultFrame(idToken(frame), discovered(server)))
      return answered
    }
    if (method === 'subscriptions/listen') return this.#listen(frame, out, abort, server)
    const problem = Object.hasOwn(headers, 'mcp-method') ? await beforeSending(this.#paramHeaders.problem(frame, headers)) : undefined
    if (problem) return refused(frame, problem, out)
    if (method === 'tools/list') this.#paramHeaders.forget()
    const state = stringAt(frame, frame.at.requestState)
    if (state !== undefined) return this.#resume(frame, state, out, abort, server, caller)
    await this.#followLogLevel(frame, server)
    return this.#attend(this.#begin(frame, server, caller), frame, out, abort, server)
  }

  async send(): Promise<Outcome> {
    return accepted
  }

  async listen(): Promise<boolean> {
    return false
  }

  close(): Promise<void> {
    for (const call of this.#parked.values()) call.stop.abort()
    this.#endListeners()
    return this.#leg.close()
  }

  /** What the server said to `initialize`; undefined when it refused, and the client was told so. */
  async #server(frame: Frame, out: Out): Promise<Server | undefined> {
    try {
      return await askFor(this.#leg, 'initialize', {})
    } catch (error) {
      if (!(error instanceof UpstreamRefusal)) throw error
      out.write(errorFrame(idToken(frame), error.error.code, error.error.message, error.error.data))
      return undefined
    }
  }

  #begin(frame: Frame, server: Server, caller: string): Call {
    const call: Call = {
      digest: digestOf(frame, caller),
      stop: new AbortController(),
      questions: new Map(),
      questionBytes: 0,
      asked: Promise.withResolvers(),
      waiting: undefined,
      answer: undefined,
      outcome: Promise.resolve(cancelled),
      state: undefined,
      forget: () => {},
    }
    const id = Buffer.from(`${this.#nextId++}`) // two clients may have the same
    const bare = withoutEnvelope(frame)
    const request = splice(bare, [{ span: bare.at.id!, with: id }])
    call.outcome = this.#leg.request(request, noHeaders, this.#during(call, frame, server), call.stop.signal)
    call.outcome.catch(() => {}) // whoever attends hears of it
    return call
  }

  /** Takes what comes while the call runs: notifications go to the client that waits, questions and the answer are kept for it. */
  #during(call: Call, frame: Frame, server: Server): Sink {
    const level = severityOf(stringAt(frame, frame.at.inMeta?.[meta.logLevel]))
    const capabilities = capabilitiesOf(frame) as Capabilities
    return {
      write: (incoming) => {
        if (incoming.kind === 'result') call.answer = completed(incoming, frame.method!, server)
        else if (incoming.kind === 'error') call.answer = modernError(incoming, frame)
        else if (incoming.kind === 'request') this.#question(incoming, call, capabilities)
        else if (incoming.method === 'notifications/cancelled') withdraw(incoming, call)
        else if (incoming.method !== 'notifications/message' || isLoudEnough(incoming, level)) return tell(incoming, call)
        return true
      },
      room: () => call.waiting?.out.room() ?? Promise.resolve(),
    }
  }

  #question(question: Frame, call: Call, capabilities: Capabilities): void {
    const id = idToken(question)
    const refusal =
      this.#parked.size >= maxParked
        ? 'too many calls wait for their clients'
        : call.questions.size >= maxQuestions || call.questionBytes + question.bytes.length > maxQuestionBytes
          ? 'its client has too much to answer already'
          : mayBeAsked(question, capabilities)
            ? undefined
            : 'this client cannot be asked that'
    if (question.method === 'ping') this.#tell(resultFrame(id, {}))
    else if (refusal !== undefined) this.#tell(errorFrame(id, code.methodNotFound, refusal))
    else {
      call.questions.set(randomId(9), question)
      call.questionBytes += question.bytes.length
      call.asked.resolve()
    }
  }

  /** Not waited for: a leg whose server does not take its answers stops reading it. A server that is gone needs none. */
  #tell(answer: Frame): void {
    this.#leg.send(answer, noHeaders).catch(() => {})
  }

  /** The client sees either the answer, or what the server asks it; in the second case the call waits for its return. */
  async #attend(call: Call, frame: Frame, out: Out, abort: AbortSignal, server: Server): Promise<Outcome> {
    const { progressToken } = frame.at
    call.waiting = { out, id: idToken(frame), progressToken: progressToken && token(frame, progressToken) }
    const onAbort = (): void => call.stop.abort()
    abort.addEventListener('abort', onAbort, { once: true })
    if (abort.aborted) onAbort()
    try {
      const gathered = call.asked.promise.then(() => this.#clock.wait(gatherMs))
      const outcome = await Promise.race([call.outcome, gathered.then(() => undefined)])
      if (outcome || abort.aborted) {
        this.#forget(call)
        if (call.answer && !abort.aborted) out.write(readdressed(call.answer, idToken(frame), undefined)!)
        return outcome ?? cancelled
      }
      out.write(this.#park(call, idToken(frame), server))
      return answered
    } catch (error) {
      this.#forget(call)
      throw error
    } finally {
      abort.removeEventListener('abort', onAbort)
      call.waiting = undefined
    }
  }

  #park(call: Call, id: string, server: Server): Frame {
    this.#forget(call)
    const state = randomId(24)
    call.state = state
    this.#parked.set(state, call)
    call.forget = this.#clock.after(parkedMs, () => {
      this.#forget(call)
      call.stop.abort()
    })
    const inputRequests = [...call.questions].map(([key, question]) => `"${key}":${inputRequest(question)}`).join(',')
    const result = {
      resultType: 'input_required',
      requestState: state,
      ...serverMeta(server),
    }
    return rescan(
      Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(result).slice(0, -1)},"inputRequests":{${inputRequests}}}}`),
    )
  }

  #forget(call: Call): void {
    if (call.state !== undefined) this.#parked.delete(call.state)
    call.forget()
  }

  async #resume(frame: Frame, state: string, out: Out, abort: AbortSignal, server: Server, caller: string): Promise<Outcome> {
    const call = this.#parked.get(state)
    if (!call || call.waiting || call.digest !== digestOf(frame, caller)) {
      out.write(errorFrame(idToken(frame), code.invalidParams, 'Invalid or expired requestState', { reason: 'invalid_request_state' }))
      return answered
    }
    const responses = locate(frame.bytes, frame.at.params, 'inputResponses')
    for (const [key, question] of call.questions) {
      const given = locate(frame.bytes, responses, key)
      if (!given) continue
      settle(call, key)
      const answer = `{"jsonrpc":"2.0","id":${idToken(question)},"result":${token(frame, given)}}`
      this.#tell(rescan(Buffer.from(answer)))
    }
    if (call.questions.size === 0) call.asked = Promise.withResolvers()
    return this.#attend(call, frame, out, abort, server)
  }

  /** A legacy server has one log level for its connection: the least severe that any request asked for; each request still gets only what it asked. */
  async #followLogLevel(frame: Frame, server: Server): Promise<void> {
    const level = stringAt(frame, frame.at.inMeta?.[meta.logLevel])
    const severity = severityOf(level)
    if (severity < 0 || !capabilitiesIn(server)['logging'] || (this.#severity >= 0 && severity >= this.#severity)) return
    this.#severity = severity
    await askFor(this.#leg, 'logging/setLevel', { level }).catch(() => {})
  }

  async #listen(frame: Frame, out: Out, abort: AbortSignal, server: Server): Promise<Outcome> {
    const asked = paramsOf(frame)['notifications']
    if (typeof asked !== 'object' || asked === null) {
      out.write(errorFrame(idToken(frame), code.invalidParams, 'Invalid params: notifications must be an object'))
      return answered
    }
    const wanted = honoured(asked as Record<string, unknown>, capabilitiesIn(server))
    const uris = await this.#watch(wanted.resourceSubscriptions ?? [])
    if (uris.length > 0) wanted.resourceSubscriptions = uris
    else delete wanted.resourceSubscriptions
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
      const end = Promise.withResolvers<void>()
      const listener: Listener = { out, id, wanted, end: () => end.resolve() }
      this.#listeners.add(listener)
      abort.addEventListener('abort', listener.end, { once: true })
      await end.promise
      this.#listeners.delete(listener)
      await this.#unwatch(uris)
    }
    if (abort.aborted) return cancelled
    out.write(scan(Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete",${idMeta}}}`)))
    return answered
  }

  /** Subscribes, and says to which the server agreed. */
  async #watch(uris: readonly string[]): Promise<string[]> {
    const agreed: string[] = []
    for (const uri of uris) {
      const subscribed = askFor(this.#leg, 'resources/subscribe', { uri })
      if (
        await subscribed.then(
          () => true,
          () => false,
        )
      )
        agreed.push(uri)
    }
    return agreed
  }

  async #unwatch(uris: readonly string[]): Promise<void> {
    for (const uri of uris) {
      if ([...this.#listeners].some(({ wanted }) => wanted.resourceSubscriptions?.includes(uri))) continue
      await askFor(this.#leg, 'resources/unsubscribe', { uri }).catch(() => {})
    }
  }

  #publish(frame: Frame): boolean {
    for (const { out, id, wanted } of this.#listeners) if (isWanted(frame, wanted)) out.write(withMeta(frame, meta.subscriptionId, id))
    return true
  }

  /** The server is gone and its subscriptions with it: whoever listens is told, and may listen anew. */
  #endListeners(): void {
    for (const { end } of this.#listeners) end()
  }
}

function tell(frame: Frame, { waiting }: Call): boolean {
  const forClient = waiting && readdressed(frame, waiting.id, waiting.progressToken)
  return !forClient || waiting.out.write(forClient)
}

/** What a call that waits for its client is known by when that comes back: who asked, and what. */
function digestOf(frame: Frame, caller: string): string {
  return hash('sha256', `${caller}\n${sameness(frame)}`, 'base64url')
}

function settle(call: Call, key: string): void {
  call.questionBytes -= call.questions.get(key)!.bytes.length
  call.questions.delete(key)
}

/** The server takes a question back. */
function withdraw(frame: Frame, call: Call): void {
  const { requestId } = frame.at
  if (!requestId) return
  for (const [key, question] of call.questions) if (idKey(question, question.at.id!) === idKey(frame, requestId)) settle(call, key)
  if (call.questions.size === 0) call.asked = Promise.withResolvers()
}

function isLoudEnough(frame: Frame, severity: number): boolean {
  return severity >= 0 && severityOf(paramsOf(frame)['level']) >= severity
}
