import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type SseEvent, SseReader } from './sse.ts'

function read(chunks: readonly Buffer[]): SseEvent[] {
  const events: SseEvent[] = []
  const reader = new SseReader((event) => void events.push(event))
  for (const chunk of chunks) reader.push(chunk)
  return events
}

/** The bytes cut at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}

test('reads names, joins lines of data, and passes over comments, ids and empty data', () => {
  const text = ': hello\nid: 1\ndata: \n\nevent: endpoint\ndata: /messages?x=1\n\ndata:a\ndata: b\r\nretry: 5\r\n\r\ndata: unfinished\n'
  expect(read([Buffer.from(text)])).toEqual([
    { event: 'endpoint', data: '/messages?x=1' },
    { event: 'message', data: 'a\nb' },
  ])
})

test('reads the same wherever the bytes are cut, within a letter too', () => {
  const sent = ['{"a":"ä€😀"}', 'x'.repeat(500), '{}']
  const bytes = Buffer.from(sent.map((data) => `event: message\r\ndata: ${data}\r\n\r\n`).join(''))
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 20 }), (places) => {
      expect(read(cut(bytes, places)).map(({ data }) => data)).toEqual(sent)
    }),
  )
})
