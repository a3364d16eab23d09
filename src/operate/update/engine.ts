// Puts another release in the place of the one that runs: a plan that survives a stop at any moment, and goes back by itself when the new one does not prove to be well.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Step, carryOut } from '../../base/steps/plan.ts'
import { hasUnfinished } from '../../base/steps/journal.ts'
import type { Clock } from '../../kernel/clock.ts'
import { type Fault, asFault } from '../../kernel/fault.ts'
import { makeFolder, pointLink, removeFile, writeWhole } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { serverUnit, units as ownUnits } from '../installation.ts'
import type { Units } from '../units.ts'
import { fault } from './faults.ts'
import type { Releases } from './releases.ts'
import { type Release, openRelease } from './release.ts'
import { unpackTarball } from './tarball.ts'
import { compareVersions } from './version.ts'
import { type LastUpdate, readVersion, writeVersion } from './version-file.ts'

/** What a change begins with: the journal of the plan holds it. */
export type Change = {
  readonly kind: 'update' | 'rollback'
  readonly from: string
  readonly to: string
  /** It was there before, and stays when the change is taken back. */
  readonly wasThere: boolean
  /** The services that ran: when all is over they run, and the others do not. */
  readonly active: readonly string[]
  readonly begunAt: string
}

export type EngineNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly units: Units
  readonly releases: Releases
  /** What is wrong with the release that should run now, or undefined. */
  readonly problemOf: (version: string) => Promise<string | undefined>
  /** Tells a person what is being done. */
  readonly say: (text: string) => void
}
export type EngineSettings = {
  /** /opt/mcp-raspi */
  readonly root: string
  readonly trust: { readonly signers: readonly string[]; readonly package: string }
  readonly keepVersions: number
  readonly healthMs: number
  /** For tests, which stop it at every moment. */
  readonly wrap?: (steps: readonly Step[]) => readonly Step[]
}

const planName = 'update'
const askEveryMs = 250
const workFolder = (root: string): string => join(root, 'staging')
const tarballPath = (root: string): string => join(workFolder(root), 'release.tgz')
/** While a change is unfinished, the release that began it: its engine ends it, also after a loss of power. */
const enginePath = (root: string): string => join(workFolder(root), 'engine')

/** Whether a change was cut off, and waits to be gone on with. */
export function isUnfinished(root: string): boolean {
  return hasUnfinished(workFolder(root), planName)
}

/** Ends the change that was cut off, forth or back. Faults as for `update`. */
export function resume(needs: EngineNeeds, settings: EngineSettings): Promise<Change> {
  return change(needs, settings, () => Promise.reject(fault.nothing_unfinished({ root: settings.root })))
}

/** Updates to the release `wanted`, in that tarball. Faults: `update.*`, `steps.*`; with `update.went_back` the one before runs again. */
export function update(needs: EngineNeeds, settings: EngineSettings, wanted: string, tarball: () => Promise<Uint8Array>): Promise<Change> {
  return change(needs, settings, async () => {
    const bytes = await tarball()
    const { version } = openRelease(unpackTarball(bytes), settings.trust)
    if (version !== wanted) throw fault.other_release({ wanted, version })
    const from = needs.releases.current()
    if (compareVersions(version, from) <= 0) throw fault.not_newer({ version, current: from })
    writeWhole(tarballPath(settings.root), bytes)
    return { kind: 'update', from, to: version, wasThere: needs.releases.isWhole(version, settings.trust) }
  })
}

/** Goes to a release that was kept. Faults as for `update`, `update.no_way_back`. */
export function rollBack(needs: EngineNeeds, settings: EngineSettings, wanted: string): Promise<Change> {
  return change(needs, settings, async () => {
    const [from, kept] = [needs.releases.current(), needs.releases.kept()]
    if (wanted === from || !kept.includes(wanted)) throw fault.no_way_back({ version: wanted, kept: kept.join(', ') })
    return { kind: 'rollback', from, to: wanted, wasThere: true }
  })
}

