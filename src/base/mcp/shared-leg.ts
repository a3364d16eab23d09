// One leg used by several clients: ids and progress tokens get names of our own on the way in and their old ones on the way back, so that two clients never mix.
import { type Frame, idKey, splice, stringAt, token } from '../wire/frame.ts'
import { locate } from '../wire/locate.ts'
import type { Sink } from '../wire/wire.ts'
import { type InitializeParams, initialize } from './ask.ts'
import { type Era, type Leg, type McpHeaders, type Out, type Outcome, accepted, answered, noHeaders, through } from './exchange.ts'
import { errorFrame, idToken, resultFrame } from './message.ts'
import { code, meta } from './protocol.ts'

/** Opens the leg that is to be shared; what belongs to no request goes to `side`. */
export type OpenLeg = (side: Sink) => Promise<Leg>

type Ready = { readonly leg: Leg; readonly initialized: Record<string, unknown> | undefined }

export class SharedLeg {
  readonly era: Era
  readonly #openLeg: OpenLeg
  readonly #params: InitializeParams | undefined
  readonly #members = new Set<Member>()
  #ready: Promise<Ready> | undefined
  #nextId = 1

  /** `params` for a legacy server, which is initialized once for all; undefined for a modern one. */
  constructor(openLeg: OpenLeg, params: InitializeParams | undefined) {
    this.era = params ? 'legacy' : 'modern'
    this.#openLeg = openLeg
    this.#params = params
  }

  /** A leg of its own for one client; closing it leaves the shared one to the others. */
  join(side: Sink): Leg {
    const member = new Member(this, side)
    this.#members.add(member)
    return member
  }

  leave(member: Member): void {
    this.#members.delete(member)
  }

  get memberCount(): number {
    return this.#members.size
  }

  newId(): Buffer {
    return Buffer.from(String(this.#nextId++))
  }

  /** The live leg, opened anew when the last one ended. */
  ready(): Promise<Ready> {
    const opening = (this.#ready ??= this.#start())
    opening.catch(() => {
      if (this.#ready === opening) this.#ready = undefined
    })
    return opening
  }

  async close(): Promise<void> {
    const ready = this.#ready
    this.#ready = undefined
    await ready?.then(({ leg }) => leg.close()).catch(() => {})
  }

  async #start(): Promise<Ready> {
    const leg = await this.#openLeg({ write: (frame) => this.#unclaimed(frame), room: () => Promise.resolve() })
    void leg.ended.then(() => {
      this.#ready = undefined
    })
    if (!this.#params) return { leg, initialized: undefined }
    const initialized = await initialize(leg, this.#params)
    await leg.listen()
    return { leg, initialized }
  }

  /** Frames that belong to no request: each reaches only who asked for such. */
  #unclaimed(frame: Frame): boolean {
    if (frame.kind === 'request') {
      const answer =
        frame.method === 'ping'
          ? resultFrame(idToken(frame), {})
          : errorFrame(idToken(frame), code.methodNotFound, 'this connection is shared by several clients')
      void this.#ready?.then(({ leg }) => leg.send(answer, noHeaders))
      return true
    }
    for (const member of this.#members) if (member.wants(frame)) member.side.write(frame)
    return true
  }
}

class Member implements Leg {
  readonly side: Sink
  readonly ended: Promise<string>
  readonly #shared: SharedLeg
  readonly #mapped = new Map<string, Buffer>()
  readonly #watchedUris = new Set<string>()
  #wantsLog = false
  #end!: (reason: string) => void

  constructor(shared: SharedLeg, side: Sink) {
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
    return false
  }

  wants(frame: Frame): boolean {
    if (frame.method === 'notifications/message') return this.#wantsLog
    if (frame.method === 'notifications/resources/updated') return this.#watchedUris.has(stringAt(frame, frame.at.uri) ?? '')
    return frame.method?.endsWith('/list_changed') ?? false
  }

  async request(frame: Frame, headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    const { leg, initialized } = await this.#shared.ready()
    if (initialized) {
      if (frame.method === 'initialize') {
        out.write(resultFrame(idToken(frame), initialized))
        return answered
      }
      if (frame.method === 'logging/setLevel') this.#wantsLog = true
      const uri = stringAt(frame, frame.at.uri)
      if (uri !== undefined && frame.method === 'resources/subscribe') this.#watchedUris.add(uri)
      if (uri !== undefined && frame.method === 'resources/unsubscribe') this.#watchedUris.delete(uri)
    }
    const key = idKey(frame, frame.at.id!)
    if (this.#mapped.has(key)) return { is: 'refused', reason: `the id ${key} is in use by an open request` }
    const own = this.#shared.newId()
    this.#mapped.set(key, own)
    const { id, progressToken } = frame.at
    const edits = [{ span: id!, with: own }]
    if (progressToken) edits.push({ span: progressToken, with: own })
    try {
      return await leg.request(splice(frame, edits), headers, restoring(frame, out), abort)
    } finally {
      this.#mapped.delete(key)
    }
  }

  async send(frame: Frame, headers: McpHeaders): Promise<Outcome> {
    if (frame.method === 'notifications/initialized') return accepted
    const { leg } = await this.#shared.ready()
    if (frame.method !== 'notifications/cancelled' || !frame.at.requestId)
      return frame.kind === 'notification' ? leg.send(frame, headers) : accepted
    const own = this.#mapped.get(idKey(frame, frame.at.requestId))
    return own ? leg.send(splice(frame, [{ span: frame.at.requestId, with: own }]), headers) : accepted
  }

  async listen(): Promise<boolean> {
    return true
  }

  async close(): Promise<void> {
    this.#shared.leave(this)
    this.#end('closed')
  }
}

/** Gives what comes back the client's own id, progress token and subscription id again. */
function restoring(request: Frame, out: Out): Out {
  const id = Buffer.from(idToken(request))
  const progressToken = request.at.progressToken && Buffer.from(token(request, request.at.progressToken))
  return through(out, (frame) => {
    const edits = []
    if (frame.kind === 'result' || frame.kind === 'error') {
      edits.push({ span: frame.at.id!, with: id })
      const inResult = frame.at.resultMeta && locate(frame.bytes, frame.at.resultMeta, meta.subscriptionId)
      if (inResult) edits.push({ span: inResult, with: id })
    } else {
      if (frame.at.progressToken && progressToken) edits.push({ span: frame.at.progressToken, with: progressToken })
      const subscription = frame.at.inMeta?.[meta.subscriptionId]
      if (subscription) edits.push({ span: subscription, with: id })
    }
    return out.write(splice(frame, edits))
  })
}
