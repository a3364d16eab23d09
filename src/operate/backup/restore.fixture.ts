// A process that puts a backup back on a machine in a folder, or takes back what was cut off, and may be killed at any moment of it: `restore.fixture.ts <folder> <kill at> restore|undo`.
// A service with a configuration that says `sick` does not start. Exit code: 0 done, 1 went back.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { killPoints } from '../../../test/kit/kill-points.ts'
import { systemClock } from '../../kernel/clock.ts'
import { installationAt } from '../installation.ts'
import { processUnits } from '../units.fixture.ts'
import { restoreBackup, undoRestore } from './restore.ts'

const [folder = '', at = '-1', work] = process.argv.slice(2)
const installation = { ...installationAt(folder), account: 'root' }
const units = processUnits(installation.root)
const { wrap, log } = killPoints(Number(at))
const needs = {
  clock: systemClock,
  log,
  wrap,
  units: {
    ...units,
    restart: (unit: string): Promise<void> =>
      readFileSync(join(installation.config, 'config.yml'), 'utf8').includes('sick')
        ? Promise.reject(new Error(`${unit} is sick`))
        : units.restart(unit),
  },
}
try {
  if (work === 'undo') await undoRestore(needs, installation)
  else await restoreBackup(needs, { installation, from: join(installation.backups, 'latest') })
} catch (error) {
  if ((error as { code?: string }).code !== 'backup.went_back') throw error
  process.exitCode = 1
}
