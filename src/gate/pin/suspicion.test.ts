// What is held back at first sight, and what honest servers may write.
import { describe, expect, test } from 'vitest'
import { definitionAt } from './definition.ts'
import { mixesScripts, skeleton } from './skeleton.ts'
import { suspicionsOf } from './suspicion.ts'

function suspicions(tool: Record<string, unknown>, shadowed: readonly string[] = []): readonly string[] {
  const bytes = Buffer.from(JSON.stringify({ inputSchema: { type: 'object' }, ...tool }))
  return suspicionsOf(definitionAt(bytes, [0, bytes.length])!, shadowed)
}

describe('suspicious', () => {
  test.each([
    ['a zero-width space in a description', { name: 'x', description: 'Reads a\u200b file' }, 'zero-width'],
    ['a joiner between Latin letters', { name: 'x', description: 'a\u200db' }, 'zero-width'],
    ['a byte-order mark', { name: 'x', description: '\ufeffReads' }, 'zero-width'],
    ['bits written in joiners', { name: 'x', description: 'ü\u200d\u200c\u200dü' }, 'zero-width'],
    ['writing turned around', { name: 'x', description: 'safe \u202eelif eteled' }, 'direction'],
    ['isolates', { name: 'x', title: '\u2066x\u2069' }, 'direction'],
    ['tag characters', { name: 'x', description: 'ok\u{e0069}\u{e0067}\u{e006e}\u{e006f}\u{e0072}\u{e0065}' }, 'tag characters'],
    ['tag characters far behind a flag', { name: 'x', description: `\u{1f3f4}${'\u{e0061}'.repeat(20)}` }, 'tag characters'],
    ['a terminal escape', { name: 'x', description: '\u001b[2K\u001b[1Ahello' }, 'terminal'],
    ['a C1 escape', { name: 'x', description: '\u009b2J' }, 'terminal'],
    ['bytes in variation selectors', { name: 'x', description: '😀\ufe01\ufe02\ufe03' }, 'variation'],
    ['hidden deep in a schema', { name: 'x', inputSchema: { properties: { a: { description: 'b\u2060c' } } } }, 'zero-width'],
    ['hidden in the name of an argument', { name: 'x', inputSchema: { properties: { 'a\u200b': {} } } }, 'zero-width'],
    ['hidden in a name', { name: 'read\u00adfile' }, 'nobody sees'],
    ['a line end in a name', { name: 'read\nfile' }, 'nobody sees'],
    ['a Cyrillic letter in a Latin name', { name: 'reаd_file' }, 'several scripts'],
    ['a name without end', { name: 'x'.repeat(129) }, '128'],
    ['a text without end', { name: 'x', description: 'x'.repeat(16_385) }, '16384'],
    ['private use', { name: 'x', description: '\ue000' }, 'private'],
    ['a member in other letters', { name: 'x', Description: 'y' }, 'two ways'],
  ])('%s', (_what, tool, reason) => {
    expect(suspicions(tool).join('\n')).toContain(reason)
  })

  test('a name that is taken', () => {
    expect(suspicions({ name: 'x' }, ['"x" of files'])).toEqual(['its name is that of "x" of files, or looks like it'])
  })
})

describe('not suspicious', () => {
  test.each([
    ['several lines, tabs', 'Reads a file.\r\n\n\t- path: where'],
    ['emoji, joined and coloured', '👩\u200d👩\u200d👧 ❤️ 1️⃣ 👍🏽'],
    ['the flag of Wales', '🏴\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}'],
    ['Persian with its non-joiners', 'می\u200cخواهم'],
    ['Hindi with its joiners', 'क्\u200dष'],
    ['German, Greek, Russian, Japanese', 'Größe, αβγ, привет, ファイル'],
  ])('%s', (_what, description) => {
    expect(suspicions({ name: 'read_file', description })).toEqual([])
  })
  test('names of one script', () => {
    for (const name of ['read_file', 'files.read/v2', 'прочитать', 'größe', '読む']) expect(suspicions({ name })).toEqual([])
  })
})

test.each([
  ['read_file', 'reаd_file'],
  ['read_file', 'read_fi1e'],
  ['read_file', 'Read_File'],
  ['read-file', 'read‐file'],
  ['tool', 'ｔｏｏｌ'],
  ['tool', 't00l'],
  ['resume', 'résumé'],
  ['tool', 'to\u200bol'],
])('%s and %s look alike', (one, other) => {
  expect(skeleton(other)).toBe(skeleton(one))
})

test('other names do not', () => {
  const names = ['read_file', 'read_files', 'write_file', 'readfile', 'list', 'last', 'get_v2', 'get_v3']
  expect(new Set(names.map(skeleton)).size).toBe(names.length)
  expect(mixesScripts('файл')).toBe(false)
})
