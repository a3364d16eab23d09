// Server-sent events, however the bytes are cut, and however hostile they are.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type SseEvent, SseReader, eventOf, keepAliveComment, primingEvent } from './sse.ts'

function read(chunks: readonly Uint8Array[], maxBytes = 1 << 20): { events: SseEvent[]; isUsable: boolean } {
  const events: SseEvent[] = []
  const reader = new SseReader(maxBytes, (event) => events.push(event))
  const isUsable = chunks.every((chunk) => reader.take(Buffer.from(chunk)))
  return { events, isUsable }
}

/** Cuts bytes at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ordered = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return ordered.slice(1).map((end, i) => bytes.subarray(ordered[i], end))
}

const texts = (stream: string): string[] => read([Buffer.from(stream)]).events.map(({ data }) => data.toString())

describe('reading', () => {
  test('what we write is read back, wherever it is cut and whatever stands between', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.json(), fc.option(fc.stringMatching(/^[0-9-]{1,9}$/)))), fc.array(fc.nat()), (frames, places) => {
        const bytes = Buffer.concat(frames.flatMap(([text, id]) => [keepAliveComment, eventOf(Buffer.from(text), id ?? undefined)]))
        const { events } = read(cut(bytes, places))
        expect(events.map(({ data, id }) => [data.toString(), id ?? null])).toEqual(frames)
      }),
    )
  })

  test('line ends of every kind, several data lines, missing blanks, unknown fields', () => {
    expect(texts('data: a\n\ndata:b\r\n\r\ndata: c\r\rdata: 1\ndata: 2\n\nfoo: x\ndata: d\n\n')).toEqual(['a', 'b', 'c', '1\n2', 'd'])
  })

  test('an event without its empty line is no event yet', () => {
    expect(texts('data: a\n')).toEqual([])
  })

  test('ids and retry times without data come through, so that a stream can be taken up again', () => {
    const [event] = read([primingEvent('7-0', 1_500)]).events
    expect(event).toMatchObject({ id: '7-0', retryMs: 1_500 })
    expect(event!.data.length).toBe(0)
    expect(read([Buffer.from('retry: soon\nid: a\0b\n\n')]).events).toMatchObject([{ retryMs: undefined }])
  })

  test('an event over the limit makes the stream unusable, in one line or in many', () => {
    expect(read([Buffer.from(`data: ${'x'.repeat(2_000)}`)], 1_000).isUsable).toBe(false)
    expect(read([Buffer.from('data: 0123456789\n'.repeat(200))], 1_000).isUsable).toBe(false)
  })

  test('empty data lines without end are over the limit too, and one that is just within it is not', () => {
    expect(read([Buffer.from('data:\n'.repeat(1_002))], 1_000).isUsable).toBe(false)
    expect(read([Buffer.from('data:\n'.repeat(70_000))]).isUsable).toBe(false)
    expect(read([Buffer.from(`data: ${'x'.repeat(499)}\ndata: ${'x'.repeat(500)}\n`)], 1_000).isUsable).toBe(true)
  })

  test('random bytes harm nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (chunks) => {
        read(chunks)
      }),
      { numRuns: 2_000 },
    )
  })
})
