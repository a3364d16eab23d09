// Bundles the program as one file, for the executable that is one file too (Makefile): nothing can be loaded from beside it.
import { defineConfig } from 'rolldown'
import program from './rolldown.config.ts'

export default defineConfig({
  ...program,
  input: { main: 'src/main.ts' },
  output: { ...program.output, dir: 'build', codeSplitting: false },
})
