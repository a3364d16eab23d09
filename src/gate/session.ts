// One legacy session of a client: a record that outlives the gate's process and the server's, and the leg that serves it while it is awake.
import type { Clock } from '../kernel/clock.ts'
import type { Principal } from '../base/access/principal.ts'
import { Unsent, beforeSending } from '../base/mcp/leg/before-sending.ts'
import { ask, ownId } from '../base/mcp/leg/ask.ts'
import {
  type Exchange,
  type Handler,
  type Leg,
  type Out,
  type Outcome,
  accepted,
  cancelled,
  noHeaders,
  through,
} from '../base/mcp/exchange.ts'
import { paramsOf, resultOf } from '../base/mcp/message.ts'
import { severityOf } from '../base/mcp/protocol.ts'
import type { Session } from '../base/mcp/scopes.ts'
import { type Frame, asBuffer, idKey, splice, stringAt } from '../base/wire/frame.ts'
import { scan } from '../base/wire/scan.ts'
import type { Sink } from '../base/wire/wire.ts'
import { fault } from './faults.ts'
import type { OpenedLeg, Served } from './upstream.ts'

/** What a session is without a process: enough to open its server again as the client had it. */
export type SessionRecord = {
  readonly principal: string
  readonly upstream: string
  /** The client's own `initialize`, as it came. */
  readonly initialize: string
  /** What the server offered then: it may come back with more, never with less. */
  readonly capabilities: unknown
  readonly level?: string
  readonly uris: readonly string[]
  /** The server's session id (HTTP). */
  readonly upstreamSession?: string
}

/** A record in bytes of JSON: what kv takes, less what comes with it. */
export const maxRecordBytes = 60_000

export function recordBytes(record: SessionRecord): number {
  return Buffer.byteLength(JSON.stringify(record))
}

export type SessionNeeds = {
  readonly upstream: Served
  readonly side: Sink
  readonly layer: (core: Handler) => Handler
  readonly clock: Clock
  /** Called when the record changed; one that cannot be kept now is kept later. Neither this nor `forget` rejects. */
  readonly save: (session: McpSession) => Promise<void>
  readonly forget: (session: McpSession, reason: string) => Promise<void>
}

export class McpSession implements Session {
  readonly id: string
  readonly principal: Principal
  readonly handle: Handler
  readonly #needs: SessionNeeds
  record: SessionRecord
  #leg: Promise<OpenedLeg> | undefined
  /** The last one that has opened. */
  #ready: Promise<OpenedLeg> | undefined
  /** Subscribed to, and not answered yet. */
  readonly #asked = new Set<string>()
  #isListening = false
  #open = 0
  #idle = (): void => {}
  /** Requests wait for it while the session changes its server. */
  #changing: Promise<void> | undefined
  /** Requests that have not been handed to the server yet, by the key of their id. */
  readonly #waiting = new Map<string, 'waits' | 'cancelled'>()
  usedAtMs: number

