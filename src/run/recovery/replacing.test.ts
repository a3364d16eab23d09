// The content of a folder is the old or the new, whole, wherever it was cut off.
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { endReplacing, replaceContent, workFolder } from './replacing.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'replacing-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, name), 'old')
})

const seen = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder).map((name) => [
      name,
      lstatSync(join(folder, name)).isDirectory() ? 'folder' : readFileSync(join(folder, name), 'utf8'),
    ]),
  )
const old = { a: 'old', b: 'old', c: 'old' }
const next = { b: 'new', d: 'new' }
const fill = async (into: string): Promise<void> => {
  for (const name of Object.keys(next)) writeFileSync(join(into, name), 'new')
}

test('all of it is replaced, and the folder itself is the same', async () => {
  const { ino } = lstatSync(folder)
  await replaceContent(folder, fill)
  expect(seen()).toEqual(next)
  expect(lstatSync(folder).ino).toBe(ino)
  expect(endReplacing(folder)).toBeUndefined()
})

test('what throws while it is filled leaves all as it was', async () => {
  await expect(
    replaceContent(folder, async (into) => {
      await fill(into)
      throw new Error('no more')
    }),
  ).rejects.toThrow('no more')
  expect(seen()).toEqual(old)
})

/** Each rename that a replacement is made of, in order, and what holds when it was cut off after it. */
const steps: readonly (readonly [from: string, to: string])[] = [
  ['new.partial', 'new'],
  ['../a', 'old/a'],
  ['../b', 'old/b'],
  ['../c', 'old/c'],
  ['new', 'now'],
  ['now/b', '../b'],
  ['now/d', '../d'],
  ['old', 'gone'],
]

test.each(steps.map((_, count) => count).concat(steps.length))('cut off after %i renames', async (count) => {
  const work = join(folder, workFolder)
  mkdirSync(join(work, 'new.partial'), { recursive: true })
  await fill(join(work, 'new.partial'))
  for (const [from, to] of steps.slice(0, count)) {
    if (to.startsWith('old/')) mkdirSync(join(work, 'old'), { recursive: true })
    renameSync(join(work, from), join(work, to))
  }
  expect(endReplacing(folder)).toBe(count === 0 ? 'undone' : 'ended')
  expect(seen()).toEqual(count === 0 ? old : next)
  expect(existsSync(work)).toBe(false)
})

test('an attempt that was cut off is ended before the next one begins', async () => {
  const work = join(folder, workFolder)
  mkdirSync(join(work, 'now'), { recursive: true })
  mkdirSync(join(work, 'old'))
  for (const name of Object.keys(old)) renameSync(join(folder, name), join(work, 'old', name))
  await fill(join(work, 'now'))
  await expect(replaceContent(folder, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(seen()).toEqual(next)
})

test('what stays of an old attempt is never taken for data', async () => {
  mkdirSync(join(folder, workFolder, 'gone'), { recursive: true })
  writeFileSync(join(folder, workFolder, 'gone', 'a'), 'ancient')
  expect(endReplacing(folder)).toBeUndefined()
  expect(seen()).toEqual(old)
})
