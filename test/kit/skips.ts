// Names every skipped test with its reason, every test that passed only when it was tried again, and, last, every failed one: who reads the end of a long output
// knows all. In CI a lane that could not run is an error: `.ci/run` installs what the lanes need.
import process from 'node:process'
import type { Reporter, TestModule } from 'vitest/node'

/** A test that says this has nothing to prove here, on any machine. */
const notApplicable = /^not applicable/

export default class Skips implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const isNarrowed = process.argv.some((word) => word === '-t' || word.startsWith('--testNamePattern'))
    if (isNarrowed) return
    const passed = modules.flatMap((module) => [...module.children.allTests('passed')])
    for (const test of passed)
      if (test.diagnostic()?.flaky)
        console.log(`unsteady: ${test.fullName}: passed when it was tried again; before: ${firstLineOf(test.result().errors?.[0])}`)
    const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')])
    const missing = skipped.filter((test) => !notApplicable.test(reasonOf(test)))
    for (const test of missing) console.log(`unproved: ${test.fullName}: ${reasonOf(test) || 'no reason given'}`)
    if (missing.length > 0 && process.env['CI']) {
      console.log(`unproved: ${missing.length} test(s) were skipped, which CI does not accept`)
      process.exitCode = 1
    }
    for (const module of modules) {
      const tell = (name: string, errors: readonly { readonly message: string }[] = []): void => {
        for (const error of errors) console.log(`failed: ${module.relativeModuleId}: ${name}${firstLineOf(error)}`)
      }
      tell('', module.errors())
      for (const suite of module.children.allSuites()) tell(`${suite.fullName}: `, suite.errors())
      for (const test of module.children.allTests('failed')) tell(`${test.fullName}: `, test.result().errors?.slice(0, 1))
    }
  }
}

function firstLineOf(error: { readonly message: string } | undefined): string {
  return error?.message.split('\n')[0]!.slice(0, 300) ?? 'no reason given'
}

function reasonOf(test: { result(): { state: string; note?: string | undefined } }): string {
  const result = test.result()
  return result.note ?? ''
}
