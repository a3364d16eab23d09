// A restore that is killed at each moment leaves, when it was taken back or begun again, all of what was there or all of what was put back, and the services that ran running.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { atEveryPoint, runKilled } from '../../../test/kit/kill-points.ts'
import { helperUnit, installationAt, serverUnit } from '../installation.ts'
import { keepServices, livingProgram, processUnits, running } from '../units.fixture.ts'

type Machine = { readonly run: (at: number, work: 'restore' | 'undo') => Promise<number | null>; readonly seen: () => unknown }

/** One whose configuration and data are the old ones, with a backup of others; the server runs, the helper does not. */
async function machine(backedUp: string): Promise<Machine> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-restore-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  const { root, config, state, backups } = installationAt(folder)
  const places = { [config]: 'old', [state]: 'old', [join(backups, 'latest/config')]: backedUp, [join(backups, 'latest/data')]: backedUp }
  for (const [place, what] of Object.entries(places)) {
    mkdirSync(join(place, 'below'), { recursive: true })
    writeFileSync(join(place, 'config.yml'), what)
    writeFileSync(join(place, 'below', what), '')
  }
  mkdirSync(join(root, 'releases/0.1.0/bin'), { recursive: true })
  writeFileSync(join(root, 'releases/0.1.0/bin/fairlead'), livingProgram)
  symlinkSync('releases/0.1.0', join(root, 'current'))
  later(keepServices(root))
  await processUnits(root).restart(serverUnit)
  const of = (place: string): string => `${readFileSync(join(place, 'config.yml'), 'utf8')} ${readdirSync(join(place, 'below')).join()}`
  return {
    run: (at, work) => runKilled([join(import.meta.dirname, 'restore.fixture.ts'), folder, String(at), work]),
    seen: () => ({
      config: of(config),
      data: of(state),
      runs: running(root).length,
      helper: existsSync(join(root, `${helperUnit}.pid`)),
      left: [...readdirSync(join(folder, 'etc')), ...readdirSync(join(folder, 'var/lib')), ...readdirSync(join(root, 'staging'))].filter(
        (name) => !['mcp-raspi', 'restore.lock'].includes(name),
      ),
    }),
  }
}
const standing = (what: string) => ({ config: `${what} ${what}`, data: `${what} ${what}`, runs: 1, helper: false, left: [] })

test.for([
  ['a good one', 'new', 0, 'new', 2],
  ['one with which the server does not start', 'sick', 1, 'old', 4],
] as const)('%s, killed at each moment', { timeout: 240_000 }, async ([, backedUp, code, end, every], { skip }) => {
  skip(process.getuid?.() !== 0, 'not applicable: only root gives files to others')
  const stride = process.env['FAIRLEAD_LONG'] === undefined ? every : 1 // some of the moments always, and each of them in the long run
  const points = await atEveryPoint(async (round) => {
    const at = round * stride
    const { run, seen } = await machine(backedUp)
    const first = await run(at, 'restore')
    if (first === null) {
      expect([at, await run(-1, 'undo')]).toEqual([at, 0])
      expect([standing('old'), standing(end)], `killed at ${at}, taken back`).toContainEqual(seen())
    }
    expect([at, first === code ? code : await run(-1, 'restore'), seen()]).toEqual([at, code, standing(end)])
    return { wasKilled: first === null }
  })
  expect(points * stride).toBeGreaterThan(12)
})
