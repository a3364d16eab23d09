// A process that changes the release of a machine in a folder, and may be killed at any moment of it: `engine.fixture.ts <folder> <kill at> <work as JSON>`. Its services are real processes of
// the release that `current` leads to; which they are is kept in files. Exit code: 0 done, 1 went back, 2 anything else.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { killPoints } from '../../../test/kit/kill-points.ts'
import { systemClock } from '../../kernel/clock.ts'
import { type Units, systemUnits } from '../units.ts'
import { type EngineNeeds, type EngineSettings, isUnfinished, resume, rollBack, update } from './engine.ts'
import { Releases, lastGood } from './releases.ts'

export type Work = {
  readonly do: 'update' | 'rollback'
  readonly tarball?: string
  readonly wanted?: string
  readonly signers: readonly string[]
  readonly isWell?: boolean
}

const [folder = '', at = '-1', text = '{}'] = process.argv.slice(2)
const work = JSON.parse(text) as Work
const pidFile = (unit: string): string => join(folder, `${unit}.pid`)
const pidOf = (unit: string): number => (existsSync(pidFile(unit)) ? Number(readFileSync(pidFile(unit), 'utf8')) : 0)

const units: Units = {
  async state(unit) {
    const pid = pidOf(unit)
    const isUp = pid !== 0 && systemUnits.argvOf(pid).some((word) => word.startsWith(folder))
    return {
      isLoaded: true,
      active: isUp ? 'active' : 'inactive',
      sub: '',
      result: 'success',
      pid: isUp ? pid : 0,
      restarts: 0,
      exitStatus: 0,
    }
  },
  async restart(unit) {
    await units.stop(unit)
    const program = join(realpathSync(join(folder, 'current')), 'bin/fairlead')
    const child = spawn('/bin/sh', [program], { detached: true, stdio: 'ignore' })
    writeFileSync(pidFile(unit), String(child.pid))
    child.unref()
  },
  async stop(unit) {
    const { pid } = await units.state(unit)
    if (pid !== 0) process.kill(-pid, 'SIGKILL')
    while (systemUnits.argvOf(pid).length > 0) await systemClock.wait(1)
  },
  argvOf: systemUnits.argvOf,
}

const { wrap, log } = killPoints(Number(at))
const releases = new Releases(folder)
const problemOf = async (version: string): Promise<string | undefined> =>
  work.isWell === false && version === '0.2.0' ? 'it is sick' : undefined
const needs: EngineNeeds = { clock: systemClock, log, units, releases, problemOf, say: () => {} }
const settings: EngineSettings = { root: folder, trust: { signers: work.signers, package: 'fairlead' }, keepVersions: 2, healthMs: 0, wrap }
try {
  if (isUnfinished(folder)) await resume(needs, settings)
  else if (work.do === 'update') await update(needs, settings, work.wanted ?? '0.2.0', async () => readFileSync(work.tarball!))
  else await rollBack(needs, settings, lastGood(releases, folder)!)
} catch (error) {
  const { code } = error as { code?: string }
  if (
    !['update.went_back', 'update.not_newer', 'update.not_signed', 'update.other_release', 'update.version_file_damaged'].includes(
      code ?? '',
    )
  )
    console.error(error)
  process.exitCode = code === 'update.went_back' ? 1 : 2
}
