// One MCP server behind the gate: opens legs to it in the era that a client speaks, shares children as declared, and bridges where the server lacks the era.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Principal } from '../base/access/principal.ts'
import { type InitializeParams, ask, askFrame, ownClientInfo } from '../base/mcp/ask.ts'
import type { Era, Leg } from '../base/mcp/exchange.ts'
import { LegacyOverModern } from '../base/mcp/legacy-over-modern.ts'
import { errorOf, paramsOf, resultOf } from '../base/mcp/message.ts'
import { ModernOverLegacy } from '../base/mcp/modern-over-legacy.ts'
import { code, legacyVersions, meta, modernVersion } from '../base/mcp/protocol.ts'
import { nowhere } from '../base/mcp/scopes.ts'
import { SharedLeg } from '../base/mcp/shared-leg.ts'
import { capabilitiesOf } from '../base/mcp/modern.ts'
import { type Backoff, failed, healthy, rested } from '../base/supervise/backoff.ts'
import type { Frame } from '../base/wire/frame.ts'
import type { Sink } from '../base/wire/wire.ts'
import { fault } from './faults.ts'

export type Isolation = 'session' | 'principal' | 'shared'

/** How legs to a server are opened: one file per kind in upstreams/. */
export interface Transport {
  /** True when every leg costs a process or connection that is worth stopping when idle. */
  readonly isCostly: boolean
  /** `sessionId`: a session of the server that an earlier leg opened (HTTP, legacy). */
  open(era: Era, side: Sink, sessionId?: string): Promise<Leg & { readonly sessionId?: string | undefined }>
}

export type UpstreamSettings = {
  readonly name: string
  readonly isolation: Isolation
  readonly idleMs: number
  readonly requestTimeoutMs: number
}

/** A verdict on what a server speaks is kept for so long: servers are updated. */
const verdictMs = 10 * 60_000
const probeMs = 5_000
const maxPooled = 1_000
const maxCapabilityKeys = 8

type Pooled = { readonly shared: SharedLeg; readonly leg: Leg; usedAtMs: number; open: number }

export class Upstream {
  readonly settings: UpstreamSettings
  readonly transport: Transport
  readonly #clock: Clock
  readonly #log: Log
  readonly #pool = new Map<string, Pooled>()
  readonly #verdicts: Partial<Record<Era, { readonly speaks: boolean; readonly atMs: number }>> = {}
  #backoff: Backoff = rested
  #restUntilMs = 0
  #lastFailure = ''

  constructor(needs: { clock: Clock; log: Log }, transport: Transport, settings: UpstreamSettings) {
    this.#clock = needs.clock
    this.#log = needs.log
    this.transport = transport
    this.settings = settings
  }

  get name(): string {
    return this.settings.name
  }

