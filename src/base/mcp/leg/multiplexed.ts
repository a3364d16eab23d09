// One leg used by several clients: ids and progress tokens get names of our own on the way in and their old ones on the way back, so that two clients never mix.
import { type Frame, idKey, splice, stringAt, token, valueAt } from '../../wire/frame.ts'
import { locate } from '../../wire/locate.ts'
import type { Sink } from '../../wire/wire.ts'
import { type InitializeParams, ask, askFor, initialize, ownClientInfo } from './ask.ts'
import { beforeSending } from './before-sending.ts'
import { type Era, type Leg, type McpHeaders, type Out, type Outcome, accepted, answered, noHeaders } from '../exchange.ts'
import { cancelFrame, errorFrame, idToken, resultFrame } from '../message.ts'
import { ParamHeaders, refused } from '../param-headers.ts'
import { code, logLevels, meta, modernVersion, severityOf } from '../protocol.ts'
import { idInUse } from './wire.ts'

/** Opens the leg that is to be shared; what belongs to no request goes to `side`. */
export type OpenLeg = (side: Sink) => Promise<Leg>

/** Where a member's frames go that belong to no request. `lost`: the server ended; it is opened again with the next request, as it was. */
export type MemberSide = Sink & { readonly lost?: () => void }

/** Questions that one client has not answered; the oldest are forgotten. */
const maxAsked = 1_024

type Ready = { readonly leg: Leg; readonly initialized: Record<string, unknown> | undefined }

export class SharedLeg {
  readonly era: Era
  readonly #openLeg: OpenLeg
  readonly #params: InitializeParams | undefined
  readonly #members = new Set<Member>()
  #ready: Promise<Ready> | undefined
  #nextId = 1
  /** True when the open leg says itself which request a frame goes with: then one slow reader holds up nobody else. */
  tellsApart = false
  /** What the server was told last; −1 before. */
  severity = -1
  readonly paramHeaders = new ParamHeaders(async (cursor) => {
    const _meta = { [meta.protocolVersion]: modernVersion, [meta.clientCapabilities]: {}, [meta.clientInfo]: ownClientInfo }
    return askFor((await this.ready()).leg, 'tools/list', { _meta, ...(cursor === undefined ? {} : { cursor }) })
  })

  /** `params` for a legacy server, which is initialized once for all; undefined for a modern one. */
  constructor(openLeg: OpenLeg, params: InitializeParams | undefined) {
    this.era = params ? 'legacy' : 'modern'
    this.#openLeg = openLeg
    this.#params = params
  }

  /** A leg of its own for one client; closing it leaves the shared one to the others. */
  join(side: MemberSide): Leg {
    const member = new Member(this, side)
    this.#members.add(member)
    return member
  }

