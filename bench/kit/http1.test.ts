import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ResponseReader } from './http1.ts'

type Read = { status: number; body: string }

/** Reads `bytes`, in the given pieces, as `count` responses that follow each other on a connection. */
function readAll(pieces: readonly Buffer[], count: number): { reads: Read[]; problems: string[] } {
  const reads: Read[] = []
  const problems: string[] = []
  const reader = new ResponseReader()
  const next = (): void => {
    const body: Buffer[] = []
    reader.begin({
      onBody: (chunk) => void body.push(chunk),
      onEnd: ({ status }) => {
        reads.push({ status, body: Buffer.concat(body).toString('utf8') })
        if (reads.length < count) next()
      },
      onFail: (reason) => void problems.push(reason.message),
    })
  }
  next()
  for (const piece of pieces) reader.push(piece)
  return { reads, problems }
}

const responses = Buffer.from(
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 5\r\n\r\nhello' +
    'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n' +
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\nA;x=y\r\n"one\\ntwo"\r\n0\r\nTrailer: 1\r\n\r\n' +
    'HTTP/1.1 204 No Content\r\n\r\n',
)
const expected: Read[] = [
  { status: 200, body: 'hello' },
  { status: 202, body: '' },
  { status: 200, body: '{"a":"one\\ntwo"' },
  { status: 204, body: '' },
]

test('reads responses of every framing the same wherever the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(responses.length), { maxLength: 30 }), (places) => {
      const at = [0, ...places.toSorted((a, b) => a - b), responses.length]
      const pieces = at.slice(1).map((end, index) => responses.subarray(at[index], end))
      expect(readAll(pieces, expected.length).reads).toEqual(expected)
    }),
  )
})

test('a connection that ends is the proper end only of a response without a length', () => {
  const begun = (text: string): { reader: ResponseReader; statuses: number[] } => {
    const statuses: number[] = []
    const reader = new ResponseReader()
    reader.begin({ onEnd: ({ status }) => void statuses.push(status), onFail: () => {} })
    reader.push(Buffer.from(text))
    return { reader, statuses }
  }
  const open = begun('HTTP/1.1 200 OK\r\n\r\npart')
  expect(open.reader.close()).toBe(true)
  expect(open.statuses).toEqual([200])
  const short = begun('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart')
  expect(short.reader.close()).toBe(false)
  expect(short.statuses).toEqual([])
})

test('bytes that nobody asked for are an error', () => {
  const reader = new ResponseReader()
  expect(() => reader.push(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))).toThrow(/belong to no request/)
})