async function change(
  needs: EngineNeeds,
  settings: EngineSettings,
  begin: () => Promise<Pick<Change, 'kind' | 'from' | 'to' | 'wasThere'>>,
): Promise<Change> {
  const { root } = settings
  makeFolder(workFolder(root))
  let begun: Change | undefined
  try {
    const { outcome, input } = await carryOut<Change>(needs, {
      folder: workFolder(root),
      name: planName,
      begin: async () => {
        readVersion(root) // damaged, it could not tell what became of the change
        const active = await activeUnits(needs.units)
        const found = { ...(await begin()), active, begunAt: new Date(needs.clock.now()).toISOString() }
        pointLink(enginePath(root), needs.releases.folderOf(found.from))
        return found
      },
      steps: (input) => {
        begun = input
        const steps = new Deeds(needs, settings, input).steps()
        return settings.wrap?.(steps) ?? steps
      },
    })
    clear(root)
    if (outcome === 'undone') throw wentBack(root, input)
    return input
  } catch (error) {
    const { code } = asFault(error)
    if (code !== 'steps.undone' || !begun) throw error
    clear(root)
    throw wentBack(root, begun)
  }
}

function clear(root: string): void {
  for (const path of [enginePath(root), tarballPath(root)]) removeFile(path)
}

function wentBack(root: string, { from, to }: Change): Fault {
  return fault.went_back({ from, to, problem: readVersion(root)?.last_update.reason ?? 'it was cut off' })
}

async function activeUnits(units: Units): Promise<readonly string[]> {
  const states = await Promise.all(ownUnits.map(async (unit) => ({ unit, state: await units.state(unit) })))
  return states.filter(({ state }) => ['active', 'activating', 'reloading'].includes(state.active)).map(({ unit }) => unit)
}

/** The steps of one change. */
class Deeds {
  readonly #needs: EngineNeeds
  readonly #settings: EngineSettings
  readonly #change: Change
  #reason: string | undefined

  constructor(needs: EngineNeeds, settings: EngineSettings, asked: Change) {
    this.#needs = needs
    this.#settings = settings
    this.#change = asked
  }

