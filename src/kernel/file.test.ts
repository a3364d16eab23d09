// Folders that are made with their parents, also where none can be.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeFolder } from './file.ts'

let root: string
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), 'fairlead-file-'))))
afterEach(() => rmSync(root, { recursive: true }))

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

test('a folder and its parents get the mode, and those that were there keep theirs', () => {
  mkdirSync(join(root, 'there'), { mode: 0o711 })
  makeFolder(join(root, 'there/a/b/'), 0o750)
  expect(['there', 'there/a', 'there/a/b'].map((name) => modeOf(join(root, name)))).toEqual(['711', '750', '750'])
  makeFolder(join(root, 'there'), 0o700)
  expect(modeOf(join(root, 'there'))).toBe('711')
  symlinkSync('there', join(root, 'link'))
  makeFolder(join(root, 'link/c'))
  expect(statSync(join(root, 'there/c')).isDirectory()).toBe(true)
  makeFolder('/')
})

test('what is in the way is a clear fault', () => {
  writeFileSync(join(root, 'file'), '')
  symlinkSync('nowhere', join(root, 'dangling'))
  for (const [name, reason] of [
    ['file', 'EEXIST'],
    ['file/below', 'ENOTDIR'],
    ['dangling', 'EEXIST'],
  ] as const)
    expect(() => makeFolder(join(root, name)), name).toThrow(`cannot write ${join(root, name)}: ${reason}`)
})

test('below /proc, where nothing can be made, it ends with one, too', () => {
  const script = `import { makeFolder } from ${JSON.stringify(join(import.meta.dirname, 'file.ts'))}; makeFolder('/proc/nothing/here')`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 10_000 })
  expect(status).toBe(1) // null: it had to be killed
  expect(stderr).toContain('cannot write /proc/nothing/here: ENOENT')
}, 20_000)
