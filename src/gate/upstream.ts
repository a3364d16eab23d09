// One MCP server behind the gate: opens legs to it in the era that a client speaks, shares servers as declared, and bridges where the server lacks the era.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Principal } from '../base/access/principal.ts'
import { type InitializeParams, UpstreamRefusal, ask, askFrame, ownClientInfo } from '../base/mcp/leg/ask.ts'
import { beforeSending } from '../base/mcp/leg/before-sending.ts'
import type { Era, Leg, Outcome } from '../base/mcp/exchange.ts'
import { LegacyOverModern } from '../base/mcp/bridge/legacy-over-modern.ts'
import { errorOf, paramsOf, resultOf } from '../base/mcp/message.ts'
import { capabilitiesOf } from '../base/mcp/modern.ts'
import { withSafeLinks } from '../base/mcp/leg/safe-links.ts'
import { ModernOverLegacy } from '../base/mcp/bridge/modern-over-legacy.ts'
import { legacyVersions, meta, modernVersion } from '../base/mcp/protocol.ts'
import { nowhere } from '../base/mcp/scopes.ts'
import type { Frame } from '../base/wire/frame.ts'
import type { Sink } from '../base/wire/wire.ts'
import { Breaker } from './breaker.ts'
import type { Children, Idle } from './children.ts'
import { fault } from './faults.ts'
import type { GrantSettings } from './grants.ts'
import type { PinSettings } from './pin/pins.ts'
import { Pooled } from './pooled.ts'
import { Starting, type UpstreamState, isWrongEra } from './starting.ts'

type Isolation = 'session' | 'principal' | 'shared'

/** A leg that may belong to a session of the server (HTTP, legacy). */
export type OpenedLeg = Leg & { readonly sessionId?: string | undefined }

/** How legs to a server are opened: one file per kind in upstreams/. */
export interface Transport {
  /** True when every leg costs a process or connection that is worth stopping when idle. */
  readonly isCostly: boolean
  /** `sessionId`: a session of the server that an earlier leg opened. */
  open(era: Era, side: Sink, sessionId?: string): Promise<OpenedLeg>
}

export type UpstreamSettings = {
  readonly name: string
  readonly isolation: Isolation
  readonly idleMs: number
  readonly requestTimeoutMs: number
  /** How definitions of its tools are pinned; `defaultPins` when absent. */
  readonly pins?: PinSettings
  /** Patterns of tools of which each call needs a person's yes. */
  readonly approve?: readonly string[]
  /** It gets a grant with each call; absent: none. */
  readonly grants?: GrantSettings
  /** Why it is not well, as far as others than the gate know. */
  readonly ailing?: () => string | undefined
}

/** What an endpoint and its sessions need of what serves them: one server, whichever it is now, or all of them. */
export interface Served {
  readonly name: string
  readonly settings: Pick<UpstreamSettings, 'isolation' | 'idleMs' | 'requestTimeoutMs' | 'approve' | 'grants'>
  readonly transport: Pick<Transport, 'isCostly'>
  /** Told of what it answers, and of what it does not; absent: nobody leaves it alone. */
  readonly breaker?: Breaker
  openLegacy(principal: Principal, initialize: Frame, side: Sink): Promise<{ leg: OpenedLeg; answer: Frame }>
  resumeLegacy(sessionId: string, side: Sink): Promise<OpenedLeg>
  withModern(principal: Principal, frame: Frame, use: (leg: Leg) => Promise<Outcome>): Promise<Outcome>
}

/** A verdict on what a server speaks is kept for so long: servers are updated. */
const verdictMs = 10 * 60_000
const probeMs = 5_000
const maxPooled = 1_000
const maxCapabilityKeys = 8

/** A pooled server with the leg that stateless requests go through. */
type Stateless = { readonly pooled: Pooled; readonly leg: Leg }

