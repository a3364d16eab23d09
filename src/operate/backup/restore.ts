// Puts a backup in the place of configuration and data: a plan that a stop at any moment leaves to be ended, and that goes back when the services do not come up with it.
import { lstatSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type AgeKey, ageKind, ageOpen } from '../../base/identity/age.ts'
import { type Step, carryOut } from '../../base/steps/plan.ts'
import type { Clock } from '../../kernel/clock.ts'
import { exec } from '../../kernel/exec.ts'
import { asFault } from '../../kernel/fault.ts'
import { copyFolder, makeFolder, movePath, removeFolder, statOf, syncFolder, writeWhole } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { type Installation, units as ownUnits } from '../installation.ts'
import type { Units } from '../units.ts'
import { fault } from './faults.ts'
import { maxSealedBytes } from './take.ts'

export type RestoreNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly units: Units
  /** Around the steps: for tests that stop between a deed and its record. */
  readonly wrap?: (steps: readonly Step[]) => readonly Step[]
}
export type RestoreSettings = {
  readonly installation: Installation
  /** A folder, an archive, or a sealed one. */
  readonly from: string
  readonly key?: AgeKey | undefined
}
type Restoring = { readonly active: readonly string[] }

const planName = 'restore'
const tarTimeoutMs = 3_600_000

const stagingOf = ({ root }: Installation): string => join(root, 'staging')

/** One that was cut off is taken back before. Faults `backup.*`, `age.*`, `steps.*`. */
export async function restoreBackup(needs: RestoreNeeds, settings: RestoreSettings): Promise<void> {
  await undoRestore(needs, settings.installation)
  await carryOn(needs, settings.installation, async (folder) => {
    const active: string[] = []
    for (const unit of ownUnits) if ((await needs.units.state(unit)).active === 'active') active.push(unit)
    await unpackInto(folder, settings)
    return { active }
  })
}

/** Takes back a restore that was cut off, if there is one: it is not known whether anybody wants it still. One that had only to be tidied up is ended. Faults `steps.*`. */
export async function undoRestore(needs: RestoreNeeds, installation: Installation): Promise<boolean> {
  let isCutOff = true
  try {
    await carryOn(needs, installation, () => {
      isCutOff = false
      throw new Error('there is nothing to take back')
    })
  } catch (error) {
    if (isCutOff) throw error
  }
  return isCutOff
}

async function carryOn(needs: RestoreNeeds, installation: Installation, begin: (folder: string) => Promise<Restoring>): Promise<void> {
  const folder = stagingOf(installation)
  makeFolder(folder)
  try {
    await carryOut<Restoring>(needs, {
      folder,
      name: planName,
      begin: () => begin(folder),
      steps: ({ active }) => {
        const all = steps(needs, installation, folder, active)
        return needs.wrap?.(all) ?? all
      },
      onReturn: 'undo',
      tidy: () => removeFolder(join(folder, 'restore')),
    })
  } catch (error) {
    if (asFault(error).code === 'steps.undone') throw fault.went_back({ problem: asFault((error as Error).cause).message }, error)
    throw error
  }
}

/** To staging/restore/{config,data}. */
async function unpackInto(folder: string, { from, key }: RestoreSettings): Promise<void> {
  const target = join(folder, 'restore')
  removeFolder(target)
  makeFolder(target)
  const stat = statOf(from)
  if (!stat) throw fault.none({ path: from })
  let found = from
  if (stat.isFile()) {
    await unpackArchive(target, from, key)
    found =
      readdirSync(target)
        .map((name) => join(target, name))
        .find((path) => lstatSync(path).isDirectory()) ?? target
  }
  for (const part of ['config', 'data']) {
    if (!statOf(join(found, part))?.isDirectory()) throw fault.not_one({ path: from, problem: `it has no ${part}/` })
    await (stat.isFile() ? movePath(join(found, part), join(target, part)) : copyFolder(join(found, part), join(target, part)))
  }
}

