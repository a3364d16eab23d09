// The last lines of a child, whole and bounded.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LastWords } from './last-words.ts'

function told(chunks: readonly (string | Buffer)[]): { lines: string[]; text: string } {
  const lines: string[] = []
  const words = new LastWords((line) => lines.push(line))
  for (const chunk of chunks) words.take(Buffer.from(chunk as string))
  words.end()
  return { lines, text: words.text() }
}

test('lines come out whole, however they were cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom('a', 'é', '🦊', ' ') }), { maxLength: 20 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
      (said, sizes) => {
        const bytes = Buffer.from(said.map((line) => `${line}\n`).join(''))
        const chunks: Buffer[] = []
        for (let at = 0; at < bytes.length; at += chunks.at(-1)!.length) chunks.push(bytes.subarray(at, at + sizes.next().value))
        expect(told(chunks).lines).toEqual(said)
      },
    ),
  )
})

test('bounded: lines, their length, and all together', () => {
  const many = told([Array.from({ length: 200 }, (_, at) => `line ${at}\n`).join('')])
  expect(many.text.split('\n')).toEqual(Array.from({ length: 64 }, (_, at) => `line ${at + 136}`))
  const long = told(Array.from({ length: 1_000 }, () => 'x'.repeat(10_000)))
  expect(long.lines).toEqual([`${'x'.repeat(2_048)}…`])
  const both = told(Array.from({ length: 100 }, () => `${'y'.repeat(3_000)}\n`))
  expect(both.text.length).toBeLessThanOrEqual(8 << 10)
  expect(both.text.length).toBeGreaterThan(6_000)
})

test('what is not finished is told too, without what a terminal would obey', () => {
  const words = new LastWords(() => {})
  words.take(Buffer.from('\u001b[31mred\u001b[0m \u001b]0;title\u0007\rcannot\u0000 open'))
  expect(words.text()).toBe('red cannot open')
})
