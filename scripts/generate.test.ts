// Proves on a tiny tree that the generator finds every extension, says which files are none, and knows a stale list.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'

const root = mkdtempSync(join(tmpdir(), 'generate-'))
afterAll(() => rmSync(root, { recursive: true }))

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}

function generate(...flags: string[]): { readonly status: number | null; readonly stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts', 'generate.ts'), ...flags], { encoding: 'utf8' })
  return { status, stderr }
}

const written = (): string => readFileSync(join(root, 'src', 'extensions.ts'), 'utf8')

beforeEach(() => {
  rmSync(join(root, 'src'), { recursive: true, force: true })
  mkdirSync(join(root, 'scripts'), { recursive: true })
  for (const file of ['generate.ts', 'reference.ts', 'source-reference.ts', 'man-page.ts'])
    copyFileSync(join(import.meta.dirname, file), join(root, 'scripts', file))
  put('package.json', '{ "type": "module" }')
  put('src/main.ts', '')
})

test('an empty tree gives an empty list of commands, and no other list', () => {
  expect(generate()).toEqual({ status: 0, stderr: '' })
  expect(written().match(/^export .*$/gm)).toEqual(['export const commands: readonly CommandEntry[] = []'])
})

test('commands, tools, checks and configs are found; tests, base, daemons and plain files are not', () => {
  put('src/commands/up.ts', "export default { summary: 'starts it' }")
  put('src/reach/commands/init.ts', 'export default { summary: "it\'s new" }')
  for (const path of ['operate/tools/b', 'operate/tools/a', 'gate/checks/c', 'gate/config', 'base/mcp/eras/modern'])
    put(`src/${path}.ts`, 'export default 1')
  for (const path of ['operate/tools/a.test', 'operate/tools/a.fixture', 'base/checks/d', 'base/config', 'daemons/gate', 'gate/gate'])
    put(`src/${path}.ts`, 'export const no = 1')
  expect(generate()).toEqual({ status: 0, stderr: '' })
  expect(written().match(/^ {2}\{.*$/gm)).toEqual([
    "  { path: ['up'], summary: 'starts it', load: () => import('./commands/up.ts') },",
    "  { path: ['reach', 'init'], summary: 'it\\'s new', load: () => import('./reach/commands/init.ts') },",
    "  { owner: 'gate', name: 'gate', load: () => import('./gate/config.ts') },",
    "  { owner: 'operate', name: 'a', load: () => import('./operate/tools/a.ts') },",
    "  { owner: 'operate', name: 'b', load: () => import('./operate/tools/b.ts') },",
    "  { owner: 'gate', name: 'c', load: () => import('./gate/checks/c.ts') },",
    "  { owner: 'base/mcp', name: 'modern', load: () => import('./base/mcp/eras/modern.ts') },",
  ])
  const first = written()
  expect(generate()).toEqual({ status: 0, stderr: '' })
  expect(written()).toBe(first)
})

test('--check knows a stale list, and writes nothing', () => {
  generate()
  const before = written()
  expect(generate('--check')).toEqual({ status: 0, stderr: '' })
  put('src/operate/tools/a.ts', 'export default 1')
  expect(generate('--check')).toEqual({
    status: 1,
    stderr: 'generate: error: src/extensions.ts is stale: run `npm run generate` and commit the result\n',
  })
  expect(written()).toBe(before)
})

test('a file that is no extension is named, and the others are written all the same', () => {
  put('src/commands/good.ts', "export default { summary: 'good' }")
  put('src/commands/bare.ts', 'export default {}')
  put('src/commands/broken.ts', "import './absent.ts'\nexport default { summary: 'x' }")
  put('src/operate/tools/helper.ts', 'export const helper = 1')
  const { status, stderr } = generate()
  expect(status).toBe(1)
  expect(stderr).toMatch(/src\/commands\/bare\.ts is no command/)
  expect(stderr).toMatch(/src\/commands\/broken\.ts cannot be loaded/)
  expect(stderr).toMatch(/src\/operate\/tools\/helper\.ts has no default export/)
  expect(written().match(/import\('[^']+'\)/g)).toEqual(["import('./commands/good.ts')"])
})