  constructor(needs: SessionNeeds, id: string, principal: Principal, record: SessionRecord, leg: OpenedLeg | undefined) {
    this.#needs = needs
    this.id = id
    this.principal = principal
    this.record = record
    this.usedAtMs = needs.clock.mono()
    if (leg) this.#leg = this.#adopt(leg)
    const layered = needs.layer((exchange, out) => this.#forward(exchange, out))
    const session = { id, capabilities: capabilitiesIn(record.initialize) }
    this.handle = (exchange, out) => this.#held(exchange.frame, () => layered({ ...exchange, session }, out))
  }

  /**
   * What waits in a layer (for a look at the server's tools, for a person's yes) has not reached the server, so a cancellation must not either: it would come before what it
   * cancels, which would then run.
   */
  async #held(frame: Frame, handle: () => Promise<Outcome>): Promise<Outcome> {
    const { id, requestId } = frame.at
    if (frame.method === 'notifications/cancelled' && requestId) {
      const key = idKey(frame, requestId)
      if (this.#waiting.has(key)) this.#waiting.set(key, 'cancelled')
      return handle() // a layer may wait for somebody who is to be told, too
    }
    if (frame.kind !== 'request' || !id) return handle()
    const key = idKey(frame, id)
    if (this.#waiting.has(key)) return handle() // the server tells that the id is in use
    this.#waiting.set(key, 'waits')
    try {
      return await handle()
    } finally {
      this.#waiting.delete(key)
    }
  }

  get isBusy(): boolean {
    return this.#open > 0
  }

  get isAsleep(): boolean {
    return this.#leg === undefined
  }

  /** Opens the server again for a client that only listens, and so would never ask for it. */
  async wake(): Promise<void> {
    await this.#live()
  }

  async listen(): Promise<boolean> {
    this.#isListening = true
    this.usedAtMs = this.#needs.clock.mono()
    return (await this.#live()).listen()
  }

  /** True when a process runs for this session alone. */
  get holdsChild(): boolean {
    const { transport, settings } = this.#needs.upstream
    return this.#leg !== undefined && this.#leg === this.#ready && transport.isCostly && settings.isolation === 'session'
  }

  get idleMs(): number {
    return this.#needs.upstream.settings.idleMs
  }

  /** Stops the server's process, or lets its HTTP session be; the next message goes on. */
  async sleep(keepsSession = true): Promise<void> {
    const leg = this.#leg
    this.#leg = undefined
    await leg?.then((opened) => opened.close(keepsSession)).catch(() => {})
  }

  /** Leaves its server for the one that is configured now: what runs may end, at most for `graceMs`, and what comes meanwhile goes to the next one. */
  async change(graceMs: number): Promise<void> {
    while (this.#changing) await this.#changing // one that changes twice in a row
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#changing = promise
    try {
      await this.#ending(graceMs)
      const { upstreamSession: _, ...record } = this.record
      this.record = record
      await this.sleep(false)
      await this.#needs.save(this)
    } finally {
      this.#changing = undefined
      resolve()
    }
  }

  /** Ends when what runs has ended, at most after `graceMs`. */
  async end(reason: string, graceMs: number): Promise<void> {
    await this.#ending(graceMs)
    await this.close(reason)
  }

  async #ending(graceMs: number): Promise<void> {
    if (this.#open === 0) return
    await new Promise<void>((resolve) => {
      const cancel = this.#needs.clock.after(graceMs, resolve)
      this.#idle = () => {
        cancel()
        resolve()
      }
    })
  }

  async close(reason: string): Promise<void> {
    try {
      await this.#needs.forget(this, reason)
    } finally {
      await this.sleep(false)
    }
  }

  async #forward(exchange: Exchange, out: Out): Promise<Outcome> {
    // What a server that sleeps was never asked by this client, or asked in an earlier life, needs no server to be started.
    if (exchange.frame.kind !== 'request' && !this.#leg && this.record.upstreamSession === undefined) return accepted
    while (exchange.frame.kind === 'request' && this.#changing) await this.#changing
    this.#open++
    this.usedAtMs = this.#needs.clock.mono()
    try {
      const opening = this.#live()
      const outcome = await this.#send(await beforeSending(opening), exchange, out)
      if (outcome.is !== 'notSent' || outcome.fault.code !== 'upstream.gone') return outcome
      // The server forgot the session, or ended before it got the message: nothing was done, so it is opened anew and asked once more.
      return await this.#send(await beforeSending(this.#renew(opening)), exchange, out)
    } catch (error) {
      if (error instanceof Unsent && error.fault.code === 'gate.changed') return { is: 'refused', reason: error.fault.message, status: 404 }
      throw error
    } finally {
      if (--this.#open === 0) this.#idle()
      this.usedAtMs = this.#needs.clock.mono()
    }
  }

  /** A cancellation of what the server has not got. */
  #isOfWaiting(frame: Frame): boolean {
    const { requestId } = frame.at
    return frame.method === 'notifications/cancelled' && requestId !== undefined && this.#waiting.has(idKey(frame, requestId))
  }

  async #send(leg: Leg, exchange: Exchange, out: Out): Promise<Outcome> {
    const { frame, headers, abort } = exchange
    if (frame.kind !== 'request') return this.#isOfWaiting(frame) ? accepted : leg.send(frame, headers)
    const key = idKey(frame, frame.at.id!)
    if (this.#waiting.get(key) === 'cancelled') return cancelled
    this.#waiting.delete(key) // from here on the server is told of a cancellation
    const change = this.#changeOf(frame)
    if (!change) return leg.request(frame, headers, out, abort)
    const uri = frame.method === 'resources/subscribe' ? stringAt(frame, frame.at.uri) : undefined
    const grown = change(this.record)
    if (uri !== undefined && recordBytes({ ...grown, uris: [...grown.uris, ...this.#asked] }) > maxRecordBytes)
      return { is: 'notSent', fault: fault.too_much_kept({ what: 'one more subscription', maxBytes: maxRecordBytes }) }
    if (uri !== undefined) this.#asked.add(uri)
    let isDone = false
    try {
      const noticing = through(out, (incoming) => {
        if (incoming.kind === 'result') isDone = true
        return out.write(incoming)
      })
      return await leg.request(frame, headers, noticing, abort)
    } finally {
      if (uri !== undefined) this.#asked.delete(uri)
      if (isDone) {
        this.record = change(this.record)
        await this.#needs.save(this)
      }
    }
  }

  /** What the server must be told again when it is opened anew: what this request changes of that, once the server has agreed. */
  #changeOf(frame: Frame): ((record: SessionRecord) => SessionRecord) | undefined {
    if (frame.method === 'logging/setLevel') {
      const level = paramsOf(frame)['level']
      return typeof level === 'string' && severityOf(level) >= 0 ? (record) => ({ ...record, level }) : undefined
    }
    const isMore = frame.method === 'resources/subscribe'
    const uri = isMore || frame.method === 'resources/unsubscribe' ? stringAt(frame, frame.at.uri) : undefined
    if (uri === undefined) return undefined
    return (record) => ({ ...record, uris: [...record.uris.filter((other) => other !== uri), ...(isMore ? [uri] : [])] })
  }

  #live(): Promise<OpenedLeg> {
    return (this.#leg ??= this.#watch(this.#reopen()))
  }

  /** Another leg in place of this one, unless somebody else saw before us that it is over. */
  async #renew(old: Promise<OpenedLeg>): Promise<OpenedLeg> {
    if (this.#leg === old) {
      const { upstreamSession: _, ...record } = this.record
      this.record = record
      this.#leg = undefined
      void old.then((leg) => leg.close(true)).catch(() => {})
    }
    return this.#live()
  }

  #adopt(leg: OpenedLeg): Promise<OpenedLeg> {
    return this.#watch(Promise.resolve(leg))
  }

  /** Forgets the leg when it ends or never opened, so that the next message opens another. */
  #watch(opening: Promise<OpenedLeg>): Promise<OpenedLeg> {
    const forget = (): void => {
      if (this.#leg === opening) this.#leg = undefined
    }
    opening.then((leg) => {
      this.#ready = opening
      return leg.ended.then(forget)
    }, forget)
    return opening
  }

  /** Opens the server as the client had it: the client's own `initialize`, its log level and subscriptions. */
  async #reopen(): Promise<OpenedLeg> {
    const { upstream, side } = this.#needs
    const { upstreamSession } = this.record
    // A server that was reached by HTTP and is a process now knows nothing of it.
    if (upstreamSession !== undefined && !upstream.transport.isCostly)
      return this.#listenAgain(await upstream.resumeLegacy(upstreamSession, side))
    const initialize = scan(Buffer.from(this.record.initialize))
    const again = splice(initialize, [{ span: initialize.at.id!, with: Buffer.from(String(ownId())) }])
    const { leg, answer } = await upstream.openLegacy(this.principal, again, side)
    const lost =
      answer.kind === 'result' ? lostCapability(this.record.capabilities, resultOf(answer)?.['capabilities']) : 'an answer to initialize'
    if (lost !== undefined) {
      await leg.close()
      await this.#needs.forget(this, `the server lacks ${lost}`)
      throw fault.changed({ upstream: this.record.upstream, lost })
    }
    await this.#tellAgain(leg)
    if (leg.sessionId !== undefined) {
      this.record = { ...this.record, upstreamSession: leg.sessionId }
      await this.#needs.save(this)
    }
    return this.#listenAgain(leg)
  }

  /** The log level and the subscriptions that the client set. A server that leaves one of them unanswered is closed, which ends the wait. */
  async #tellAgain(leg: OpenedLeg): Promise<void> {
    const { clock, upstream } = this.#needs
    const { level, uris } = this.record
    const cancel = clock.after(upstream.settings.requestTimeoutMs, () => void leg.close().catch(() => {}))
    try {
      await leg.send(scan(Buffer.from('{"jsonrpc":"2.0","method":"notifications/initialized"}')), noHeaders)
      if (level !== undefined) await ask(leg, 'logging/setLevel', { level })
      for (const uri of uris) await ask(leg, 'resources/subscribe', { uri })
    } catch (error) {
      await leg.close()
      throw error
    } finally {
      cancel()
    }
  }

  /** Not waited for: a server may keep the head of its stream back until there is something to say. */
  #listenAgain(leg: OpenedLeg): OpenedLeg {
    if (this.#isListening) leg.listen().catch(() => {})
    return leg
  }
}

/** What a client can do, by its own `initialize`. */
function capabilitiesIn(initialize: string): Readonly<Record<string, unknown>> {
  const { params } = JSON.parse(initialize) as { readonly params?: { readonly capabilities?: unknown } }
  const capabilities = params?.capabilities
  return typeof capabilities === 'object' && capabilities !== null ? (capabilities as Record<string, unknown>) : {}
}

/** The first capability that was offered and is not any more, by its path; undefined when all are there. */
function lostCapability(before: unknown, after: unknown, path = ''): string | undefined {
  if (typeof before !== 'object' || before === null) return before === true && after !== true ? path : undefined
  if (typeof after !== 'object' || after === null) return path === '' ? 'its capabilities' : path
  for (const [name, inner] of Object.entries(before)) {
    const lost = Object.hasOwn(after, name)
      ? lostCapability(inner, (after as Record<string, unknown>)[name], path === '' ? name : `${path}.${name}`)
      : `${path === '' ? '' : `${path}.`}${name}`
    if (lost !== undefined) return lost
  }
  return undefined
}

/** The record of a session that has just been opened. */
export function recordOf(principal: Principal, upstream: Served, initialize: Frame, answer: Frame, leg: OpenedLeg): SessionRecord {
  return {
    principal: principal.name,
    upstream: upstream.name,
    initialize: asBuffer(initialize.bytes).toString('utf8'),
    capabilities: resultOf(answer)?.['capabilities'] ?? {},
    uris: [],
    ...(leg.sessionId === undefined ? {} : { upstreamSession: leg.sessionId }),
  }
}
