// Files that come in, on a real disk: whole or not at all, over nothing that is there, and never outside their folder.
import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { randomBytes } from '../../kernel/random.ts'
import type { IncomingFile } from './incoming-file.ts'
import { type Transfer, incomingFolder } from './incoming-folder.ts'

let root: string
let path: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fairlead-incoming-'))
  path = join(root, 'downloads')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const folder = (at = path) => incomingFolder({ clock }, { path: at })
const parts = (): string[] => readdirSync(join(path, '.partial')).toSorted()
const names = (): string[] => readdirSync(path).filter((name) => name !== '.partial')
const offered = (bytes: Uint8Array, more: Partial<Transfer> = {}): Transfer => ({
  from: 'alice',
  id: 'one',
  name: 'a.bin',
  sizeBytes: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  ...more,
})
async function begun(transfer: Transfer, at = folder()): Promise<IncomingFile> {
  const begun = await at.begin(transfer)
  if (!('file' in begun)) throw new Error(`stored as ${begun.storedAs}`)
  return begun.file
}
async function bring(bytes: Uint8Array, more: Partial<Transfer> = {}): Promise<string> {
  const transfer = offered(bytes, more)
  const file = await begun(transfer)
  await file.write(bytes.subarray(file.heldBytes))
  return file.finish(transfer.name)
}

test('however it is cut into pieces and attempts, what is stored is what was sent; before that there is nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(700_000), fc.array(fc.integer({ min: 1, max: 300_000 }), { maxLength: 8 }), async (size, cuts) => {
      rmSync(path, { recursive: true, force: true })
      const bytes = randomBytes(size)
      const transfer = offered(bytes)
      for (const cut of cuts) {
        const file = await begun(transfer)
        const { heldBytes } = file
        expect(Buffer.compare(bytes.subarray(0, heldBytes), readFileSync(join(path, '.partial', parts()[0]!)))).toBe(0)
        await file.write(bytes.subarray(heldBytes, heldBytes + cut))
        await file.close()
        expect(names()).toEqual([])
      }
      const file = await begun(transfer)
      expect(file.heldBytes).toBe(
        Math.min(
          size,
          cuts.reduce((sum, cut) => sum + cut, 0),
        ),
      )
      for (let at = file.heldBytes; at < size; at += 64 << 10) await file.write(bytes.subarray(at, at + (64 << 10)))
      expect(await file.finish('a.bin')).toBe('a.bin')
      expect(Buffer.compare(bytes, readFileSync(join(path, 'a.bin')))).toBe(0)
      expect(parts()).toEqual([expect.stringMatching(/\.plan$/)])
    }),
    { numRuns: 25 },
  )
})

test('private to its owner, and never over what is there: files, folders and links that lead outside', async () => {
  const outside = join(root, 'outside')
  writeFileSync(outside, 'mine')
  mkdirSync(path)
  writeFileSync(join(path, 'a.bin'), 'first')
  symlinkSync(outside, join(path, 'a (2).bin'))
  symlinkSync(join(root, 'nowhere'), join(path, 'a (3).bin'))
  mkdirSync(join(path, 'a (4).bin'))
  expect(await bring(Buffer.from('new'))).toBe('a (5).bin')
  expect(statSync(join(path, 'a (5).bin')).mode & 0o777).toBe(0o600)
  expect(statSync(join(path, '.partial')).mode & 0o777).toBe(0o700)
  expect(readFileSync(join(path, 'a.bin'), 'utf8')).toBe('first')
  expect(readFileSync(outside, 'utf8')).toBe('mine')
  expect(existsSync(join(root, 'nowhere'))).toBe(false)
  expect(await bring(Buffer.from('x'), { name: '../../../etc/x' })).toBe('x')
  expect(readdirSync(root).toSorted()).toEqual(['downloads', 'outside'])
})

