// Holds the source tree to the rules of the house (docs/guide/architecture.md), and says for each breach what to write instead.
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import * as imports from './tidy/imports.ts'
import { sourceOf } from './tidy/source.ts'
import * as words from './tidy/words.ts'

const root = resolve(import.meta.dirname, '..')
const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path))
  .sort()
  .map((path) => sourceOf(`src/${path}`, readFileSync(join(root, 'src', path), 'utf8')))

test.each(Object.entries({ ...imports, ...words }))('%s', (_, rule) => {
  expect(rule(files).map(({ path, line, problem, instead }) => `${path}:${line} ${problem}; instead: ${instead}`)).toEqual([])
})

test('src/extensions.ts and docs/reference are up to date', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts', 'generate.ts'), '--check'], { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})
