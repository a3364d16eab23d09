// What may change while the gate runs, and how it is taken: whole, or not at all; one after the other, and recorded.
import { hash } from 'node:crypto'
import { asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import type { Access } from './access-now.ts'
import type { GateSettings } from './gate.ts'
import type { Joined } from './joined/joined.ts'
import type { Limits } from './limit.ts'
import type { Changes, LineUp } from './line-up.ts'
import type { Pins } from './pin/pins.ts'
import type { Sessions } from './sessions.ts'
import { checkSettings } from './start-checks.ts'

export type Changeable = Pick<GateSettings, 'credentials' | 'metricsFor' | 'rules' | 'callLimits' | 'upstreams'>

export type ReloadNeeds = {
  readonly log: Log
  readonly ledger: Ledger
  readonly sessions: Sessions
  readonly access: Access
  readonly limits: Limits
  readonly pins: Pins
  readonly lineUp: LineUp
  readonly joined: Pick<Joined, 'changed'>
}

export class Reloads {
  /** Why the last one was not taken. */
  problem: string | undefined
  readonly #needs: ReloadNeeds
  readonly #settings: GateSettings
  #last: Promise<unknown> = Promise.resolve()

  constructor(needs: ReloadNeeds, settings: GateSettings) {
    this.#needs = needs
    this.#settings = settings
  }

  /** See `Gate.reload`. */
  reload(read: () => Promise<Changeable>): Promise<Changes> {
    const reloading = this.#last.then(() => this.#reload(read))
    this.#last = reloading.catch(() => {})
    return reloading
  }

  async #reload(read: () => Promise<Changeable>): Promise<Changes> {
    const { log, ledger, pins } = this.#needs
    try {
      const next = await read()
      checkSettings({ ...this.#settings, ...next })
      const upstreams = next.upstreams.map(({ name, fingerprint }) => [name, fingerprint])
      const takePins = await pins.prepare(next.upstreams)
      await ledger.append({ event: 'reload', access: digestOf(next), upstreams })
      takePins()
      return await this.#take(next)
    } catch (error) {
      const { message } = asFault(error)
      this.problem = message
      log.error('gate.reload.refused', { reason: message })
      await ledger.append({ event: 'reload.refused', reason: message.slice(0, 1_000) }).catch(() => {})
      throw error
    }
  }

  async #take(next: Changeable): Promise<Changes> {
    const { log, sessions, access, limits, lineUp, joined } = this.#needs
    const { drainMs } = this.#settings
    const gone = access.take(next)
    limits.take(next.callLimits ?? [])
    const { over, ...changes } = lineUp.take(next.upstreams, drainMs)
    this.problem = undefined
    joined.changed(new Set([...changes.removed, ...changes.changed]))
    log.info('gate.reloaded', { ...changes })
    await Promise.all([over, ...gone.map((name) => sessions.endOf(name, 'its principal was removed', drainMs))])
    return changes
  }
}

/** What was allowed to whom, and how often, so that the record says which rules a later call was judged by. */
function digestOf({ credentials, rules, callLimits }: Changeable): string {
  return hash('sha256', JSON.stringify([credentials, rules, callLimits]), 'base64url')
}
