// Frames of JSON on a byte stream: whole again however the bytes are cut, and hostile ones refused before they cost anything.
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import * as fc from 'fast-check'
import { jsonFrame, readJson } from './json-frames.ts'

async function readAll(chunks: readonly Uint8Array[], maxBytes = 1_000): Promise<unknown[]> {
  const stream = new PassThrough()
  for (const chunk of chunks) stream.write(chunk)
  stream.end()
  const values: unknown[] = []
  for await (const value of readJson(stream, maxBytes)) values.push(value)
  return values
}

test('what was written is read, wherever the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 5 }),
      fc.array(fc.nat(300), { maxLength: 6 }),
      async (values, cuts) => {
        const bytes = Buffer.concat(values.map(jsonFrame))
        const places = [...new Set([0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length])].sort((a, b) => a - b)
        const chunks = places.slice(1).map((end, i) => bytes.subarray(places[i], end))
        expect(await readAll(chunks, 100_000)).toEqual(values.map((value) => JSON.parse(JSON.stringify(value)) as unknown))
      },
    ),
    { numRuns: 200 },
  )
})

test('a length over the limit is refused when only the length is there', async () => {
  await expect(readAll([Buffer.from([0, 0, 4, 0])])).rejects.toMatchObject({ code: 'frames.too_large' })
  await expect(readAll([Buffer.from([0xff, 0xff, 0xff, 0xff, 1])])).rejects.toMatchObject({ code: 'frames.too_large' })
})

test('an end inside a message, and bytes that are no JSON, are told apart from a clean end', async () => {
  expect(await readAll([])).toEqual([])
  await expect(readAll([Buffer.from([0, 0])])).rejects.toMatchObject({ code: 'frames.cut' })
  await expect(readAll([Buffer.from([0, 0, 0, 9, 0x7b])])).rejects.toMatchObject({ code: 'frames.cut' })
  for (const body of [[0xff], [0x7b], [0xc3, 0x28]])
    await expect(readAll([Buffer.from([0, 0, 0, body.length, ...body])])).rejects.toMatchObject({ code: 'frames.not_json' })
})
