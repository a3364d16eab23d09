// What may change while the gate runs, and how it is taken: whole, or not at all; one after the other, and recorded.
import { hash } from 'node:crypto'
import { asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import type { Access } from './access-now.ts'
import type { Entrances } from './entrances.ts'
import type { Changeable, GateSettings } from './settings.ts'
import type { Joined } from './joined/joined.ts'
import type { Limits } from './limit/limits.ts'
import type { Changes, LineUp } from './line-up.ts'
import type { Prepared } from './places.ts'
import type { Pins } from './pin/pins.ts'
import type { Sessions } from './sessions.ts'
import { checkSettings } from './start-checks.ts'

/** A configuration that was read again. */
export type Reading = {
  readonly settings: Changeable
  /** Keys of it that are others now, and hold with it; and those that need a new start. */
  readonly changedKeys: readonly string[]
  readonly needsRestart: readonly string[]
  /** Called when it is in force. */
  readonly taken: () => void
}

/** What a reload did. */
export type Reloaded = Changes & Pick<Reading, 'changedKeys' | 'needsRestart'>

export type ReloadNeeds = {
  readonly log: Log
  readonly ledger: Ledger
  readonly sessions: Sessions
  readonly access: Access
  readonly limits: Limits
  readonly pins: Pins
  readonly lineUp: LineUp
  readonly joined: Pick<Joined, 'changed'>
  readonly entrances: Pick<Entrances, 'prepare'>
  /** Reads the configuration again. */
  readonly read: () => Promise<Reading>
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
  reload(read: () => Promise<Reading> = this.#needs.read): Promise<Reloaded> {
    const reloading = this.#last.then(() => this.#reload(read))
    this.#last = reloading.catch(() => {})
    return reloading
  }

  async #reload(read: () => Promise<Reading>): Promise<Reloaded> {
    const { log, ledger, pins, entrances } = this.#needs
    let doors: Prepared | undefined
    try {
      const { settings: next, changedKeys, needsRestart, taken } = await read()
      checkSettings({ ...this.#settings, ...next })
      const upstreams = next.upstreams.map(({ name, fingerprint }) => [name, fingerprint])
      const takePins = await pins.prepare(next.upstreams)
      doors = await entrances.prepare(next)
      await ledger.append({ event: 'reload', access: digestOf(next), upstreams })
      takePins()
      const reloaded = { ...this.#take(next, doors), changedKeys, needsRestart }
      taken()
      if (read === this.#needs.read) this.problem = undefined
      log.info('gate.reloaded', reloaded)
      if (needsRestart.length > 0) log.warn('gate.reload.needs_restart', { keys: needsRestart })
      return reloaded
    } catch (error) {
      await doors?.undo()
      const { message } = asFault(error)
      if (read === this.#needs.read) this.problem = message
      log.error('gate.reload.refused', { reason: message })
      await ledger.append({ event: 'reload.refused', reason: message.slice(0, 1_000) }).catch(() => {})
      throw error
    }
  }

  #take(next: Changeable, doors: Prepared): Changes {
    const { log, sessions, access, limits, lineUp, joined } = this.#needs
    const { drainMs } = this.#settings
    const gone = access.take(next)
    doors.take()
    limits.take(next.callLimits ?? [])
    const { over, ...changes } = lineUp.take(next.upstreams, drainMs)
    joined.changed(new Set([...changes.removed, ...changes.changed]))
    Promise.all([over, ...gone.map((name) => sessions.endOf(name, 'its principal was removed', drainMs))]).catch((error: unknown) =>
      log.error('gate.defect', { what: 'what a reload ended', error }),
    )
    return changes
  }
}

/** Who was let in, what was allowed to whom, and how often, so that the record says which rules a later call was judged by. */
function digestOf({ credentials, dashboardFor, rules, callLimits, door, local, issuers, scopes, cloudflare, sockets }: Changeable): string {
  const access = [credentials, dashboardFor, rules, callLimits, door, local, issuers, scopes, cloudflare, sockets]
  const plain = (key: string, value: unknown): unknown => (key === 'keys' ? undefined : value instanceof Map ? [...value] : value)
  return hash('sha256', JSON.stringify(access, plain), 'base64url')
}