  /**
   * A leg for one legacy session, opened with `initialize` (the client's own, or a repetition of it), and the server's answer to it. `sessionId` goes on with
   * a session that the server knows already; then there is no answer.
   */
  async openLegacy(
    principal: Principal,
    initialize: Frame,
    side: Sink,
  ): Promise<{ leg: Leg & { readonly sessionId?: string | undefined }; answer: Frame }> {
    if (this.#speaks('legacy') !== false) {
      const leg = await this.#legacyLeg(principal, initialize, side)
      const answer = await this.#try(leg, () => askFrame(leg, initialize))
      if (!isWrongEra(answer)) {
        this.#learn('legacy', true)
        return { leg, answer }
      }
      await leg.close()
      this.#learn('legacy', false)
    }
    const modern = this.transport.isCostly
      ? this.#shared(`${this.#owner(principal)} modern`, 'modern', undefined).shared.join(nowhere)
      : await this.#open('modern', nowhere)
    const leg = new LegacyOverModern(modern, side)
    return { leg, answer: await this.#try(leg, () => askFrame(leg, initialize)) }
  }

  /** Goes on with a session that the server kept. */
  resumeLegacy(sessionId: string, side: Sink): Promise<Leg & { readonly sessionId?: string | undefined }> {
    return this.transport.open('legacy', side, sessionId)
  }

  /** Runs `use` with a leg for stateless requests of this principal; the leg is kept for the next ones. */
  async withModern<T>(principal: Principal, frame: Frame, use: (leg: Leg) => Promise<T>): Promise<T> {
    const pooled = (await this.#isModern(principal)) ? this.#modern(principal) : this.#bridged(principal, frame)
    pooled.open++
    pooled.usedAtMs = this.#clock.mono()
    try {
      return await use(pooled.leg)
    } finally {
      pooled.open--
      pooled.usedAtMs = this.#clock.mono()
    }
  }

  /** Stops children that nobody used for `idleMs`. */
  sweep(): void {
    const now = this.#clock.mono()
    for (const [key, pooled] of this.#pool) {
      if (pooled.open > 0 || pooled.shared.memberCount > 1 || now - pooled.usedAtMs < this.settings.idleMs) continue
      this.#pool.delete(key)
      void pooled.leg.close().then(() => pooled.shared.close())
    }
  }

  async close(): Promise<void> {
    const all = [...this.#pool.values()]
    this.#pool.clear()
    await Promise.all(all.map(({ leg, shared }) => leg.close().then(() => shared.close())))
  }

  #owner(principal: Principal): string {
    return this.settings.isolation === 'shared' ? '*' : principal.name
  }

  async #legacyLeg(principal: Principal, initialize: Frame, side: Sink): Promise<Leg> {
    if (this.settings.isolation === 'session' || !this.transport.isCostly) return this.#open('legacy', side)
    const version = String(paramsOf(initialize)['protocolVersion'])
    const protocolVersion = (legacyVersions as readonly string[]).includes(version) ? version : legacyVersions[0]
    const pooled = this.#shared(`${this.#owner(principal)} legacy ${protocolVersion}`, 'legacy', {
      protocolVersion,
      capabilities: {},
      clientInfo: ownClientInfo,
    })
    pooled.usedAtMs = this.#clock.mono()
    return pooled.shared.join(side)
  }

  #modern(principal: Principal): Pooled {
    return this.#shared(`${this.#owner(principal)} modern`, 'modern', undefined)
  }

  /** A legacy server is told once what its client can do, so clients with other capabilities get a leg of their own. */
  #bridged(principal: Principal, frame: Frame): Pooled {
    const clientInfo = (paramsOf(frame)['_meta'] as Record<string, unknown> | undefined)?.[meta.clientInfo]
    let capabilities = capabilitiesOf(frame)
    let key = `${this.#owner(principal)} bridged ${JSON.stringify(capabilities)}`
    if (
      !this.#pool.has(key) &&
      [...this.#pool.keys()].filter((other) => other.startsWith(`${this.#owner(principal)} bridged`)).length >= maxCapabilityKeys
    ) {
      capabilities = {}
      key = `${this.#owner(principal)} bridged {}`
    }
    return this.#shared(
      key,
      'legacy',
      { protocolVersion: legacyVersions[0], capabilities, clientInfo: clientInfo ?? ownClientInfo },
      (shared) => new ModernOverLegacy((side) => shared.join(side), this.#clock),
    )
  }

  #shared(
    key: string,
    era: Era,
    params: InitializeParams | undefined,
    over: (shared: SharedLeg) => Leg = (shared) => shared.join(nowhere),
  ): Pooled {
    const present = this.#pool.get(key)
    if (present) return present
    if (this.#pool.size >= maxPooled) throw fault.upstream_refused({ upstream: this.name, reason: `${maxPooled} children are in use` })
    const shared = new SharedLeg((side) => this.#open(era, side), params)
    const pooled: Pooled = { shared, leg: over(shared), usedAtMs: this.#clock.mono(), open: 0 }
    this.#pool.set(key, pooled)
    return pooled
  }

  async #isModern(principal: Principal): Promise<boolean> {
    const known = this.#speaks('modern')
    if (known !== undefined) return known
    const { leg, shared } = this.#modern(principal)
    const params = { _meta: { [meta.protocolVersion]: modernVersion, [meta.clientCapabilities]: {}, [meta.clientInfo]: ownClientInfo } }
    const headers = { 'mcp-protocol-version': modernVersion, 'mcp-method': 'server/discover' }
    const stop = new AbortController()
    const answer = await Promise.race([
      ask(leg, 'server/discover', params, 'fairlead-probe', headers).catch((error: unknown) => error),
      this.#clock.wait(probeMs, stop.signal).catch(() => {}),
    ])
    stop.abort()
    const versions = isFrame(answer) ? resultOf(answer)?.['supportedVersions'] : undefined
    const speaks = Array.isArray(versions) && versions.includes(modernVersion)
    if (!speaks) {
      this.#pool.delete(`${this.#owner(principal)} modern`)
      await shared.close()
      if (!isFrame(answer) && !this.transport.isCostly && answer !== undefined) throw answer // a server that is not there has no era
    }
    this.#learn('modern', speaks)
    return speaks
  }

  #speaks(era: Era): boolean | undefined {
    const verdict = this.#verdicts[era]
    return verdict && this.#clock.mono() - verdict.atMs < verdictMs ? verdict.speaks : undefined
  }

  #learn(era: Era, speaks: boolean): void {
    this.#verdicts[era] = { speaks, atMs: this.#clock.mono() }
    if (!speaks) this.#log.info('gate.upstream.era', { upstream: this.name, lacks: era })
  }

  /** Opens a leg unless the last ones failed a moment ago: a server that will not start is not started in a loop. */
  async #open(era: Era, side: Sink): Promise<Leg> {
    const waitMs = this.#restUntilMs - this.#clock.mono()
    if (waitMs > 0) throw fault.resting({ upstream: this.name, reason: this.#lastFailure, waitMs })
    try {
      return await this.transport.open(era, side)
    } catch (error) {
      this.#failed(error)
      throw error
    }
  }

  async #try<T>(leg: Leg, use: () => Promise<T>): Promise<T> {
    try {
      const value = await use()
      this.#backoff = healthy(this.#backoff, this.#clock.mono())
      return value
    } catch (error) {
      this.#failed(error)
      await leg.close()
      throw error
    }
  }

  #failed(error: unknown): void {
    const { next, delayMs } = failed(this.#backoff, this.#clock.mono())
    this.#backoff = next
    this.#restUntilMs = this.#clock.mono() + delayMs
    this.#lastFailure = error instanceof Error ? error.message : String(error)
    this.#log.warn('gate.upstream.failed', { upstream: this.name, reason: this.#lastFailure, retryInMs: delayMs })
  }
}

function isFrame(value: unknown): value is Frame {
  return typeof value === 'object' && value !== null && 'bytes' in value
}

/** A modern-only server refuses `initialize` with one of these. */
function isWrongEra(answer: Frame): boolean {
  if (answer.kind !== 'error') return false
  const error = errorOf(answer)
  return error.code === code.unsupportedVersion || error.code === code.methodNotFound
}