test('a link where parts lie is not followed', async () => {
  const transfer = offered(Buffer.from('bytes'))
  await (await begun(transfer)).close()
  const part = join(path, '.partial', parts()[0]!)
  rmSync(part)
  symlinkSync(join(root, 'outside'), part)
  await expect(folder().begin(transfer)).rejects.toMatchObject({ code: 'transfer.in_the_way' })
  rmSync(join(path, '.partial'), { recursive: true })
  mkdirSync(join(root, 'elsewhere'))
  symlinkSync(join(root, 'elsewhere'), join(path, '.partial'))
  await expect(folder().begin(transfer)).rejects.toMatchObject({ code: 'transfer.in_the_way' })
  expect(readdirSync(join(root, 'elsewhere'))).toEqual([])
})

test('other bytes than announced are never stored, and nothing of them is kept', async () => {
  const file = await begun(offered(Buffer.from('good')))
  await file.write(Buffer.from('evil'))
  await expect(file.finish('a.bin')).rejects.toMatchObject({ code: 'transfer.damaged' })
  expect([names(), parts()]).toEqual([[], []])
  const longer = await begun(offered(Buffer.from('good')))
  await longer.write(Buffer.from('go'))
  await expect(longer.write(Buffer.from('ods'))).rejects.toMatchObject({ code: 'transfer.too_long' })
  await longer.close()
})

test('one wish is carried out once, even if its end was not heard of; another wish makes another file', async () => {
  const bytes = Buffer.from('once')
  const transfer = offered(bytes)
  expect(await bring(bytes)).toBe('a.bin')
  expect(await folder().begin(transfer)).toEqual({ storedAs: 'a.bin' })
  expect(await bring(bytes, { id: 'two' })).toBe('a (2).bin')
  rmSync(join(path, 'a (2).bin')) // its plan alone does not say that it is there
  await (await begun({ ...transfer, id: 'two' })).close()
})

test('a stop between the new name and the end of the part is made good', async () => {
  const bytes = Buffer.from('linked')
  const transfer = offered(bytes)
  await bring(bytes)
  const part = join(path, '.partial', parts()[0]!.replace('.plan', '.part'))
  execFileSync('ln', [join(path, 'a.bin'), part])
  expect(await folder().begin(transfer)).toEqual({ storedAs: 'a.bin' })
  expect(existsSync(part)).toBe(false)
  expect(names()).toEqual(['a.bin'])
})

test('two attempts at once are refused; the second may go on when the first is let go of', async () => {
  const at = folder()
  const transfer = offered(Buffer.from('bytes'))
  const first = await begun(transfer, at)
  await expect(at.begin(transfer)).rejects.toMatchObject({ code: 'transfer.underway' })
  await first.close()
  await (await begun(transfer, at)).close()
})

test('parts that nobody goes on with are removed, one that comes in is not', async () => {
  const at = folder()
  const open = await begun(offered(Buffer.from('open')), at)
  await (await begun(offered(Buffer.from('old')), at)).close()
  for (const name of parts()) utimesSync(join(path, '.partial', name), 0, 0)
  for (let count = 0; count < 70; count++) await (await begun(offered(randomBytes(9)), at)).close()
  at.sweep()
  expect(parts()).toHaveLength(65)
  await open.write(Buffer.from('open'))
  expect(await open.finish('a')).toBe('a')
})

test('a full disk: refused before it begins where it can be known, else in the middle, and nothing is stored', async (context) => {
  const small = join(root, 'small')
  mkdirSync(small)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', small], { stdio: 'pipe' })
  } catch {
    return context.skip('cannot mount a small file system')
  }
  try {
    await expect(folder(join(small, 'd')).begin(offered(randomBytes(3 << 20)))).rejects.toMatchObject({ code: 'transfer.no_room' })
    const bytes = randomBytes(1 << 20)
    const file = await begun(offered(bytes), folder(join(small, 'd')))
    writeFileSync(join(small, 'other'), randomBytes(3 << 19))
    await expect(file.write(bytes).then(() => file.finish('a'))).rejects.toMatchObject({ code: 'transfer.no_room' })
    await file.discard()
    expect(readdirSync(join(small, 'd'), { recursive: true })).toEqual(['.partial'])
  } finally {
    execFileSync('umount', ['-l', small])
  }
})
