// Bundles the program and all it depends on: one lazy chunk per command, so that a start loads only what it runs.
import { defineConfig } from 'rolldown'

export default defineConfig({
  input: { main: 'src/main.ts' },
  platform: 'node',
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    cleanDir: true,
    minify: { mangle: false, compress: true, codegen: true },
    comments: { legal: true },
  },
})
