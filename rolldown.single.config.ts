// Bundles the program as one file, for the executable that is one file too (Makefile): nothing can be loaded from beside it.
import { defineConfig } from 'rolldown'
import { common, commonOutput } from './rolldown.config.ts'

export default defineConfig({
  ...common,
  input: { main: 'src/main.ts' },
  output: { ...commonOutput, dir: 'build', codeSplitting: false },
})
