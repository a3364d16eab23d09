// A process that rotates a key and may be killed at any moment of it: `rotation.fixture.ts <folder> <kill at> <fail>`. Its registry is a file to which each
// publication adds a line. With `fail`, the new wallet cannot be put in place. Exit code: 0 done, 1 undone, 2 else.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { killPoints } from '../../../test/kit/kill-points.ts'
import { carryOut } from '../../base/steps/plan.ts'
import { readWalletCard } from '../../base/identity/wallet.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { homeIn } from '../home.ts'
import { type RotationRegistry, rotationPlan, rotationSteps } from './rotation.ts'

const [folder = '', at = '-1', fail] = process.argv.slice(2)
const home = homeIn(folder)
const published = join(folder, 'published')
const registry: RotationRegistry = {
  knows: async (rotation) =>
    rotation.says === 'rotated' && existsSync(published) && readFileSync(published, 'utf8').includes(rotation.next),
  publish: async ({ identity }) => appendFileSync(published, `${identity.peerId}\n`),
  handOver: async (old, next) => appendFileSync(join(folder, 'handed-over'), `${old.peerId} ${next}\n`),
}
const { wrap, log: killing } = killPoints(Number(at))
const needs = { home, keys: {}, registry, clock, log }
try {
  const begin = () => ({ old: readWalletCard(home.wallet)!.peerId, at: clock.now() })
  const steps = (input: ReturnType<typeof begin>) =>
    wrap(rotationSteps(needs, input)).map((step) =>
      fail && step.name === 'put the new wallet in place' ? { ...step, do: () => Promise.reject(new Error('it cannot be')) } : step,
    )
  const { outcome } = await carryOut({ log: killing }, { folder, name: rotationPlan, begin, steps })
  process.exitCode = outcome === 'done' ? 0 : 1
} catch (error) {
  process.exitCode = (error as { code?: string }).code === 'steps.undone' ? 1 : 2
}