export class Upstream implements Served {
  readonly settings: UpstreamSettings
  readonly transport: Transport
  readonly breaker: Breaker
  readonly #clock: Clock
  readonly #log: Log
  readonly #children: Children | undefined
  readonly #pool = new Map<string, Pooled>()
  readonly #stateless = new Map<Pooled, Stateless>()
  readonly #verdicts: Partial<Record<Era, { readonly speaks: boolean; readonly atMs: number }>> = {}
  readonly #starting: Starting
  #probing: Promise<boolean | undefined> | undefined
  /** Stateless requests that run, without those that only listen. */
  #running = 0
  #idle = (): void => {}

  /** `children` bounds what runs at once, together with other upstreams; absent: nothing does. */
  constructor(needs: { clock: Clock; log: Log; children?: Children }, transport: Transport, settings: UpstreamSettings) {
    this.#clock = needs.clock
    this.#log = needs.log
    this.#children = needs.children
    this.transport = {
      isCostly: transport.isCostly,
      open: (era, side, sessionId) => withSafeLinks((safe) => transport.open(era, safe, sessionId), side),
    }
    this.settings = settings
    this.breaker = new Breaker(needs, settings.name)
    const { name, requestTimeoutMs: timeoutMs } = settings
    this.#starting = new Starting(needs, { name, timeoutMs, isCostly: transport.isCostly })
  }

  get name(): string {
    return this.settings.name
  }

  get state(): UpstreamState {
    const { restMs } = this.breaker
    if (restMs !== undefined) return { is: 'failing', reason: 'it lets its requests run out of time', retryInMs: restMs }
    const ailing = this.settings.ailing?.()
    return ailing === undefined ? this.#starting.state : { is: 'failing', reason: ailing }
  }

  get starts(): Starting['starts'] {
    return this.#starting.starts
  }

  /**
   * A leg for one legacy session, opened with `initialize` (the client's own, or a repetition of it), and the server's answer to it.
   * Faults: `gate.resting`, `gate.silent`, and whatever the transport has.
   */
  async openLegacy(principal: Principal, initialize: Frame, side: Sink): Promise<{ leg: OpenedLeg; answer: Frame }> {
    if (this.#speaks('legacy') !== false) {
      try {
        const opened = await this.#openLegacyLeg(principal, initialize, side)
        this.#learn('legacy', true)
        return opened
      } catch (error) {
        if (!isWrongEra(error)) throw error
        this.#learn('legacy', false)
      }
    }
    const pooled = this.transport.isCostly ? this.#modern(principal).pooled : undefined
    return this.#starting.start(
      async () => new LegacyOverModern(pooled ? pooled.join(nowhere) : await this.#open(principal.name, 'modern', nowhere), side),
      (leg) => askFrame(leg, initialize),
      pooled,
    )
  }

  /** Goes on with a session that the server kept. */
  resumeLegacy(sessionId: string, side: Sink): Promise<OpenedLeg> {
    return this.transport.open('legacy', side, sessionId)
  }

