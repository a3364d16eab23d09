// Names every skipped test with its reason, and every test that passed only when it was tried again. In CI a lane that could not run is an error: `.ci/run`
// installs what the lanes need.
import process from 'node:process'
import type { Reporter, TestModule } from 'vitest/node'

/** A test that says this has nothing to prove here, on any machine. */
const notApplicable = /^not applicable/

export default class Skips implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const isNarrowed = process.argv.some((word) => word === '-t' || word.startsWith('--testNamePattern'))
    if (isNarrowed) return
    const passed = modules.flatMap((module) => [...module.children.allTests('passed')])
    for (const test of passed) if (test.diagnostic()?.flaky) console.log(`unsteady: ${test.fullName}: passed when it was tried again`)
    const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')])
    const missing = skipped.filter((test) => !notApplicable.test(reasonOf(test)))
    for (const test of missing) console.log(`unproved: ${test.fullName}: ${reasonOf(test) || 'no reason given'}`)
    if (missing.length > 0 && process.env['CI']) {
      console.log(`unproved: ${missing.length} test(s) were skipped, which CI does not accept`)
      process.exitCode = 1
    }
  }
}

function reasonOf(test: { result(): { state: string; note?: string | undefined } }): string {
  const result = test.result()
  return result.note ?? ''
}
