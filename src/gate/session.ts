// One legacy session of a client: a record that outlives the gate's process and the server's, and the leg that serves it while it is awake.
import type { Clock } from '../kernel/clock.ts'
import { Fault } from '../kernel/fault.ts'
import type { Principal } from '../base/access/principal.ts'
import { ask } from '../base/mcp/ask.ts'
import { type Exchange, type Handler, type Leg, type Out, type Outcome, accepted, noHeaders } from '../base/mcp/exchange.ts'
import { paramsOf, resultOf } from '../base/mcp/message.ts'
import type { Session } from '../base/mcp/scopes.ts'
import { type Frame, asBuffer, splice, stringAt } from '../base/wire/frame.ts'
import { scan } from '../base/wire/scan.ts'
import type { Sink } from '../base/wire/wire.ts'
import { fault } from './faults.ts'
import type { OpenedLeg, Upstream } from './upstream.ts'

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

export type SessionNeeds = {
  readonly upstream: Upstream
  readonly side: Sink
  readonly layer: (core: Handler) => Handler
  readonly clock: Clock
  /** Called when the record changed; resolves when it is kept. */
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
  #isListening = false
  #open = 0
  usedAtMs: number

  constructor(needs: SessionNeeds, id: string, principal: Principal, record: SessionRecord, leg: OpenedLeg | undefined) {
    this.#needs = needs
    this.id = id
    this.principal = principal
    this.record = record
    this.usedAtMs = needs.clock.mono()
    if (leg) this.#leg = this.#adopt(leg)
    this.handle = needs.layer((exchange, out) => this.#forward(exchange, out))
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

  get idleMs(): number {
    return this.#needs.upstream.settings.idleMs
  }

  /** Stops the server's process, or lets its HTTP session be; the next message goes on. */
  async sleep(keepsSession = true): Promise<void> {
    const leg = this.#leg
    this.#leg = undefined
    await leg?.then((opened) => opened.close(keepsSession)).catch(() => {})
  }

  async close(reason: string): Promise<void> {
    await this.#needs.forget(this, reason)
    await this.sleep(false)
  }

  async #forward(exchange: Exchange, out: Out): Promise<Outcome> {
    // What a server that sleeps was never asked by this client, or asked in an earlier life, needs no server to be started.
    if (exchange.frame.kind !== 'request' && !this.#leg && this.record.upstreamSession === undefined) return accepted
    this.#open++
    this.usedAtMs = this.#needs.clock.mono()
    try {
      const opening = this.#live()
      const outcome = await this.#send(await opening, exchange, out)
      if (outcome.is !== 'notSent' || outcome.fault.code !== 'upstream.gone') return outcome
      // The server forgot the session, or ended before it got the message: nothing was done, so it is opened anew and asked once more.
      return await this.#send(await this.#renew(opening), exchange, out)
    } catch (error) {
      if (error instanceof Fault && error.code === 'gate.changed') return { is: 'refused', reason: error.message, status: 404 }
      throw error
    } finally {
      this.#open--
      this.usedAtMs = this.#needs.clock.mono()
    }
  }

  async #send(leg: Leg, exchange: Exchange, out: Out): Promise<Outcome> {
    const { frame, headers, abort } = exchange
    if (frame.kind !== 'request') return leg.send(frame, headers)
    const outcome = await leg.request(frame, headers, out, abort)
    if (outcome.is === 'answered') await this.#note(frame)
    return outcome
  }

  /** What the server must be told again when it is opened anew. */
  async #note(frame: Frame): Promise<void> {
    if (frame.method === 'logging/setLevel') this.record = { ...this.record, level: String(paramsOf(frame)['level']) }
    else if (frame.method === 'resources/subscribe' || frame.method === 'resources/unsubscribe') {
      const uri = stringAt(frame, frame.at.uri)
      if (uri === undefined) return
      const others = this.record.uris.filter((other) => other !== uri)
      this.record = { ...this.record, uris: frame.method === 'resources/subscribe' ? [...others, uri] : others }
    } else return
    await this.#needs.save(this)
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
    opening.then((leg) => leg.ended.then(forget), forget)
    return opening
  }

  /** Opens the server as the client had it: the client's own `initialize`, its log level and subscriptions. */
  async #reopen(): Promise<OpenedLeg> {
    const { upstream, side } = this.#needs
    const { upstreamSession } = this.record
    if (upstreamSession !== undefined) return this.#listenAgain(await upstream.resumeLegacy(upstreamSession, side))
    const initialize = scan(Buffer.from(this.record.initialize))
    const again = splice(initialize, [{ span: initialize.at.id!, with: Buffer.from('"fairlead-initialize"') }])
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
    const cancel = clock.after(upstream.settings.requestTimeoutMs, () => void leg.close())
    try {
      await leg.send(scan(Buffer.from('{"jsonrpc":"2.0","method":"notifications/initialized"}')), noHeaders)
      if (level !== undefined) await ask(leg, 'logging/setLevel', { level }, 'fairlead-level')
      for (const [index, uri] of uris.entries()) await ask(leg, 'resources/subscribe', { uri }, `fairlead-subscribe-${index}`)
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
export function recordOf(principal: Principal, upstream: Upstream, initialize: Frame, answer: Frame, leg: OpenedLeg): SessionRecord {
  return {
    principal: principal.name,
    upstream: upstream.name,
    initialize: asBuffer(initialize.bytes).toString('utf8'),
    capabilities: resultOf(answer)?.['capabilities'] ?? {},
    uris: [],
    ...(leg.sessionId === undefined ? {} : { upstreamSession: leg.sessionId }),
  }
}
