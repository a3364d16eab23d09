// Proves that the diff which a person is shown is the whole change, and that no text in it can play tricks on a terminal.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { textDiff } from './text-diff.ts'

const texts = fc
  .array(fc.constantFrom('a\n', 'b\n', 'ü\n', '\n', '  }\n'), { maxLength: 12 })
  .chain((lines) => fc.constantFrom('', 'end').map((end) => lines.join('') + end))

/** What `patch` would do with the diff. */
function patched(before: string, diff: string): string {
  const [, , range, ...body] = diff.split('\n')
  const [, from, count] = /^@@ -(\d+),(\d+) /.exec(range!)!.map(Number)
  const lines = before.match(/[^\n]*\n|[^\n]+$/g) ?? []
  const at = count === 0 ? from! : from! - 1
  const made = body.flatMap((line, index) => {
    if (line.startsWith('-') || line.startsWith('\\')) return []
    return line.slice(1) + (body[index + 1]?.startsWith('\\') ? '' : '\n')
  })
  const taken = body.flatMap((line, index) => (/^[- ]/.test(line) ? [line.slice(1) + (body[index + 1]?.startsWith('\\') ? '' : '\n')] : []))
  expect(taken).toEqual(lines.slice(at, at + count!))
  return [...lines.slice(0, at), ...made, ...lines.slice(at + count!)].join('')
}

test('the diff leads from one text to the other, and shows at most one unchanged line on each side', () => {
  fc.assert(
    fc.property(texts, texts, fc.nat(2), (before, after, around) => {
      const diff = textDiff('f', before, after, around)
      expect(diff === '').toBe(before === after)
      if (before === after) return
      expect(patched(before, diff)).toBe(after)
      expect(diff.split('\n').filter((line) => line.startsWith(' ')).length).toBeLessThanOrEqual(2 * around)
    }),
    { numRuns: 2_000 },
  )
})

test('a new file comes from nowhere; control characters are made visible', () => {
  expect(textDiff('f', undefined, 'a\n')).toBe('--- /dev/null\n+++ f\n@@ -0,0 +1,1 @@\n+a')
  expect(textDiff('f', '', '\u001b[2Ja\r\n\tb\u009b\u202e')).toBe(
    '--- f\n+++ f\n@@ -0,0 +1,2 @@\n+^[[2Ja^M\n+\tb��\n\\ No newline at end of file',
  )
})
