// A process that hands a new credential over, as `fairlead gate rotate --out` does, and may be killed at any moment of it: `hand-over.fixture.ts <folder of the gate> <file> <kill at>`.
// Exit code: 0 done, 1 undone, 2 else.
import { join } from 'node:path'
import { carryOut } from '../../src/base/steps/plan.ts'
import { gateCalls } from '../../src/gate/client.ts'
import { handOverPlan } from '../../src/gate/connector/handing-over.ts'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { killPoints } from '../kit/kill-points.ts'

const [folder = '', file = '', at = '-1'] = process.argv.slice(2)
const { wrap, log } = killPoints(Number(at))
const gate = gateCalls(join(folder, 'run'))
try {
  const needs = { clock, log, gate, signal: new AbortController().signal, waiting() {} }
  const plan = handOverPlan(needs, file, { connectors: ['operator_api'], overlapMs: 30_000 })
  const { outcome } = await carryOut({ log }, { ...plan, steps: (input) => wrap(plan.steps(input)) })
  process.exitCode = outcome === 'done' ? 0 : 1
} catch (error) {
  process.exitCode = (error as { code?: string }).code === 'steps.undone' ? 1 : 2
}