async function unpackArchive(target: string, from: string, key: AgeKey | undefined): Promise<void> {
  let archive = from
  const head = readFileSync(from).subarray(0, 64)
  const kind = ageKind(head)
  if (kind) {
    if (statOf(from)!.size > maxSealedBytes) throw fault.too_large({ path: from, maxBytes: maxSealedBytes })
    if (!key) throw fault.key_wanted({ path: from, flag: '--key' })
    archive = join(target, 'opened.tar.gz')
    writeWhole(archive, await ageOpen(readFileSync(from), key, from))
  }
  const { exitCode, stderr } = await exec(['tar', '-xzf', archive, '-C', target, '--no-same-owner', '--same-permissions'], {
    env: { PATH: '/usr/bin:/bin' },
    timeoutMs: tarTimeoutMs,
  })
  if (exitCode !== 0) throw fault.not_one({ path: from, problem: stderr.trim().split('\n')[0] || `tar ended with exit code ${exitCode}` })
}

function steps(
  { units }: RestoreNeeds,
  { config, state, account }: Installation,
  folder: string,
  active: readonly string[],
): readonly Step[] {
  const start = async (): Promise<void> => {
    for (const unit of active) await units.restart(unit)
  }
  const running = async (): Promise<boolean> => (await Promise.all(ownUnits.map((unit) => units.state(unit)))).some(({ pid }) => pid !== 0)
  const stop = async (): Promise<void> => {
    for (const unit of ownUnits.toReversed()) await units.stop(unit)
  }
  // a machine that was started anew meanwhile has started them too
  const atRest = (step: Step): Step => ({ ...step, undo: () => stop().then(step.undo) })
  return [
    { name: 'stop', isDone: async () => !(await running()), do: stop, undo: start },
    atRest(replace('config', join(folder, 'restore/config'), config, () => ownConfig(config, account))),
    atRest(replace('data', join(folder, 'restore/data'), state, () => must('chown', '-R', `${account}:${account}`, `${state}.restored`))),
    {
      name: 'start',
      isDone: async () => (await Promise.all(active.map((unit) => units.state(unit)))).every((one) => one.active === 'active'),
      do: start,
      undo: stop,
    },
    {
      name: 'tidy',
      isDone: () => [config, state].every((path) => !statOf(`${path}.before`)),
      do: () => [config, state].forEach((path) => removeFolder(`${path}.before`)),
    },
  ]
}

/** Made ready beside the place, owners and modes too, and put there by two renames: what was there waits as `.before`. */
function replace(name: string, from: string, place: string, own: () => Promise<void>): Step {
  const [restored, before] = [`${place}.restored`, `${place}.before`]
  return {
    name,
    isDone: () => statOf(before) !== undefined && statOf(place) !== undefined && !statOf(restored),
    async do() {
      if (!statOf(before) || statOf(place)) {
        removeFolder(restored)
        await copyFolder(from, restored)
        await own()
        removeFolder(before)
        movePath(place, before)
      }
      movePath(restored, place)
      syncFolder(dirname(place))
    },
    undo() {
      if (statOf(before)) {
        removeFolder(place)
        movePath(before, place)
      }
      removeFolder(restored)
      syncFolder(dirname(place))
    },
  }
}

async function ownConfig(config: string, account: string): Promise<void> {
  const restored = `${config}.restored`
  await must('chown', '-R', `root:${account}`, restored)
  await must('chmod', '-R', 'g-w,o=', restored) // what was root's alone stays so
  await must('chmod', '750', restored)
  if (statOf(join(restored, 'secrets.env'))) {
    await must('chown', 'root:root', join(restored, 'secrets.env'))
    await must('chmod', '600', join(restored, 'secrets.env'))
  }
}

async function must(...argv: readonly [string, ...string[]]): Promise<void> {
  const { exitCode, stderr } = await exec(argv, { env: { PATH: '/usr/bin:/bin' }, timeoutMs: tarTimeoutMs })
  if (exitCode !== 0) throw fault.went_back({ problem: stderr.trim().split('\n')[0] ?? argv[0] })
}
