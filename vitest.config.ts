// One project for all tests; long lanes ask `FAIRLEAD_LONG`.
import process from 'node:process'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    globalSetup: './test/kit/program.ts',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts', 'scripts/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 3,
    // Real processes on a machine that others load: in CI one more try, and the test is named (test/kit/skips.ts). Never on a developer's machine.
    retry: process.env['CI'] ? 1 : 0,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ['default', './test/kit/skips.ts'],
  },
})