  /** Runs `use` with a leg for stateless requests of this principal; the leg is kept for the next ones. Faults: as `openLegacy`. */
  async withModern(principal: Principal, frame: Frame, use: (leg: Leg) => Promise<Outcome>): Promise<Outcome> {
    if (frame.method === 'subscriptions/listen') return this.#withModern(principal, frame, use)
    this.#running++
    try {
      return await this.#withModern(principal, frame, use)
    } finally {
      if (--this.#running === 0) this.#idle()
    }
  }

  /** Resolves when no stateless request runs any more, at the latest after `graceMs`. */
  async drained(graceMs: number): Promise<void> {
    if (this.#running === 0) return
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(graceMs, resolve)
      this.#idle = () => {
        cancel()
        resolve()
      }
    })
  }

  async #withModern(principal: Principal, frame: Frame, use: (leg: Leg) => Promise<Outcome>): Promise<Outcome> {
    const first = await beforeSending(this.#statelessFor(principal, frame))
    const outcome = await this.#using(first, use)
    if (outcome.is !== 'notSent' || outcome.fault.code !== 'upstream.gone') return outcome
    // The server ended, or forgot our session, before it got the request: another is opened and asked once.
    await first.pooled.close()
    return this.#using(await beforeSending(this.#statelessFor(principal, frame)), use)
  }

  /** Stops servers that nobody used for `idleMs`. */
  sweep(): void {
    const now = this.#clock.mono()
    for (const pooled of this.#unused()) if (now - pooled.usedAtMs >= this.settings.idleMs) pooled.close().catch(() => {}) // it is out of the pool
  }

  /** Pooled processes that nobody uses now. */
  idle(): readonly Idle[] {
    if (!this.transport.isCostly) return []
    const ready = this.#unused().filter(({ isReady }) => isReady)
    return ready.map((pooled) => ({ principal: pooled.principal, usedAtMs: pooled.usedAtMs, stop: () => pooled.close() }))
  }

  async close(): Promise<void> {
    const legs = [...this.#stateless.values()].map(({ leg }) => leg)
    await this.#starting.stop()
    await Promise.all([...this.#pool.values(), ...legs].map((one) => one.close()))
  }

  #unused(): readonly Pooled[] {
    return [...this.#pool.values()].filter((pooled) => pooled.uses === 0 && pooled.memberCount <= (this.#stateless.has(pooled) ? 1 : 0))
  }

  async #using({ pooled, leg }: Stateless, use: (leg: Leg) => Promise<Outcome>): Promise<Outcome> {
    pooled.uses++
    try {
      return await use(leg)
    } finally {
      pooled.uses--
      pooled.usedAtMs = this.#clock.mono()
    }
  }

  /** Whom a pooled server is for; undefined: for everybody. */
  #owner(principal: Principal): string | undefined {
    return this.settings.isolation === 'shared' ? undefined : principal.name
  }

  #open(principal: string | undefined, era: Era, side: Sink): Promise<OpenedLeg> {
    const open = (): Promise<OpenedLeg> => this.transport.open(era, side)
    return this.transport.isCostly && this.#children ? this.#children.open(principal, open) : open()
  }

  #openLegacyLeg(principal: Principal, initialize: Frame, side: Sink): Promise<{ leg: OpenedLeg; answer: Frame }> {
    const isOwn = this.settings.isolation === 'session' || !this.transport.isCostly
    const pooled = isOwn ? undefined : this.#legacy(principal, initialize)
    return this.#starting.start(
      async () => pooled?.join(side) ?? this.#open(principal.name, 'legacy', side),
      async (leg) => {
        await pooled?.ready()
        const answer = await askFrame(leg, initialize)
        const refusal = new UpstreamRefusal('initialize', errorOf(answer))
        if (isWrongEra(refusal)) throw refusal
        return answer
      },
      pooled,
    )
  }

  #legacy(principal: Principal, initialize: Frame): Pooled {
    const version = paramsOf(initialize)['protocolVersion']
    const protocolVersion = legacyVersions.find((known) => known === version) ?? legacyVersions[0]
    return this.#pooled(principal, `legacy ${protocolVersion}`, 'legacy', {
      protocolVersion,
      capabilities: {},
      clientInfo: ownClientInfo,
    })
  }

  #modern(principal: Principal): Stateless {
    return this.#withLeg(this.#pooled(principal, 'modern', 'modern', undefined), (pooled) => pooled.join(nowhere))
  }

  /** A legacy server is told once what its client can do, so clients with other capabilities get a server of their own. */
  #bridged(principal: Principal, frame: Frame): Stateless {
    const clientInfo = (paramsOf(frame)['_meta'] as Record<string, unknown> | undefined)?.[meta.clientInfo]
    const prefix = this.#key(principal, 'bridged ')
    let capabilities = capabilitiesOf(frame)
    const isNew = !this.#pool.has(prefix + JSON.stringify(capabilities))
    if (isNew && [...this.#pool.keys()].filter((key) => key.startsWith(prefix)).length >= maxCapabilityKeys) capabilities = {}
    const params = { protocolVersion: legacyVersions[0], capabilities, clientInfo: clientInfo ?? ownClientInfo }
    return this.#withLeg(
      this.#pooled(principal, `bridged ${JSON.stringify(capabilities)}`, 'legacy', params),
      (pooled) => new ModernOverLegacy((side) => pooled.join(side), this.#clock),
    )
  }

  #withLeg(pooled: Pooled, make: (pooled: Pooled) => Leg): Stateless {
    const present = this.#stateless.get(pooled)
    if (present) return present
    const stateless = { pooled, leg: make(pooled) }
    this.#stateless.set(pooled, stateless)
    return stateless
  }

  #key(principal: Principal, kind: string): string {
    return `${this.#owner(principal) ?? '*'} ${kind}`
  }

  #pooled(principal: Principal, kind: string, era: Era, params: InitializeParams | undefined): Pooled {
    const key = this.#key(principal, kind)
    const present = this.#pool.get(key)
    if (present) {
      present.usedAtMs = this.#clock.mono()
      return present
    }
    if (this.#pool.size >= maxPooled) throw fault.upstream_refused({ upstream: this.name, reason: `${maxPooled} servers are in use` })
    const pooled: Pooled = new Pooled({
      upstream: this.name,
      principal: this.#owner(principal),
      open: (side) => this.#open(this.#owner(principal), era, side),
      params,
      over: () => {
        if (this.#pool.get(key) === pooled) this.#pool.delete(key)
        this.#stateless.delete(pooled)
      },
    })
    pooled.usedAtMs = this.#clock.mono()
    this.#pool.set(key, pooled)
    return pooled
  }

  /** The server for stateless requests of this principal, ready; what it speaks is found out first. */
  async #statelessFor(principal: Principal, frame: Frame): Promise<Stateless> {
    const isModern = this.#speaks('modern') ?? (await (this.#probing ??= this.#probe(principal).finally(() => (this.#probing = undefined))))
    const ready = async (stateless: Stateless): Promise<Stateless> => {
      if (!stateless.pooled.isReady)
        await this.#starting.start(
          async () => stateless.leg,
          () => stateless.pooled.ready(),
          stateless.pooled,
        )
      return stateless
    }
    if (isModern) return ready(this.#modern(principal))
    try {
      const bridged = await ready(this.#bridged(principal, frame))
      if (isModern === undefined) this.#learn('modern', false)
      return bridged
    } catch (error) {
      if (!isWrongEra(error)) throw error
      this.#learn('modern', true)
      return ready(this.#modern(principal))
    }
  }

  /** Whether the server speaks the modern era; undefined when it did not say: it was slow, or ended, or is not there. */
  async #probe(principal: Principal): Promise<boolean | undefined> {
    this.#starting.checkRest()
    const { leg, pooled } = this.#modern(principal)
    const params = { _meta: { [meta.protocolVersion]: modernVersion, [meta.clientCapabilities]: {}, [meta.clientInfo]: ownClientInfo } }
    const headers = { 'mcp-protocol-version': modernVersion, 'mcp-method': 'server/discover' }
    const stop = new AbortController()
    const answer = await Promise.race([
      ask(leg, 'server/discover', params, headers).catch((error: unknown) => error),
      this.#clock.wait(Math.min(probeMs, this.settings.requestTimeoutMs / 2), stop.signal).catch(() => {}),
    ])
    stop.abort()
    const versions = isFrame(answer) ? resultOf(answer)?.['supportedVersions'] : undefined
    const speaks = Array.isArray(versions) && versions.includes(modernVersion)
    if (!speaks) await pooled.close()
    if (!isFrame(answer)) return undefined
    this.#learn('modern', speaks)
    return speaks
  }

  #speaks(era: Era): boolean | undefined {
    const verdict = this.#verdicts[era]
    return verdict && this.#clock.mono() - verdict.atMs < verdictMs ? verdict.speaks : undefined
  }

  #learn(era: Era, speaks: boolean): void {
    if (!speaks && this.#speaks(era) !== false) this.#log.info('gate.upstream.era', { upstream: this.name, lacks: era })
    this.#verdicts[era] = { speaks, atMs: this.#clock.mono() }
  }
}

function isFrame(value: unknown): value is Frame {
  return typeof value === 'object' && value !== null && 'bytes' in value
}
