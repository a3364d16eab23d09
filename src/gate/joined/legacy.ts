// A legacy session with all upstreams: a part of it at each one that is used, and ids of questions and progress tokens that never mix.
import { asFault } from '../../kernel/fault.ts'
import type { Principal } from '../../base/access/principal.ts'
import { type Frame, type Span, idKey, splice, stringAt, token } from '../../base/wire/frame.ts'
import { locate } from '../../base/wire/locate.ts'
import { scan } from '../../base/wire/scan.ts'
import type { Sink } from '../../base/wire/wire.ts'
import { type McpHeaders, type Out, type Outcome, accepted, answered, neverAborted, noHeaders, through } from '../../base/mcp/exchange.ts'
import type { Listing } from '../../base/mcp/listing.ts'
import { errorFrame, idToken, problemFrame, resultFrame, resultOf } from '../../base/mcp/message.ts'
import { code, severityOf } from '../../base/mcp/protocol.ts'
import type { Session } from '../../base/mcp/scopes.ts'
import { ownId } from '../../base/mcp/leg/ask.ts'
import type { OpenedLeg } from '../upstream.ts'
import { Dispatch, type DispatchNeeds, type DispatchSettings, type Reach } from './dispatch.ts'
import type { Parts } from './parts.ts'

type Part = { readonly session: Session; readonly version: string }
/** What a server asked, under an id of ours. */
type Question = { readonly upstream: string; readonly id: string; readonly progressToken: string | undefined }

const maxQuestions = 1_024
const initialized = '{"jsonrpc":"2.0","method":"notifications/initialized"}'
const nobody: Out = { write: () => true, room: () => Promise.resolve() }

export function listChanged({ member }: Pick<Listing, 'member'>): Frame {
  const kind = member === 'resourceTemplates' ? 'resources' : member
  return scan(Buffer.from(`{"jsonrpc":"2.0","method":"notifications/${kind}/list_changed"}`))
}

export class JoinedLeg implements OpenedLeg {
  readonly era = 'legacy' as const
  readonly tellsApart = true
  readonly ended: Promise<string>
  readonly #needs: { readonly parts: Parts; readonly principal: Principal; readonly initialize: Frame; readonly side: Sink }
  readonly #dispatch: Dispatch
  readonly #opened = new Map<string, Promise<Part>>()
  /** Upstreams that have an open request, by the client's id for it. */
  readonly #open = new Map<string, Set<string>>()
  /** Who may tell of progress, by the client's token for it. */
  readonly #progress = new Map<string, Set<string>>()
  readonly #questions = new Map<string, Question>()
  readonly #subscribed = new Map<string, string>()
  #nextQuestion = 1
  #level: Frame | undefined
  #isListening = false
  #end!: (reason: string) => void

  constructor(
    needs: { readonly parts: Parts; readonly principal: Principal; readonly initialize: Frame; readonly side: Sink },
    dispatch: { readonly needs: Omit<DispatchNeeds, 'owed'>; readonly settings: DispatchSettings },
  ) {
    this.#needs = needs
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    const { parts, principal, side } = needs
    const reach: Reach = {
      era: 'legacy',
      principal: principal.name,
      names: () => parts.names(principal),
      mayRead: (upstream, uri) => parts.mayRead(principal, upstream, uri),
      refuse: (frame, reason) => parts.refuse({ frame, era: 'legacy', principal, headers: noHeaders, abort: neverAborted }, reason),
      send: (upstream, frame, headers, out, abort) => this.#request(upstream, frame, headers, out, abort),
      late: (_upstream, listing) => void side.write(listChanged(listing)),
    }
    this.#dispatch = new Dispatch({ ...dispatch.needs, owed: new Set() }, dispatch.settings, reach)
  }

  async request(frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const sent = this.#dispatch.request(frame, headers, out, abort)
    if (sent)
      return frame.method === 'resources/subscribe' || frame.method === 'resources/unsubscribe' ? told(frame, out, await sent) : sent
    if (frame.method === 'ping') out.write(resultFrame(idToken(frame), {}))
    else if (frame.method === 'logging/setLevel') this.#setLevel(frame, out)
    else out.write(errorFrame(idToken(frame), code.methodNotFound, 'Method not found at the endpoint for all upstreams: use /mcp/UPSTREAM'))
    return answered
  }

