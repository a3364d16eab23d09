// Proves that an archive holds what was put in, that tar reads it, and that no bytes from outside lead anywhere or do more than a fault.
import { execFileSync } from 'node:child_process'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fault } from '../../kernel/fault.ts'
import { type ArchiveFile, nameProblem, packTar, unpackTar } from './tar.ts'

const part = fc.stringMatching(/^[A-Za-z0-9_ü][A-Za-z0-9_.ü -]{0,30}$/)
const names = fc.uniqueArray(
  fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/')),
  { maxLength: 8 },
)
const filesOf = (all: readonly string[], bytes: readonly Uint8Array[]): ArchiveFile[] => {
  const free = all.filter((name) => !all.some((other) => other.startsWith(`${name}/`)) && nameProblem(name) === undefined)
  return free.map((name, i) => ({ name, bytes: bytes[i % bytes.length]!, modifiedAt: 1_700_000_000_000 + i * 1_000 }))
}
const someFiles = fc
  .tuple(names, fc.array(fc.uint8Array({ maxLength: 1_100 }), { minLength: 1, maxLength: 4 }))
  .map((made) => filesOf(...made))
const plain = (files: readonly ArchiveFile[]) =>
  files.map(({ name, bytes, modifiedAt }) => [name, Buffer.from(bytes).toString('hex'), modifiedAt])
const outcome = (bytes: Uint8Array): string => {
  try {
    unpackTar(bytes)
    return 'read'
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
}

test('what is packed is unpacked', () => {
  fc.assert(
    fc.property(someFiles, (files) => {
      expect(plain(unpackTar(packTar(files)))).toEqual(plain(files))
    }),
  )
})

test('tar lists and extracts it', () => {
  const long = `${'folder-of-a-long-name/'.repeat(6)}${'x'.repeat(90)}`
  const files = [long, 'wallet.json', 'inbox/ü.json'].map((name, i) => ({ name, bytes: Buffer.from(`content ${i}`), modifiedAt: 0 }))
  const input = packTar(files)
  expect(execFileSync('tar', ['tf', '-', '--quoting-style=literal'], { input, encoding: 'utf8' }).trim().split('\n')).toEqual(
    files.map(({ name }) => name),
  )
  expect(execFileSync('tar', ['xOf', '-', 'wallet.json'], { input, encoding: 'utf8' })).toBe('content 1')
})

test('names that lead elsewhere are refused, in the archive too', () => {
  const bad = [
    '../x',
    '/etc/passwd',
    'a/../../x',
    './x',
    'a//b',
    '',
    '.bashrc',
    'a\\..\\b',
    'a\nb',
    'a/.restore',
    `${'d/'.repeat(8)}x`,
    'x'.repeat(101),
  ]
  for (const name of bad) expect(nameProblem(name), name).toBeDefined()
  const good = packTar([{ name: 'abcdef', bytes: Buffer.from('x'), modifiedAt: 0 }])
  for (const name of ['../x/y', '/etc/p', '.x', 'a/../b']) {
    const forged = Buffer.from(good)
    forged.fill(0, 0, 100)
    forged.write(name, 0)
    expect(outcome(resummed(forged))).toBe('reach.backup_invalid')
  }
})

test('links, folders, doubles, a file below a file, and what follows the end are refused', () => {
  const file = (name: string): ArchiveFile => ({ name, bytes: Buffer.from('x'), modifiedAt: 0 })
  for (const kind of ['1', '2', '5', 'x', 'L', '\0']) {
    const forged = Buffer.from(packTar([file('a')]))
    forged.write(kind, 156)
    expect(outcome(resummed(forged))).toBe('reach.backup_invalid')
  }
  for (const files of [
    ['a', 'a'],
    ['a', 'a/b'],
    ['a/b', 'a'],
  ])
    expect(outcome(packTar(files.map(file)))).toBe('reach.backup_invalid')
  expect(outcome(Buffer.concat([packTar([file('a')]), Buffer.alloc(512)]))).toBe('reach.backup_invalid')
})

test('any change or cut is read or refused, never worse', () => {
  const archive = packTar([1, 2, 3].map((n) => ({ name: `inbox/${n}.json`, bytes: Buffer.alloc(600, n), modifiedAt: 0 })))
  fc.assert(
    fc.property(fc.nat(archive.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(archive.length), (at, flip, length) => {
      const changed = Buffer.from(archive)
      changed[at]! ^= flip
      outcome(changed)
      if (length < archive.length) expect(outcome(archive.subarray(0, length))).toBe('reach.backup_invalid')
    }),
    { numRuns: 1_000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => void outcome(bytes)),
    { numRuns: 500 },
  )
})

function resummed(archive: Buffer): Buffer {
  archive.fill(' ', 148, 156)
  const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return archive
}