  /** Lets a member go, and tells the server what nobody needs any more. */
  async leave(member: Member): Promise<void> {
    if (!this.#members.delete(member)) return
    const { leg } = (await this.#ready?.catch(() => undefined)) ?? {}
    if (!leg) return
    for (const own of member.openIds()) await leg.send(cancelFrame(own), noHeaders)
    for (const uri of member.uris) {
      if (!this.isWatched(uri)) await ask(leg, 'resources/unsubscribe', { uri }).catch(() => {})
    }
  }

  get memberCount(): number {
    return this.#members.size
  }

  newId(): string {
    return `${this.#nextId++}`
  }

  isWatched(uri: string, except?: Member): boolean {
    return [...this.#members].some((member) => member !== except && member.uris.has(uri))
  }

  /** The least severe level that a member asked for, so that each can get what it wants; −1 when nobody asked. */
  wantedSeverity(except?: Member): number {
    const asked = [...this.#members].filter((member) => member !== except && member.severity >= 0)
    return asked.length === 0 ? -1 : Math.min(...asked.map((member) => member.severity))
  }

  /** The live leg, opened anew when the last one ended. */
  ready(): Promise<Ready> {
    if (this.#ready) return this.#ready
    const opening = this.#start()
    this.#ready = opening
    const forget = (): void => {
      if (this.#ready === opening) this.#ready = undefined
    }
    opening.then(
      ({ leg }) =>
        leg.ended.then(() => {
          forget()
          for (const member of this.#members) member.side.lost?.()
        }),
      forget,
    )
    return opening
  }

  async close(): Promise<void> {
    const ready = this.#ready
    this.#ready = undefined
    await ready?.then(({ leg }) => leg.close()).catch(() => {})
  }

  /** Opens the server as its members know it: with their log level and subscriptions. */
  async #start(): Promise<Ready> {
    const leg = await this.#openLeg({ write: (frame) => this.#unclaimed(frame), room: () => Promise.resolve() })
    this.tellsApart = leg.tellsApart
    if (!this.#params) return { leg, initialized: undefined }
    try {
      const initialized = await initialize(leg, this.#params)
      await leg.listen()
      this.severity = this.wantedSeverity()
      if (this.severity >= 0) await ask(leg, 'logging/setLevel', { level: logLevels[this.severity] })
      for (const uri of new Set([...this.#members].flatMap((member) => [...member.uris]))) await ask(leg, 'resources/subscribe', { uri })
      return { leg, initialized }
    } catch (error) {
      await leg.close()
      throw error
    }
  }

  /** Frames that belong to no request: each reaches only who asked for such. */
  #unclaimed(frame: Frame): boolean {
    if (frame.kind === 'request') {
      const answer =
        frame.method === 'ping'
          ? resultFrame(idToken(frame), {})
          : errorFrame(idToken(frame), code.methodNotFound, 'several calls are open, and nothing says which of them asks')
      void this.#ready?.then(({ leg }) => leg.send(answer, noHeaders)).catch(() => {})
      return true
    }
    for (const member of this.#members) if (member.wants(frame)) member.side.write(frame)
    return true
  }
}

class Member implements Leg {
  readonly side: MemberSide
  readonly ended: Promise<string>
  readonly uris = new Set<string>()
  severity = -1
  readonly #shared: SharedLeg
  /** Our ids by the client's, while open. Modern clients cancel by hanging up, and several of them use one member with the same ids. */
  readonly #mapped = new Map<string, string>()
  /** Requests of the server that this member was asked, and has not answered. */
  readonly #asked = new Set<string>()
  #end!: (reason: string) => void

  constructor(shared: SharedLeg, side: MemberSide) {
    this.#shared = shared
    this.side = side
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  get era(): Era {
    return this.#shared.era
  }

  get tellsApart(): boolean {
    return this.#shared.tellsApart
  }

  openIds(): Iterable<string> {
    return this.#mapped.values()
  }

  wants(frame: Frame): boolean {
    if (frame.method === 'notifications/message') return this.severity >= 0 && severityIn(frame) >= this.severity
    if (frame.method === 'notifications/resources/updated') return this.uris.has(stringAt(frame, frame.at.uri) ?? '')
    return frame.method?.endsWith('/list_changed') ?? false
  }

  async request(frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const ready = await beforeSending(this.#shared.ready())
    if (ready.initialized) {
      if (frame.method === 'initialize') {
        out.write(resultFrame(idToken(frame), ready.initialized))
        return answered
      }
      if (frame.method === 'logging/setLevel') return this.#setLevel(frame, out, abort)
      if (frame.method === 'resources/subscribe' || frame.method === 'resources/unsubscribe') return this.#watch(frame, out, abort)
    }
    // A pipe carries no headers, so that the server behind it cannot compare them with its schemas.
    if (this.era === 'modern' && !this.tellsApart && Object.hasOwn(headers, 'mcp-method')) {
      const problem = await beforeSending(this.#shared.paramHeaders.problem(frame, headers))
      if (problem) return refused(frame, problem, out)
      if (frame.method === 'tools/list') this.#shared.paramHeaders.forget()
    }
    return this.#forward(frame, headers, out, abort)
  }

  async #forward(frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const key = idKey(frame, frame.at.id!)
    const isMapped = this.era === 'legacy'
    if (isMapped && this.#mapped.has(key)) return idInUse(key)
    const own = this.#shared.newId()
    if (isMapped) this.#mapped.set(key, own)
    const { id, progressToken } = frame.at
    const edits = [{ span: id!, with: Buffer.from(own) }]
    if (progressToken) edits.push({ span: progressToken, with: Buffer.from(own) })
    const renamed = splice(frame, edits)
    const restoring = this.#restoring(frame, out)
    try {
      const ready = (): Promise<Ready> => beforeSending(this.#shared.ready())
      const outcome = await (await ready()).leg.request(renamed, headers, restoring, abort)
      // It ended before it got the message: it is opened anew, and asked once more.
      return outcome.is === 'notSent' ? await (await ready()).leg.request(renamed, headers, restoring, abort) : outcome
    } finally {
      if (isMapped) this.#mapped.delete(key)
    }
  }

  async send(frame: Frame, headers: McpHeaders): Promise<Outcome> {
    if (frame.method === 'notifications/initialized') return accepted
    if (frame.kind === 'result' || frame.kind === 'error') {
      if (!frame.at.id || !this.#asked.delete(idKey(frame, frame.at.id))) return accepted
      return (await this.#shared.ready()).leg.send(frame, headers)
    }
    const { leg } = await this.#shared.ready()
    if (frame.method !== 'notifications/cancelled' || !frame.at.requestId) return leg.send(frame, headers)
    const own = this.#mapped.get(idKey(frame, frame.at.requestId))
    return own === undefined ? accepted : leg.send(splice(frame, [{ span: frame.at.requestId, with: Buffer.from(own) }]), headers)
  }

  async listen(): Promise<boolean> {
    return true
  }

  async close(): Promise<void> {
    await this.#shared.leave(this)
    this.#end('closed')
  }

  /** The server has one log level for all: the least severe that anybody wants. Each member hears only from its own level on. */
  async #setLevel(frame: Frame, out: Out, abort: AbortSignal): Promise<Outcome> {
    const span = locate(frame.bytes, frame.at.params, 'level')
    const wanted = severityOf(stringAt(frame, span))
    if (!span || wanted < 0) return this.#forward(frame, noHeaders, out, abort)
    const others = this.#shared.wantedSeverity(this)
    const severity = others < 0 ? wanted : Math.min(wanted, others)
    if (severity === this.#shared.severity) {
      this.severity = wanted
      out.write(resultFrame(idToken(frame), {}))
      return answered
    }
    const level = splice(frame, [{ span, with: Buffer.from(`"${logLevels[severity]}"`) }])
    return this.#forward(
      level,
      noHeaders,
      onResult(out, () => {
        this.severity = wanted
        this.#shared.severity = severity
      }),
      abort,
    )
  }

  /** A subscription ends at the server when its last watcher leaves. */
  async #watch(frame: Frame, out: Out, abort: AbortSignal): Promise<Outcome> {
    const uri = stringAt(frame, frame.at.uri)
    if (uri === undefined) return this.#forward(frame, noHeaders, out, abort)
    if (frame.method === 'resources/subscribe')
      return this.#forward(
        frame,
        noHeaders,
        onResult(out, () => this.uris.add(uri)),
        abort,
      )
    this.uris.delete(uri)
    if (!this.#shared.isWatched(uri)) return this.#forward(frame, noHeaders, out, abort)
    out.write(resultFrame(idToken(frame), {}))
    return answered
  }

  /** Gives what comes back the client's own id, progress token and subscription id again. */
  #restoring(request: Frame, out: Out): Out {
    const id = Buffer.from(idToken(request))
    const progressToken = request.at.progressToken && Buffer.from(token(request, request.at.progressToken))
    const write = (frame: Frame): boolean => {
      if (frame.kind === 'request') this.#asks(frame)
      else if (frame.method === 'notifications/message' && !this.#hears(frame)) return true
      const hasRoom = out.write(splice(frame, restoredParts(frame, id, progressToken)))
      // A pipe for all waits for nobody: the door cuts whoever falls too far behind.
      return hasRoom || !this.tellsApart
    }
    return { write, room: () => out.room(), ...(out.streaming ? { streaming: out.streaming } : {}) }
  }

  #asks(question: Frame): void {
    this.#asked.add(idKey(question, question.at.id!))
    if (this.#asked.size > maxAsked) this.#asked.delete(this.#asked.values().next().value!)
  }

  #hears(frame: Frame): boolean {
    if (this.era === 'modern') return true
    return this.severity < 0 ? this.#shared.severity < 0 : severityIn(frame) >= this.severity
  }
}

function restoredParts(frame: Frame, id: Buffer, progressToken: Buffer | undefined): { span: readonly [number, number]; with: Buffer }[] {
  const edits = []
  if (frame.kind === 'result' || frame.kind === 'error') {
    if (frame.at.id) edits.push({ span: frame.at.id, with: id })
    const inResult = frame.at.resultMeta && locate(frame.bytes, frame.at.resultMeta, meta.subscriptionId)
    if (inResult) edits.push({ span: inResult, with: id })
  } else if (frame.kind === 'notification') {
    if (frame.at.progressToken && progressToken) edits.push({ span: frame.at.progressToken, with: progressToken })
    const subscription = frame.at.inMeta?.[meta.subscriptionId]
    if (subscription) edits.push({ span: subscription, with: id })
  }
  return edits
}

function onResult(out: Out, act: () => void): Out {
  return {
    write(frame) {
      if (frame.kind === 'result') act()
      return out.write(frame)
    },
    room: () => out.room(),
  }
}

function severityIn(frame: Frame): number {
  const span = locate(frame.bytes, frame.at.params, 'level')
  return span ? severityOf(valueAt(frame, span)) : -1
}