  async send(frame: Frame, headers: McpHeaders): Promise<Outcome> {
    if (frame.kind !== 'notification') return this.#answer(frame, headers)
    if (frame.method === 'notifications/initialized') return accepted // each part is told when it is opened
    if (frame.method === 'notifications/progress') {
      const span = frame.at.progressToken
      const question = span && this.#questions.get(idKey(frame, span))
      if (!span || !question?.progressToken) return accepted
      return this.#tell(question.upstream, splice(frame, [{ span, with: Buffer.from(question.progressToken) }]), headers)
    }
    const requestId = frame.method === 'notifications/cancelled' ? frame.at.requestId : undefined
    const to = requestId ? (this.#open.get(idKey(frame, requestId)) ?? []) : this.#opened.keys()
    for (const upstream of to) await this.#tell(upstream, frame, headers)
    return accepted
  }

  /** Parts that are opened later are listened to as well; none is opened for this alone. */
  async listen(): Promise<boolean> {
    this.#isListening = true
    for (const opening of this.#opened.values()) opening.then(({ session }) => session.listen()).catch(() => {})
    return true
  }

  async close(): Promise<void> {
    this.#end('closed')
    const opened = [...this.#opened.values()]
    this.#opened.clear()
    await Promise.all(opened.map((opening) => opening.then(({ session }) => session.close('its whole ended')).catch(() => {})))
  }

  #setLevel(frame: Frame, out: Out): void {
    const level = stringAt(frame, locate(frame.bytes, frame.at.params, 'level'))
    if (severityOf(level) < 0)
      return void out.write(errorFrame(idToken(frame), code.invalidParams, 'Invalid params: there is no such level'))
    this.#level = frame
    for (const opening of this.#opened.values()) opening.then((part) => this.#handle(part, frame, noHeaders, nobody)).catch(() => {})
    out.write(resultFrame(idToken(frame), {}))
  }

  async #answer(frame: Frame, headers: McpHeaders): Promise<Outcome> {
    const { id } = frame.at
    const key = id && idKey(frame, id)
    const question = key === undefined ? undefined : this.#questions.get(key)
    if (!id || !question) return accepted
    this.#questions.delete(key!)
    return this.#tell(question.upstream, splice(frame, [{ span: id, with: Buffer.from(question.id) }]), headers)
  }

  /** Who has no part yet, or lost it, was never asked and need not be told. */
  async #tell(upstream: string, frame: Frame, headers: McpHeaders): Promise<Outcome> {
    const part = await this.#opened.get(upstream)?.catch(() => undefined)
    return part ? this.#handle(part, frame, headers, nobody) : accepted
  }

  async #request(upstream: string, frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const { progressToken } = frame.at
    const leave = [
      joining(this.#open, idKey(frame, frame.at.id!), upstream),
      progressToken ? joining(this.#progress, idKey(frame, progressToken), upstream) : () => {},
    ]
    try {
      const outcome = await this.#attempt(upstream, frame, headers, this.#own(upstream, out), abort)
      if (!isPartOver(outcome)) return withoutStatus(outcome)
      // Its part of the session has ended, which is no matter of the whole: it is opened anew.
      this.#opened.delete(upstream)
      return withoutStatus(await this.#attempt(upstream, frame, headers, this.#own(upstream, out), abort))
    } finally {
      for (const go of leave) go()
    }
  }

  async #attempt(upstream: string, frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const opening = this.#part(upstream)
    const part = await opening.catch((error: unknown): Outcome =>
      error instanceof NoPart ? error.outcome : { is: 'notSent', fault: asFault(error) },
    )
    if ('is' in part) return part
    const uri = stringAt(frame, frame.at.uri)
    if (uri === undefined || frame.method === 'resources/read') return this.#handle(part, frame, headers, out, abort)
    const noting = through(out, (incoming) => {
      if (incoming.kind === 'result' && frame.method === 'resources/subscribe') this.#subscribed.set(uri, upstream)
      else if (incoming.kind === 'result') this.#subscribed.delete(uri)
      return out.write(incoming)
    })
    return this.#handle(part, frame, headers, noting, abort)
  }

  #handle({ session, version }: Part, frame: Frame, headers: McpHeaders, out: Out, abort = neverAborted): Promise<Outcome> {
    const known =
      version !== '' && Object.hasOwn(headers, 'mcp-protocol-version') ? { ...headers, 'mcp-protocol-version': version } : headers
    return session.handle({ frame, era: 'legacy', principal: this.#needs.principal, headers: known, abort }, out)
  }

  #part(upstream: string): Promise<Part> {
    const present = this.#opened.get(upstream)
    if (present) return present
    const opening = this.#openPart(upstream)
    this.#opened.set(upstream, opening)
    opening.catch(() => {
      if (this.#opened.get(upstream) === opening) this.#opened.delete(upstream)
    })
    return opening
  }

  async #openPart(upstream: string): Promise<Part> {
    const { parts, principal, initialize } = this.#needs
    const frame = splice(initialize, [{ span: initialize.at.id!, with: Buffer.from(String(ownId())) }])
    let answer: Frame | undefined
    const out: Out = {
      write: (incoming) => {
        answer = incoming
        return true
      },
      room: () => Promise.resolve(),
    }
    const exchange = { frame, era: 'legacy', principal, headers: noHeaders, abort: neverAborted } as const
    const { session, outcome } = await parts.open(upstream, exchange, out, this.#own(upstream, this.#needs.side))
    if (!session) throw new NoPart(withoutStatus(outcome), answer)
    const version = resultOf(answer!)?.['protocolVersion']
    const part = { session, version: typeof version === 'string' ? version : '' }
    await this.#handle(part, scan(Buffer.from(initialized)), { 'mcp-protocol-version': part.version }, nobody)
    if (this.#level) void this.#handle(part, this.#level, { 'mcp-protocol-version': part.version }, nobody).catch(() => {})
    if (this.#isListening) void session.listen().catch(() => {})
    return part
  }

  /** What an upstream says, under ids of ours where it asks; progress and updates only of what it was asked. */
  #own(upstream: string, out: Out): Out {
    return through(out, (frame) => {
      if (frame.kind === 'request') return out.write(this.#asked(upstream, frame))
      const { progressToken, requestId } = frame.at
      if (frame.method === 'notifications/progress')
        return progressToken && this.#progress.get(idKey(frame, progressToken))?.has(upstream) ? out.write(frame) : true
      if (frame.method === 'notifications/resources/updated')
        return this.#subscribed.get(stringAt(frame, frame.at.uri) ?? '') === upstream ? out.write(frame) : true
      if (frame.method === 'notifications/cancelled' && requestId) {
        const own = this.#withdrawn(upstream, frame, requestId)
        return own === undefined || out.write(splice(frame, [{ span: requestId, with: Buffer.from(own) }]))
      }
      return out.write(frame)
    })
  }

  #asked(upstream: string, question: Frame): Frame {
    const { id, progressToken } = question.at
    const own = JSON.stringify(`${upstream}-${this.#nextQuestion++}`)
    this.#questions.set(own, { upstream, id: idKey(question, id!), progressToken: progressToken && token(question, progressToken) })
    if (this.#questions.size > maxQuestions) this.#questions.delete(this.#questions.keys().next().value!)
    const edits = [id!, ...(progressToken ? [progressToken] : [])]
    return splice(
      question,
      edits.map((span) => ({ span, with: Buffer.from(own) })),
    )
  }

  #withdrawn(upstream: string, frame: Frame, requestId: Span): string | undefined {
    const id = idKey(frame, requestId)
    for (const [own, question] of this.#questions) if (question.upstream === upstream && question.id === id) return own
    return undefined
  }
}

/** A part that was not opened, and how that is told. */
class NoPart extends Error {
  readonly outcome: Outcome

  constructor(outcome: Outcome, answer: Frame | undefined) {
    super('the server opened no session')
    const said = answer?.kind === 'error' ? `the server refused initialize: ${answer && textOfError(answer)}` : this.message
    this.outcome = outcome.is === 'answered' ? { is: 'refused', reason: said, code: code.serverError } : outcome
  }
}

function textOfError(answer: Frame): string {
  return stringAt(answer, locate(answer.bytes, answer.at.error, 'message')) ?? 'no message'
}

/** Its server came back with less, or was removed, and may be there again. */
function isPartOver(outcome: Outcome): boolean {
  return (outcome.is === 'refused' && outcome.status === 404) || (outcome.is === 'notSent' && outcome.fault.code === 'gate.removed')
}

/** A status would speak of the whole session. */
function withoutStatus(outcome: Outcome): Outcome {
  if (outcome.is !== 'refused') return outcome
  const { status: _, ...rest } = outcome
  return rest
}

/** An upstream that cannot be subscribed to is no reason not to open the others again. */
function told(frame: Frame, out: Out, outcome: Outcome): Outcome {
  const problem = problemFrame(frame, outcome)
  if (!problem) return outcome
  out.write(problem)
  return answered
}

function joining(table: Map<string, Set<string>>, key: string, upstream: string): () => void {
  const names = table.get(key) ?? new Set()
  table.set(key, names.add(upstream))
  return () => {
    names.delete(upstream)
    if (names.size === 0) table.delete(key)
  }
}
