// All upstreams behind one endpoint, as a session or a stateless request sees them: what it offers depends on none of them, so that none can hold it up.
import type { Clock } from '../../kernel/clock.ts'
import type { Principal } from '../../base/access/principal.ts'
import type { Leg, Outcome } from '../../base/mcp/exchange.ts'
import { idToken, paramsOf, resultFrame } from '../../base/mcp/message.ts'
import { legacyVersions } from '../../base/mcp/protocol.ts'
import type { Frame } from '../../base/wire/frame.ts'
import type { Sink } from '../../base/wire/wire.ts'
import type { OpenedLeg, Served } from '../upstream.ts'
import { JoinedLeg, listChanged } from './legacy.ts'
import { JoinedModern, type Listener } from './modern.ts'
import { capabilities, instructions, joinedName, serverInfo } from './offer.ts'
import { Owners } from './owners.ts'
import type { Parts } from './parts.ts'

export type JoinedSettings = {
  readonly listWaitMs: number
  readonly idleMs: number
  /** As long as the most patient upstream has, and a list besides. */
  readonly requestTimeoutMs: number
  readonly maxPageBytes: number
}

export class Joined implements Served {
  readonly name = joinedName
  readonly transport = { isCostly: false }
  readonly #parts: Parts
  readonly #clock: Clock
  readonly #settings: () => JoinedSettings
  readonly #owners = new Owners()
  readonly #owed = new Set<string>()
  readonly #listeners = new Set<Listener>()
  readonly #sides = new Set<Sink>()

  constructor(needs: { readonly parts: Parts; readonly clock: Clock }, settings: () => JoinedSettings) {
    this.#parts = needs.parts
    this.#clock = needs.clock
    this.#settings = settings
  }

  get settings() {
    const { idleMs, requestTimeoutMs } = this.#settings()
    return { isolation: 'session', idleMs, requestTimeoutMs } as const
  }

  /** Answers itself: an upstream is opened when it is first used. */
  async openLegacy(principal: Principal, initialize: Frame, side: Sink): Promise<{ leg: OpenedLeg; answer: Frame }> {
    const leg = new JoinedLeg({ parts: this.#parts, principal, initialize, side }, { needs: this.#shared(), settings: this.#dispatch() })
    this.#sides.add(side)
    void leg.ended.then(() => this.#sides.delete(side))
    const asked = paramsOf(initialize)['protocolVersion']
    const protocolVersion = legacyVersions.find((known) => known === asked) ?? legacyVersions[0]
    return { leg, answer: resultFrame(idToken(initialize), { protocolVersion, capabilities, serverInfo, instructions }) }
  }

  /** It never gives out a session id of its own, so there is none to go on with. */
  resumeLegacy(): Promise<OpenedLeg> {
    throw new TypeError('no session of all upstreams has an id at a server')
  }

  withModern(principal: Principal, _frame: Frame, use: (leg: Leg) => Promise<Outcome>): Promise<Outcome> {
    const needs = { parts: this.#parts, principal, clock: this.#clock, listeners: this.#listeners }
    return use(new JoinedModern(needs, { needs: { ...this.#shared(), owed: this.#owed }, settings: this.#dispatch() }))
  }

  /** Other upstreams are there now, or others may use them: whoever listens is told that its lists have changed. */
  changed(upstreams: ReadonlySet<string>): void {
    this.#owners.forget(upstreams)
    for (const { changed } of this.#listeners) changed()
    for (const side of this.#sides) for (const member of ['tools', 'prompts', 'resources']) side.write(listChanged({ member }))
  }

  #shared() {
    return { clock: this.#clock, owners: this.#owners }
  }

  #dispatch() {
    const { listWaitMs, maxPageBytes } = this.#settings()
    return { listWaitMs, maxPageBytes, serverInfo }
  }
}
