// A process that carries out a plan and may be killed at any moment of it: `plan.fixture.ts <folder> <kill at> <options as JSON>`. Its deeds are lines added to
// a file, so that a deed done twice is seen. Exit code: 0 done, 1 undone, 2 stuck.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { killPoints } from '../../../test/kit/kill-points.ts'
import { writeWhole } from '../../kernel/file.ts'
import { type Step, carryOut } from './plan.ts'

export type FixtureOptions = {
  readonly steps: readonly { readonly name: string; readonly hasUndo: boolean }[]
  /** The deed of this step fails, each time. */
  readonly failsAt?: string
  readonly onReturn?: 'resume' | 'undo'
}

const [folder = '', at = '-1', text = '{}'] = process.argv.slice(2)
const options = JSON.parse(text) as FixtureOptions
const world = join(folder, 'world')
const lines = (): string[] => (existsSync(world) ? readFileSync(world, 'utf8').split('\n').filter(Boolean) : [])

const steps = options.steps.map(({ name, hasUndo }): Step => ({
  name,
  isDone: () => lines().includes(name),
  do() {
    if (name === options.failsAt) throw new Error('it cannot be')
    appendFileSync(world, `${name}\n`)
  },
  ...(hasUndo
    ? {
        undo: () =>
          writeWhole(
            world,
            lines()
              .filter((line) => line !== name)
              .map((line) => `${line}\n`)
              .join(''),
          ),
      }
    : {}),
}))
const { wrap, log } = killPoints(Number(at))
try {
  const { outcome } = await carryOut(
    { log },
    {
      folder,
      name: 'fixture',
      begin: () => ({ begun: 1 }),
      steps: () => wrap(steps),
      ...(options.onReturn ? { onReturn: options.onReturn } : {}),
    },
  )
  process.exitCode = outcome === 'done' ? 0 : 1
} catch (error) {
  process.exitCode = (error as { code?: string }).code === 'steps.undone' ? 1 : 2
}
