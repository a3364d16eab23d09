// The rotations of a gate: begun by an operator, gone on with by whichever process of the gate comes next, one at a time for each connector.
import { readdirSync } from 'node:fs'
import { asFault } from '../../kernel/fault.ts'
import { randomId } from '../../kernel/random.ts'
import { carryOut } from '../../base/steps/plan.ts'
import { readJournal } from '../../base/steps/journal.ts'
import type { Rotation } from '../api.ts'
import { fault } from '../faults.ts'
import { instantText } from './instant.ts'
import { type RotationInput, type RotationNeeds, type RotationSettings, rotationSteps } from './rotation.ts'

const planPattern = /^(rotate-.+)\.plan\.json$/
/** A plan that cannot go on (a full disk, say) is tried again after so long. */
const retryMs = 10_000

export class Rotations {
  readonly #needs: RotationNeeds
  readonly #settings: RotationSettings
  readonly #folder: string
  readonly #stop = new AbortController()
  readonly #running = new Map<string, { readonly connectors: readonly string[]; readonly ended: Promise<void> }>()
  #wake: () => void = () => {}
  #woken: Promise<void> = Promise.resolve()

  /** `folder` holds the journals. */
  constructor(needs: Omit<RotationNeeds, 'changed' | 'signal'>, settings: Omit<RotationSettings, 'process'> & { readonly folder: string }) {
    this.#folder = settings.folder
    this.#settings = { ...settings, process: randomId() }
    this.#needs = { ...needs, signal: this.#stop.signal, changed: (withinMs) => this.#change(withinMs) }
    this.poke()
  }

  /** Goes on with what an earlier process left. */
  resume(): void {
    for (const file of readdirSync(this.#folder)) {
      const name = planPattern.exec(file)?.[1]
      const journal = name === undefined ? undefined : readJournal<RotationInput>(this.#folder, name)
      if (journal) this.#run(name!, () => journal.input, journal.input.connectors).catch(() => {}) // told where it failed
    }
  }

  /**
   * Begins a rotation of the connectors to the credential with this hash; resolves when it holds beside the old ones. Asked again for the same, nothing new is begun.
   * Faults: `gate.rotation_underway`, `gate.credential_used`, and those of the first step.
   */
  async begin(connectors: readonly string[], sha256: string, overlapMs: number): Promise<Rotation> {
    const { credentials, clock, ledger } = this.#needs
    const known = this.state(connectors, sha256)
    if (known && known.state !== 'undone') return known
    for (const connector of connectors) {
      if (this.isUnderway(connector)) throw fault.rotation_underway({ connector })
      if (credentials.standing(connector, sha256).is !== 'unknown') throw fault.credential_used({ connector })
    }
    const old = Object.fromEntries(
      connectors.flatMap((id) => {
        const { current } = credentials.of(id)
        return current ? [[id, current.sha256]] : []
      }),
    )
    const { frozen } = credentials
    if (frozen && Object.keys(old).length > 0) throw fault.frozen({ why: frozen.why, since: instantText(frozen.sinceMs) }) // nobody could prove it
    const input: RotationInput = {
      id: randomId(9),
      process: this.#settings.process,
      connectors: connectors.toSorted(),
      sha256,
      old,
      untilMs: clock.now() + overlapMs,
      fromSeq: ledger.next,
    }
    const offered = Promise.withResolvers<void>()
    const ended = this.#run(`rotate-${input.connectors.join('+')}`, () => input, input.connectors, offered.resolve)
    await Promise.race([offered.promise, ended])
    return this.state(connectors, sha256) ?? { state: 'undone' }
  }

  isUnderway(connector: string): boolean {
    return [...this.#running.values()].some(({ connectors }) => connectors.includes(connector))
  }

  /** How far a rotation to this credential is; undefined: none is known. */
  state(connectors: readonly string[], sha256: string): Rotation | undefined {
    const { credentials } = this.#needs
    const states = connectors.map((id): Rotation | undefined => {
      const { current, next, ended } = credentials.of(id)
      // Its end is the end of the plan: the rotation ledger is written, too.
      if (current?.sha256 === sha256) return { state: this.isUnderway(id) ? 'proved' : 'done' }
      if (next?.sha256 === sha256) return { state: next.provedMs === undefined ? 'offered' : 'proved', until: next.untilMs }
      return ended.some((one) => one.sha256 === sha256) ? { state: 'undone' } : undefined
    })
    return order.map((state) => states.find((one) => one?.state === state)).find((one) => one !== undefined)
  }

  /** Something happened that a rotation may wait for. */
  poke(): void {
    this.#wake()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#woken = promise
    this.#wake = resolve
  }

  /** Leaves what waits as it is, for the next process. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.poke()
    await Promise.allSettled([...this.#running.values()].map(({ ended }) => ended))
  }

  #change(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#needs.clock.after(withinMs, resolve)
      void this.#woken.then(() => {
        cancel()
        resolve()
      })
    })
  }

  #run(name: string, begin: () => RotationInput, connectors: readonly string[], offered: () => void = () => {}): Promise<void> {
    const ended = this.#carryOut(name, begin, offered).finally(() => this.#running.delete(name))
    this.#running.set(name, { connectors, ended })
    return ended
  }

  /** Until it is done or undone, or the gate stops. Rejects when it could not be begun. */
  async #carryOut(name: string, begin: () => RotationInput, offered: () => void): Promise<void> {
    const { clock, log, signal } = this.#needs
    let isOffered = false
    const noteOffered = (): void => {
      isOffered = true
      offered()
    }
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      if (!isFirst) await this.#change(retryMs)
      try {
        const steps = (input: RotationInput) => {
          const [first, second, ...rest] = rotationSteps(this.#needs, this.#settings, input)
          return [first!, { ...second!, isDone: () => (noteOffered(), second!.isDone()) }, ...rest]
        }
        const { outcome, input } = await carryOut({ log }, { folder: this.#folder, name, begin, steps, signal })
        return log.info('gate.rotation.over', { outcome, connectors: input.connectors, atMs: clock.now() })
      } catch (error) {
        const { code, message, cause } = asFault(error)
        if (signal.aborted) return
        if (code === 'steps.undone' && !isOffered) throw cause
        if (code === 'steps.undone') return log.warn('gate.rotation.undone', { plan: name, reason: message })
        log.error('gate.rotation.stuck', { plan: name, reason: message })
        if (!readJournal(this.#folder, name)) throw error // it never began
      }
    }
  }
}

/** Of several connectors that are rotated together, the one that is least far tells. */
const order: readonly Rotation['state'][] = ['undone', 'offered', 'proved', 'done']
