// Names from outside: whatever they are, the result is one plain name, and the same again for itself.
import { basename, join } from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { maxNameBytes, numberedName, safeName } from './name.ts'

test.each([
  ['report.pdf', 'report.pdf'],
  ['Zoë 👋.txt', 'Zoë 👋.txt'],
  ['../../etc/passwd', 'passwd'],
  ['/etc/shadow', 'shadow'],
  ['a/b', 'b'],
  ['C:\\Windows\\a.dll', 'a.dll'],
  ['a/', 'a'],
  ['..', 'file'],
  ['.', 'file'],
  ['', 'file'],
  ['/', 'file'],
  ['.bashrc', 'bashrc'],
  ['...hidden', 'hidden'],
  ['. .x', 'x'],
  ['a\u0000b\nc\u001b[2Jd', 'ab c[2Jd'],
  ['txt.\u202eexe.', 'txt.exe'],
  ['-rf', '_rf'],
  ['CON', '_CON'],
  ['nul.txt', '_nul.txt'],
  ['\u200bcom1', '_com1'],
  ['what? "this": <no>|*', 'what_ _this__ _no___'],
  ['  spaced   out  ', 'spaced out'],
  ['x \u200b 👋', 'x 👋'],
  ['\ud800x', '\ufffdx'],
])('%j becomes %j', (text, name) => expect(safeName(text)).toBe(name))

test('a long name keeps its ending, and whole characters', () => {
  const name = safeName(`${'é'.repeat(300)}.tar`)
  expect(name).toBe(`${'é'.repeat(118)}.tar`)
  expect(Buffer.byteLength(safeName('👋'.repeat(100)))).toBe(240)
  expect(Buffer.byteLength(safeName(`a.${'x'.repeat(500)}`))).toBe(240)
})

const marks = ['.', '/', '\\', ' ', '-', '../', 'con', 'nul', '\0', '\n', ':', '?', '\u202e', '\u200b', '👋', 'x', 'x'.repeat(100)]
const nasty = fc.array(fc.constantFrom(...marks), { maxLength: 12 }).map((pieces) => pieces.join(''))

test('any text: one part of a path, no more than 240 bytes, nothing that is obeyed, and no change when it is done again', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), nasty), (text) => {
      const name = safeName(text)
      expect(name).not.toMatch(/^[.\s-]|[/\\\p{C}\p{Zl}\p{Zp}<>:"|?*]|[.\s]$|^$/u)
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(maxNameBytes)
      expect(basename(join('/downloads', name))).toBe(name)
      expect(safeName(name)).toBe(name)
      expect(Buffer.byteLength(numberedName(name, 9_999))).toBeLessThanOrEqual(255)
    }),
    { numRuns: 2_000 },
  )
})

test('the number stands before the ending', () => {
  expect([1, 2, 3].map((count) => numberedName('a.tar.gz', count))).toEqual(['a.tar.gz', 'a.tar (2).gz', 'a.tar (3).gz'])
  expect(numberedName('noending', 2)).toBe('noending (2)')
})
