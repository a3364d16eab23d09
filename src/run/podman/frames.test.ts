// Frames and lines come out the same however the connection cuts them.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { linesOf, piecesOf, textLines } from './frames.ts'

async function* cut(bytes: Buffer, at: readonly number[]): AsyncGenerator<Buffer> {
  const places = [...new Set([0, ...at.map((place) => place % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  for (let index = 1; index < places.length; index++) yield bytes.subarray(places[index - 1], places[index])
}
function frame(stream: 'stdout' | 'stderr', text: string): Buffer {
  const content = Buffer.from(text)
  const head = Buffer.alloc(8)
  head[0] = stream === 'stdout' ? 1 : 2
  head.writeUInt32BE(content.length, 4)
  return Buffer.concat([head, content])
}
const places = fc.array(fc.nat(5_000))
const word = fc.string({ unit: fc.constantFrom('a', ' ', 'ä', '🦊', '\t') })
const line = fc.record({ stream: fc.constantFrom('stdout' as const, 'stderr' as const), text: word, second: fc.nat(59) })

test('lines of both streams, with their times', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(line), places, async (lines, at) => {
      const stamp = (second: number): string => `2026-11-30T15:11:${String(second).padStart(2, '0')}Z`
      const bytes = Buffer.concat(lines.map(({ stream, text, second }) => frame(stream, `${stamp(second)} ${text}\n`)))
      const read = await Array.fromAsync(linesOf(piecesOf(cut(bytes, at))))
      expect(read).toEqual(lines.map(({ stream, text, second }) => ({ time: Date.parse(stamp(second)), stream, text })))
    }),
  )
})

test('any bytes at all are read to their end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), places, async (bytes, at) => {
      await Array.fromAsync(linesOf(piecesOf(cut(Buffer.from(bytes), at))))
      await Array.fromAsync(textLines(cut(Buffer.from(bytes), at)))
    }),
  )
})

test('a line without an end is kept to its bound', async () => {
  const [only] = await Array.fromAsync(linesOf(piecesOf(cut(frame('stdout', `2026-11-30T15:11:00Z ${'x'.repeat(100_000)}`), []))))
  expect(only!.text.length).toBeLessThan(17_000)
})

test('text lines: whole ones, without the empty, and none that is too long', async () => {
  await fc.assert(
    fc.asyncProperty(places, async (at) => {
      const bytes = Buffer.from(`one\n\ntwö\r\n${'x'.repeat(300)}\nlast`)
      expect(await Array.fromAsync(textLines(cut(bytes, at), 100))).toEqual(expect.arrayContaining(['one', 'twö\r', 'last']))
    }),
  )
})
