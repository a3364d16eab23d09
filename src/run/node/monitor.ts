// Sees drift and mends it: hints make it look at once, a full list every few seconds is the truth, and nothing is tried again faster than its back-off allows.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { type Backoff, failed, healthy, rested } from '../../base/supervise/backoff.ts'
import { type Place, placeText } from '../container.ts'
import { type ComponentDrift, type Desired, type Drift, byPlace, driftOf, unmanaged } from '../drift.ts'
import { type Mend, planMend } from '../plan.ts'
import type { Container, Runtime } from '../runtime.ts'
import type { Deploying } from './deploying.ts'
import type { HealthRounds } from './health-rounds.ts'
import type { Known } from './known.ts'
import type { Places } from './places.ts'
import type { Registry } from './registry.ts'

export type MonitorSettings = {
  readonly intervalMs: number
  /** So many drifts within that time are flapping. */
  readonly flapCount: number
  readonly flapWindowMs: number
  readonly keepEventsMs: number
}

export type MonitorNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly runtime: Runtime
  readonly registry: Registry
  readonly known: Known
  readonly places: Places
  readonly deploying: Deploying
  readonly health: HealthRounds
  readonly offering: { take(seen: Seen): void }
  readonly alert: (place: Place, event: string, detail: string) => void
}

/** What was seen last. `at`: ms since 1970. */
export type Seen = {
  readonly at: number
  readonly desired: readonly Desired[]
  readonly observed: readonly Container[]
  readonly components: readonly ComponentDrift[]
}

type Trouble = { readonly backoff: Backoff; readonly notBeforeMs: number }

/** Of hints that come together one look is made. */
const gatherMs = 15
const pruneEveryMs = 3_600_000
/** After a start, services wait so long for those that they come after. */
const bootMs = 60_000

export class Monitor {
  readonly #needs: MonitorNeeds
  readonly #settings: MonitorSettings
  readonly #signal: AbortSignal
  readonly #causes = new Map<string, string>() // place → the causes that were told
  readonly #strangers = new Set<string>()
  readonly #trouble = new Map<string, Trouble>()
  readonly #mending = new Set<Promise<void>>()
  readonly #startedMs: number
  #wake: () => void = () => {}
  #isLost = false
  #prunedMs = -Infinity

  constructor(needs: MonitorNeeds, settings: MonitorSettings, signal: AbortSignal) {
    this.#needs = needs
    this.#settings = settings
    this.#signal = signal
    this.#startedMs = needs.clock.mono()
  }

