// The upstreams as they are configured now: changed while calls run, without losing one.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { Unsent } from '../base/mcp/leg/before-sending.ts'
import type { Children } from './children.ts'
import type { GateEndpoint } from './endpoint.ts'
import { fault } from './faults.ts'
import type { Sessions } from './sessions.ts'
import { type Served, type Transport, Upstream, type UpstreamSettings } from './upstream.ts'

/** An upstream as it is configured. `fingerprint`: of all that it is made of, so that one that did not change is left alone. */
export type Configured = UpstreamSettings & { readonly transport: Transport; readonly fingerprint: string }

export type Changes = { readonly added: readonly string[]; readonly removed: readonly string[]; readonly changed: readonly string[] }

/** The upstream of a name, whichever it is now: what sessions hold on to. */
class Slot implements Served {
  upstream: Upstream
  fingerprint: string
  isGone = false

  constructor(upstream: Upstream, fingerprint: string) {
    this.upstream = upstream
    this.fingerprint = fingerprint
  }

  get name() {
    return this.upstream.name
  }

  get settings() {
    return this.upstream.settings
  }

  get transport() {
    return this.upstream.transport
  }

  get breaker() {
    return this.upstream.breaker
  }

  openLegacy: Served['openLegacy'] = async (...needs) => this.#now().openLegacy(...needs)
  resumeLegacy: Served['resumeLegacy'] = async (...needs) => this.#now().resumeLegacy(...needs)
  withModern: Served['withModern'] = async (...needs) => this.#now().withModern(...needs)

  #now(): Upstream {
    if (this.isGone) throw new Unsent(fault.removed({ upstream: this.name }))
    return this.upstream
  }
}

export type LineUpNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly children: Children
  readonly sessions: Sessions
  /** The door's side of an upstream: its layers. */
  readonly endpointOf: (served: Served) => GateEndpoint
}

export class LineUp {
  readonly endpoints = new Map<string, GateEndpoint>()
  readonly #needs: LineUpNeeds
  readonly #slots = new Map<string, Slot>()
  /** Upstreams that are gone, or others now, until their last call has ended. */
  readonly #retiring = new Set<Upstream>()

  constructor(needs: LineUpNeeds) {
    this.#needs = needs
  }

  get upstreams(): readonly Upstream[] {
    return [...this.#slots.values()].map(({ upstream }) => upstream)
  }

  /** Takes these in place of those it has: for what comes from now on, at once. `over` resolves when the last call of those that went has ended, at most after `graceMs`. */
  take(next: readonly Configured[], graceMs: number): Changes & { readonly over: Promise<void> } {
    const { clock, log, children, sessions, endpointOf } = this.#needs
    const added: string[] = []
    const changed: string[] = []
    const ending: Promise<void>[] = []
    const removed = [...this.#slots.keys()].filter((name) => !next.some((one) => one.name === name))
    for (const name of removed) {
      const slot = this.#slots.get(name)!
      slot.isGone = true
      this.#slots.delete(name)
      this.endpoints.delete(name)
      ending.push(this.#retire(slot.upstream, () => sessions.end(name, 'its upstream was removed', graceMs), graceMs))
    }
    for (const one of next) {
      const { name, fingerprint, transport } = one
      const slot = this.#slots.get(name)
      if (slot?.fingerprint === fingerprint) continue
      const upstream = new Upstream({ clock, log, children }, transport, one)
      if (slot) {
        changed.push(name)
        const old = slot.upstream
        slot.upstream = upstream
        slot.fingerprint = fingerprint
        ending.push(this.#retire(old, () => sessions.change(name, graceMs), graceMs))
      } else {
        added.push(name)
        const fresh = new Slot(upstream, fingerprint)
        this.#slots.set(name, fresh)
        this.endpoints.set(name, endpointOf(fresh))
      }
    }
    return { added, removed, changed, over: Promise.all(ending).then(() => {}) }
  }

  async close(): Promise<void> {
    await Promise.all([...this.upstreams, ...this.#retiring].map((upstream) => upstream.close()))
  }

  async #retire(upstream: Upstream, leave: () => Promise<void>, graceMs: number): Promise<void> {
    this.#retiring.add(upstream)
    await Promise.all([leave(), upstream.drained(graceMs)])
    await upstream.close()
    this.#retiring.delete(upstream)
  }
}