  steps(): readonly Step[] {
    const told = (step: Step, text: string): Step => ({
      ...step,
      do: () => {
        this.#needs.say(text)
        return step.do()
      },
    })
    const { from, to, kind } = this.#change
    return [
      told(this.#note(), `${kind} from ${from} to ${to}`),
      ...(kind === 'update' ? [told(this.#place(), `put release ${to} beside the others`)] : []),
      told(this.#switch(), `run ${to} instead of ${from}`),
      told(this.#prove(), 'wait until it is well'),
      told(this.#record(), `keep ${to}`),
      told(this.#tidy(), 'remove what is not needed'),
    ]
  }

  /** First to be done and last to be undone: version.json says what is going on, and what became of it. */
  #note(): Step {
    const { root } = this.#settings
    const { from, to, begunAt } = this.#change
    const [before, last] = [() => readVersion(root), () => readVersion(root)?.last_update]
    return {
      name: 'note',
      isDone: () => last()?.status === 'in_progress' && last()?.timestamp === begunAt,
      do: () =>
        this.#write(from, before()?.previous_good_version ?? null, {
          status: 'in_progress',
          timestamp: begunAt,
          from_version: from,
          to_version: to,
        }),
      undo: async () => {
        await this.#rest()
        const reason = this.#reason ?? 'it was cut off'
        const timestamp = new Date(this.#needs.clock.now()).toISOString()
        this.#write(from, before()?.previous_good_version ?? null, {
          status: 'rolled_back',
          timestamp,
          from_version: to,
          to_version: from,
          reason,
        })
      },
    }
  }

  #place(): Step {
    const { releases } = this.#needs
    const { trust } = this.#settings
    const { to, wasThere } = this.#change
    return {
      name: 'place',
      isDone: () => releases.isWhole(to, trust),
      do: () => releases.place(this.#staged()),
      undo: () => {
        if (!wasThere) releases.remove(to)
      },
    }
  }

  #staged(): Release {
    return openRelease(unpackTarball(readFileSync(tarballPath(this.#settings.root))), this.#settings.trust)
  }

  #switch(): Step {
    const { releases } = this.#needs
    const { from, to } = this.#change
    return {
      name: 'switch',
      isDone: async () => releases.current() === to && (await this.#notOf(to)) === undefined,
      do: async () => {
        releases.point(to)
        await this.#restart().catch((error: unknown) => this.#failed(error))
      },
      undo: async () => {
        releases.point(from)
        await this.#restart()
      },
    }
  }

  /** Those that ran, and the server in any case: what does not run proves nothing. */
  #wanted(): readonly string[] {
    return ownUnits.filter((unit) => unit === serverUnit || this.#change.active.includes(unit))
  }

  async #restart(): Promise<void> {
    for (const unit of this.#wanted()) await this.#needs.units.restart(unit)
  }

  /** What runs and is not of that release, in words. */
  async #notOf(version: string): Promise<string | undefined> {
    const { units, releases } = this.#needs
    for (const unit of this.#wanted()) {
      const { active, pid, sub, result } = await units.state(unit)
      if (active !== 'active' || pid === 0) return `${unit} is ${active} (${sub}, ${result})`
      if (!units.argvOf(pid).some((word) => word.startsWith(`${releases.folderOf(version)}/`))) return `${unit} runs another release`
    }
    return undefined
  }

  /** Nothing is done but to look, so there is nothing to take back; after a stop it is looked at anew. */
  #prove(): Step {
    const { clock, problemOf, units } = this.#needs
    const { healthMs } = this.#settings
    const { to } = this.#change
    let isWell = false
    const prove = async (): Promise<void> => {
      const from = clock.mono()
      const pidsAtStart = await this.#pids()
      for (let problem: string | undefined = 'it was not asked'; ; await clock.wait(askEveryMs)) {
        const gone = await this.#notOf(to)
        const { restarts } = await units.state(serverUnit)
        if (gone !== undefined) throw fault.not_well({ version: to, withinMs: Math.round(clock.mono() - from), problem: gone })
        if ((await this.#pids()) !== pidsAtStart)
          throw fault.not_well({
            version: to,
            withinMs: Math.round(clock.mono() - from),
            problem: `a service died and was started again (${restarts} times)`,
          })
        problem = await problemOf(to)
        if (problem === undefined) return
        if (clock.mono() - from >= healthMs) throw fault.not_well({ version: to, withinMs: healthMs, problem })
      }
    }
    return {
      name: 'prove',
      isDone: () => isWell,
      do: async () => {
        await prove().catch((error: unknown) => this.#failed(error))
        isWell = true
      },
      undo: () => {},
    }
  }

  async #pids(): Promise<string> {
    const states = await Promise.all(this.#wanted().map((unit) => this.#needs.units.state(unit)))
    return states.map(({ pid }) => pid).join(' ')
  }

  #record(): Step {
    const { root } = this.#settings
    const { from, to, kind, begunAt } = this.#change
    const status = kind === 'update' ? 'success' : 'rolled_back'
    return {
      name: 'record',
      isDone: () => readVersion(root)?.current_version === to && readVersion(root)?.last_update.status === status,
      do: () => {
        const reason = kind === 'rollback' ? { reason: 'it was asked for' } : {}
        // after a way back there is no release before it that is known to be good, unless an older one is kept
        const previous = kind === 'update' ? from : this.#olderThan(to)
        this.#write(to, previous, { status, timestamp: begunAt, from_version: from, to_version: to, ...reason })
      },
      undo: () => {}, // `note` is undone after it, and writes the whole of it
    }
  }

  #olderThan(version: string): string | null {
    const kept = this.#needs.releases.kept()
    return kept[kept.indexOf(version) + 1] ?? null
  }

  /** From here on there is no way back, and nothing that could need one. */
  #tidy(): Step {
    const { releases } = this.#needs
    const { keepVersions } = this.#settings
    const { from, to } = this.#change
    const surplus = (): readonly string[] => {
      const others = releases.kept().filter((version) => version !== to && version !== from)
      return others.slice(Math.max(0, keepVersions - 2))
    }
    return {
      name: 'tidy',
      isDone: async () => surplus().length === 0 && (await this.#awake()).length === 0,
      do: async () => {
        for (const version of surplus()) releases.remove(version)
        await this.#rest()
      },
    }
  }

  /** Services that were started for the proof alone. */
  async #awake(): Promise<readonly string[]> {
    const active = await activeUnits(this.#needs.units)
    return active.filter((unit) => !this.#change.active.includes(unit))
  }

  async #rest(): Promise<void> {
    for (const unit of (await this.#awake()).toReversed()) await this.#needs.units.stop(unit)
  }

  #write(current: string, previous: string | null, last: LastUpdate): void {
    writeVersion(this.#settings.root, { current_version: current, previous_good_version: previous, last_update: last })
  }

  #failed(error: unknown): never {
    this.#reason = asFault(error).message
    throw error
  }
}