  /** Looks and mends until the signal; resolves when all that it began has ended. */
  async run(): Promise<void> {
    const { clock, runtime } = this.#needs
    using _ = runtime.watch(() => this.hint())
    while (!this.#signal.aborted) {
      let isHinted = false
      const woken = new Promise<void>((resolve) => {
        this.#wake = () => {
          isHinted = true
          resolve()
        }
      })
      await this.look().catch((error: unknown) => this.#lost(error))
      const over = new AbortController()
      await Promise.race([woken, clock.wait(this.#pauseMs(), AbortSignal.any([this.#signal, over.signal])).catch(() => {})])
      over.abort()
      if (isHinted) await clock.wait(gatherMs, this.#signal).catch(() => {})
    }
    await Promise.allSettled(this.#mending)
  }

  /** Something may have changed: look now. */
  hint(): void {
    this.#wake()
  }

  /** One look: what differs is told and mended. Rejects when the runtime does not answer. */
  async look(): Promise<Seen> {
    const { clock, registry, places, health, deploying, offering } = this.#needs
    const seen = await this.see()
    offering.take(seen)
    if (this.#isLost) {
      this.#isLost = false
      registry.note({}, 'runtime-back', 'the runtime answers again')
    }
    const cut = deploying.unfinished()
    const isIdle = (place: Place): boolean =>
      places.doing(placeText(place)) === undefined && !cut.some((one) => placeText(one) === placeText(place))
    for (const one of seen.components) if (isIdle(one.place)) this.#tell(one)
    this.#tellStrangers(seen)
    health.round(seen.components, this.#signal, () => this.hint())
    for (const place of cut) this.#mend(place, 'go on with a deployment that was cut', () => deploying.resume(place))
    const waiting = this.#waitingServices(seen)
    for (const { service } of seen.desired) {
      if (waiting.has(service.name)) continue
      for (const one of seen.components) {
        if (one.place.service !== service.name) continue
        const mends = planMend(service, one)
        if (mends.length > 0) this.#mend(one.place, mends.map((mend) => mend.do).join(', '), () => this.#do(one, mends))
        else if (one.drifts.length === 0) this.#well(one.place)
      }
    }
    if (clock.mono() - this.#prunedMs > pruneEveryMs) {
      this.#prunedMs = clock.mono()
      registry.dropEvents(clock.now() - this.#settings.keepEventsMs)
    }
    return seen
  }

  /** How everything stands now, with nothing told or done about it. */
  async see(): Promise<Seen> {
    const { clock, runtime, known, health } = this.#needs
    const observed = await runtime.list()
    const desired = await known.all()
    const [ills, places] = [health.ills(), byPlace(observed)]
    return { at: clock.now(), desired, observed, components: desired.flatMap((one) => driftOf(one, places, ills)) }
  }

  isFlapping(place: Place): boolean {
    const { registry, clock } = this.#needs
    return registry.count(place, 'drift', clock.now() - this.#settings.flapWindowMs) >= this.#settings.flapCount
  }

  #pauseMs(): number {
    const now = this.#needs.clock.mono()
    const dueMs = [...this.#trouble.values()].map(({ notBeforeMs }) => notBeforeMs - now).filter((ms) => ms > 0)
    const { intervalMs } = this.#settings
    return Math.min(this.#isLost ? intervalMs : this.#needs.health.dueInMs(intervalMs), ...dueMs)
  }

  #lost(error: unknown): void {
    const { log, registry } = this.#needs
    if (this.#signal.aborted) return
    const { message, kind } = asFault(error)
    if (kind === 'bug') log.error('run.monitor_defect', { error })
    if (this.#isLost) return
    this.#isLost = true
    registry.note({}, 'runtime-lost', message)
    log.warn('run.runtime_lost', { reason: message })
  }

  #tell({ place, drifts }: ComponentDrift): void {
    const { registry, alert } = this.#needs
    const key = placeText(place)
    const now = drifts.map(driftText).join('; ')
    const before = this.#causes.get(key) ?? ''
    if (now === before) return
    if (now === '') {
      this.#causes.delete(key)
      registry.note(place, 'well', 'as it should be')
      return
    }
    this.#causes.set(key, now)
    registry.note(place, 'drift', now)
    if (this.isFlapping(place)) {
      registry.note(place, 'flapping', `${this.#settings.flapCount} changes within ${this.#settings.flapWindowMs / 60_000} min`)
      alert(place, 'flapping', now)
    } else alert(place, 'drift', now)
  }

  #tellStrangers({ desired, observed }: Seen): void {
    const found = unmanaged(desired, observed)
    const ids = new Set(found.map(({ container }) => container.id))
    for (const id of this.#strangers) if (!ids.has(id)) this.#strangers.delete(id)
    for (const { container } of found) {
      if (this.#strangers.has(container.id)) continue
      this.#strangers.add(container.id)
      this.#needs.registry.note({}, 'unmanaged', `${container.name} (${container.image.reference}) is in no definition`)
    }
  }

  /** Soon after a start, those that come after others which do not run yet. */
  #waitingServices({ desired, components }: Seen): ReadonlySet<string> {
    if (this.#needs.clock.mono() - this.#startedMs > bootMs) return new Set()
    const late = new Set(
      components
        .filter(({ drifts }) => drifts.some(({ field, desired: wanted }) => field === 'state' && wanted === 'running'))
        .map(({ place }) => place.service),
    )
    return new Set(desired.filter(({ service }) => service.after.some((name) => late.has(name))).map(({ service }) => service.name))
  }

  #mend(place: Place, doing: string, work: () => Promise<void>): void {
    const { clock, places, registry, log } = this.#needs
    const key = placeText(place)
    const trouble = this.#trouble.get(key)
    if (places.doing(key) !== undefined || clock.mono() < (trouble?.notBeforeMs ?? 0)) return
    // The next attempt waits longer, whatever becomes of this one: what dies again soon after it was mended is no better than what could not be mended.
    const { next, delayMs } = failed(trouble?.backoff ?? rested, clock.mono())
    const mended = places
      .alone([key], doing, work)
      .then(() => {
        registry.note(place, 'mended', doing)
      })
      .catch((error: unknown) => {
        if (this.#signal.aborted) return
        const { message } = asFault(error)
        registry.note(place, 'not-mended', `${doing}: ${message}`)
        log.warn('run.not_mended', { place: key, doing, reason: message })
      })
      .finally(() => {
        this.#trouble.set(key, { backoff: next, notBeforeMs: clock.mono() + delayMs })
        this.#mending.delete(mended)
        this.hint()
      })
    this.#mending.add(mended)
  }

  #well(place: Place): void {
    const key = placeText(place)
    const trouble = this.#trouble.get(key)
    if (trouble) this.#trouble.set(key, { ...trouble, backoff: healthy(trouble.backoff, this.#needs.clock.mono()) })
  }

  async #do({ place, component, current }: ComponentDrift, mends: readonly Mend[]): Promise<void> {
    const { runtime, deploying, health } = this.#needs
    for (const mend of mends) {
      switch (mend.do) {
        case 'start':
          await runtime.start(mend.id)
          break
        case 'stop':
          await runtime.stop(mend.id, component.stop_within)
          break
        case 'remove':
          for (const id of mend.ids) await runtime.remove(id)
          break
        case 'rename':
          await runtime.rename(mend.id, mend.name)
          break
        case 'restart':
          await runtime.stop(current!.id, component.stop_within)
          await runtime.start(current!.id)
          break
        case 'create':
          await deploying.recreate(place, component)
          break
        case 'deploy':
          await deploying.deploy(place, component, { say: () => {} })
      }
    }
    health.forget(placeText(place))
  }
}

/** `exited(137)`, `image: a → b`. */
export function driftText({ cause, field, desired, observed }: Drift): string {
  return cause === 'image-changed' || cause === 'config-changed'
    ? `${cause}: ${field} is ${observed}, should be ${desired}`
    : `${cause}: ${observed}`
}
