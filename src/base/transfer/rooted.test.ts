// Files below a folder: whole or not at all, and never anywhere else, whoever moves links about meanwhile.
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { partsOf, readBelow, storeBelow } from './rooted.ts'

let base: string
let root: string
let outside: string
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'rooted-'))
  root = join(base, 'srv')
  outside = join(base, 'outside')
  mkdirSync(root)
  mkdirSync(outside)
})
afterEach(() => rmSync(base, { recursive: true }))

const factsOf = (text: string) => ({
  sizeBytes: Buffer.byteLength(text),
  sha256: createHash('sha256').update(text).digest('hex'),
  mode: 0o640,
})
async function* bytesOf(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}
const store = (path: string, text: string): Promise<void> => storeBelow(root, path, factsOf(text), bytesOf(text))
async function read(path: string): Promise<string> {
  const pieces: Uint8Array[] = []
  const { sha256 } = await readBelow(
    root,
    path,
    () => {},
    (piece) => pieces.push(piece),
  )
  const whole = Buffer.concat(pieces)
  expect(createHash('sha256').update(whole).digest('hex')).toBe(sha256)
  return whole.toString()
}

test('a file goes in, over what was there, with its mode, and comes out', async () => {
  await store('certs/cert.pem', 'one')
  await store('certs/cert.pem', 'two')
  expect(readFileSync(join(root, 'certs/cert.pem'), 'utf8')).toBe('two')
  expect(statSync(join(root, 'certs/cert.pem')).mode & 0o777).toBe(0o640)
  expect(await read('certs/cert.pem')).toBe('two')
  expect(readdirSync(join(root, 'certs'))).toEqual(['cert.pem'])
})

test.each(['/etc/passwd', '../x', 'a/../../x', 'a\0b', '', '.', 'a/', 'a\nb', `${'a/'.repeat(80)}b`, 'x'.repeat(300)])(
  'the path %j is refused',
  async (path) => {
    await expect(store(path, 'x')).rejects.toMatchObject({ code: 'transfer.outside' })
    await expect(read(path)).rejects.toMatchObject({ code: 'transfer.outside' })
    expect(readdirSync(root)).toEqual([])
  },
)

test('whatever text is a path: its parts lead nowhere but down', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '/', '.', '\\', '\0', 'é', ' ') }), (text) => {
      try {
        const parts = partsOf(text)
        expect(parts.every((part) => part !== '..' && part !== '.' && part !== '' && !part.includes('/') && !part.includes('\0'))).toBe(
          true,
        )
      } catch (error) {
        expect(error).toMatchObject({ code: 'transfer.outside' })
      }
    }),
  )
})

test('links on the way and links at the end lead nowhere', async () => {
  symlinkSync(outside, join(root, 'link'))
  writeFileSync(join(outside, 'secret'), 'secret')
  symlinkSync(join(outside, 'secret'), join(root, 'end'))
  await expect(store('link/x', 'x')).rejects.toMatchObject({ code: 'transfer.in_the_way' })
  await expect(read('link/secret')).rejects.toMatchObject({ code: 'transfer.in_the_way' })
  await expect(read('end')).rejects.toMatchObject({ code: 'transfer.no_file' })
  await store('end', 'mine')
  expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('secret')
  expect(await read('end')).toBe('mine')
})

test('a folder that is swapped for a link again and again: nothing ever lands outside', async () => {
  const [inner, aside] = [join(root, 'a'), join(root, 'aside')]
  mkdirSync(inner)
  const over = new AbortController()
  const swapping = (async () => {
    while (!over.signal.aborted) {
      renameSync(inner, aside)
      try {
        symlinkSync(outside, inner)
      } catch {
        // the folder was made anew in between
      }
      await new Promise(setImmediate)
      rmSync(inner, { recursive: true })
      renameSync(aside, inner)
      await new Promise(setImmediate)
    }
  })()
  const ends = new Set<string>()
  for (let n = 0; n < 300; n++)
    ends.add(
      await store(`a/f${n}`, 'x').then(
        () => 'stored',
        (error: { code: string }) => error.code,
      ),
    )
  over.abort()
  await swapping
  expect(readdirSync(outside)).toEqual([])
  expect(ends).toContain('stored')
  expect(ends.size).toBeGreaterThan(1) // the race was met
})

test('what is cut, too long or damaged leaves what was there as it was, and no part', async () => {
  await store('f', 'before')
  const cut = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('ha')
    throw new Error('gone')
  }
  await expect(storeBelow(root, 'f', factsOf('half'), cut())).rejects.toThrow('gone')
  await expect(storeBelow(root, 'f', factsOf('ab'), bytesOf('abc'))).rejects.toMatchObject({ code: 'transfer.too_long' })
  await expect(storeBelow(root, 'f', factsOf('ab'), bytesOf('ac'))).rejects.toMatchObject({ code: 'transfer.damaged' })
  mkdirSync(join(root, 'd'))
  await expect(store('d', 'x')).rejects.toMatchObject({ code: 'transfer.in_the_way' })
  await expect(read('nothing')).rejects.toMatchObject({ code: 'transfer.missing' })
  await expect(read('d')).rejects.toMatchObject({ code: 'transfer.no_file' })
  expect(await read('f')).toBe('before')
  expect(readdirSync(root).sort()).toEqual(['d', 'f'])
  expect(existsSync(join(outside, 'x'))).toBe(false)
})
