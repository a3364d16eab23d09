// A process that changes the release of a machine in a folder, and may be killed at any moment of it: `engine.fixture.ts <folder> <kill at> <work as JSON>`. Exit code: 0 done, 1 went back, 2 anything else.
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { killPoints } from '../../../test/kit/kill-points.ts'
import { systemClock } from '../../kernel/clock.ts'
import { processUnits } from '../units.fixture.ts'
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
const units = processUnits(folder)
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
