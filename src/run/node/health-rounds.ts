// Asks running components again and again whether they are well, each at its own interval; so many bad answers in a row make one ill.
import type { Clock } from '../../kernel/clock.ts'
import { type ComponentDrift } from '../drift.ts'
import { placeText } from '../container.ts'
import type { Component, Health } from '../service/config.ts'
import type { Container } from '../runtime.ts'
import { type Verdict, hasHealth } from './health.ts'

type Known = {
  readonly id: string
  /** The ways in which its definition asks. */
  readonly ways: string
  verdict: Verdict
  bad: number
  intervalMs: number
  nextMs: number
  isAsking: boolean
  /** It is not what its definition says, and waits for a deployment. */
  isOther: boolean
  /** It was well once, asked in these ways. */
  wasWell: boolean
}
export type AskHealth = (component: Component, container: Container, signal: AbortSignal) => Promise<Verdict>

const notYet: Verdict = { health: 'starting', reason: 'it was not asked yet' }
const defaults: Pick<Health, 'interval' | 'retries'> = { interval: 10_000, retries: 3 }

export class HealthRounds {
  readonly #clock: Clock
  readonly #ask: AskHealth
  readonly #known = new Map<string, Known>()

  constructor({ clock, ask }: { readonly clock: Clock; readonly ask: AskHealth }) {
    this.#clock = clock
    this.#ask = ask
  }

  /** Asks whoever is due, without waiting for the answers; `onIll` is called when one became ill. */
  round(components: readonly ComponentDrift[], signal: AbortSignal, onIll: () => void): void {
    const places = new Set(components.map(({ place }) => placeText(place)))
    for (const key of this.#known.keys()) if (!places.has(key)) this.#known.delete(key)
    for (const { place, component, current, drifts } of components) {
      const key = placeText(place)
      if (!hasHealth(component) || current?.state !== 'running') {
        this.#known.delete(key)
        continue
      }
      const ways = JSON.stringify([component.health, component.mcp, component.seal])
      let known = this.#known.get(key)
      if (known?.id !== current.id || known.ways !== ways) {
        known = { id: current.id, ways, verdict: notYet, bad: 0, intervalMs: 0, nextMs: 0, isAsking: false, isOther: false, wasWell: false }
        this.#known.set(key, known)
      }
      known.isOther = drifts.some(({ cause }) => cause === 'image-changed' || cause === 'config-changed')
      if (this.#clock.mono() < known.nextMs) continue
      known.intervalMs = (component.health ?? defaults).interval
      known.nextMs = this.#clock.mono() + known.intervalMs
      if (!known.isAsking) void this.#askOne(known, component, current, signal, onIll)
    }
  }

  /** How long until somebody is to be asked who is asked more often than every `mostMs`; that, if nobody is. */
  dueInMs(mostMs: number): number {
    const now = this.#clock.mono()
    const often = [...this.#known.values()].filter(({ intervalMs }) => intervalMs < mostMs)
    return Math.min(mostMs, ...often.map(({ nextMs }) => Math.max(0, nextMs - now)))
  }

  async #askOne(known: Known, component: Component, container: Container, signal: AbortSignal, onIll: () => void): Promise<void> {
    const { retries } = component.health ?? defaults
    known.isAsking = true
    try {
      const verdict = await this.#ask(component, container, signal)
      known.bad = verdict.health === 'unhealthy' ? known.bad + 1 : 0
      known.wasWell ||= verdict.health === 'healthy'
      if (verdict.health === 'unhealthy' && known.bad < retries && known.verdict.health !== 'unhealthy') return
      known.verdict = verdict
      if (verdict.health === 'unhealthy' && known.bad >= retries) onIll()
    } catch {
      // the node stops
    } finally {
      known.isAsking = false
    }
  }

  verdict(place: string): Verdict | undefined {
    return this.#known.get(place)?.verdict
  }

  /** It was started anew: it is asked again from the beginning. */
  forget(place: string): void {
    this.#known.delete(place)
  }

  /**
   * Who is ill, by container, with the reason. One that waits for a deployment may well be unable to answer what its next definition asks (after an update that went back,
   * say): a restart would not help it. It is ill only if it could once.
   */
  ills(): ReadonlyMap<string, string> {
    const ill = [...this.#known.values()].filter(({ verdict, isOther, wasWell }) => verdict.health === 'unhealthy' && (wasWell || !isOther))
    return new Map(ill.map(({ id, verdict }) => [id, verdict.reason]))
  }
}
