// A folder's digest is of what is in it, and no reference leads out of the images.
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { copyFolder } from '../../kernel/file.ts'
import { findImageFolder, treeDigest } from './images.ts'

let root: string
let image: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'images-'))
  image = join(root, 'registry:5000/team/thing/1')
  mkdirSync(join(image, 'bin'), { recursive: true })
  writeFileSync(join(image, 'bin/run'), 'one', { mode: 0o755 })
  symlinkSync('bin/run', join(image, 'link'))
})
afterEach(() => rmSync(root, { recursive: true }))

test('times do not count; a name, a mode, a content, a link, a new folder do', async () => {
  const before = await treeDigest(image)
  utimesSync(join(image, 'bin/run'), 0, 0)
  expect(await treeDigest(image)).toBe(before)
  const seen = new Set([before])
  const changes = [
    () => chmodSync(join(image, 'bin/run'), 0o700),
    () => writeFileSync(join(image, 'bin/run'), 'two'),
    () => renameSync(join(image, 'bin/run'), join(image, 'bin/ran')),
    () => mkdirSync(join(image, 'empty')),
    () => renameSync(join(image, 'link'), join(image, 'empty/link')),
    () => writeFileSync(join(image, 'bin/x\nfile 755 "y'), ''),
  ]
  for (const change of changes) {
    change()
    const digest = await treeDigest(image)
    expect(seen).not.toContain(digest)
    seen.add(digest)
  }
})

test('a copy is the same image', async () => {
  await copyFolder(image, join(root, 'copy'))
  expect(await treeDigest(join(root, 'copy'))).toBe(await treeDigest(image))
  await expect(copyFolder(image, join(root, 'copy'))).rejects.toMatchObject({ code: 'file.unwritable' })
})

test('it is found by each of its names, also where its first level holds folders only', async () => {
  rmSync(join(image, 'link'))
  const digest = await treeDigest(image)
  for (const reference of ['registry:5000/team/thing:1', `registry:5000/team/thing@${digest}`, digest])
    expect(await findImageFolder(root, reference)).toEqual({ folder: image, digest })
})

test.each([
  '../x:1',
  'a/../b:1',
  'registry:5000/team:..',
  '/etc:1',
  'registry:5000/team/thing',
  'registry:5000/team/thing:2',
  '.:1',
  ':1',
  '',
])('%j is no image', async (reference) => {
  expect(await findImageFolder(root, reference)).toBeUndefined()
})
