// The relay's messages: what is written is read again, the bytes are those of protobuf, and bytes from outside are read or refused, never more.
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createIdentity } from '../../identity/identity.ts'
import { type RelayKind, readRelayMessage, relayBytes, relayMessage } from './message.ts'

const peer = createIdentity(new Uint8Array(32).fill(1)).peerId
const kind = fc.constantFrom<RelayKind>('hop', 'stop')
const small = fc.integer({ min: 1, max: 2 ** 40 })
const message = fc.record(
  {
    type: fc.integer({ min: 0, max: 2 }),
    peer: fc.constant(peer),
    limit: fc.record({ seconds: small, bytes: small }, { requiredKeys: [] }),
    status: fc.integer({ min: 100, max: 401 }),
  },
  { requiredKeys: ['type'] },
)

test('what is written is read again, out of pieces of any size, and what follows stays in the stream', async () => {
  await fc.assert(
    fc.asyncProperty(kind, message, fc.integer({ min: 1, max: 60 }), async (of, said, size) => {
      const stream = new PassThrough()
      const bytes = Buffer.concat([relayBytes(of, said), Buffer.from('what follows')])
      for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size))
      stream.end()
      expect(await readRelayMessage(of, stream)).toEqual(said)
      expect(await text(stream)).toBe('what follows')
    }),
  )
})

test('a reservation keeps its time and addresses', () => {
  const said = {
    type: 2,
    status: 100,
    reservation: { expire: 1_795_000_000, addresses: [Buffer.from([4, 127, 0, 0, 1]), Buffer.from([6])] },
  }
  expect(relayMessage('hop', relayBytes('hop', said).subarray(1))).toEqual(said)
})

test('the bytes are those of the specification', () => {
  const id = `0024080112208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c`
  expect(relayBytes('hop', { type: 1, peer }).toString('hex')).toBe(`2c080112280a26${id}`)
  expect(relayBytes('stop', { type: 1, status: 204 }).toString('hex')).toBe('05080120cc01')
  expect(relayBytes('hop', { type: 2, status: 204 }).toString('hex')).toBe('05080228cc01')
})

test('any bytes are a message or an error, at once; unknown fields are passed over', () => {
  fc.assert(
    fc.property(kind, fc.uint8Array({ maxLength: 200 }), (of, bytes) => {
      try {
        expect(relayMessage(of, bytes).type).toBeTypeOf('number')
      } catch (error) {
        expect((error as Error).message).toMatch(/^a relay message|is not a peer id$/)
      }
    }),
    { numRuns: 2_000 },
  )
  expect(relayMessage('hop', Buffer.from([0x08, 1, 0x7a, 2, 9, 9, 0x28, 100]))).toEqual({ type: 1, status: 100 })
})

test('a message without an end, of no length or of megabytes is refused before it is held', async () => {
  for (const bytes of [[0], [0xff, 0xff, 0x7f], [0xff, 0xff, 0xff, 1], [5, 8], []]) {
    const stream = new PassThrough()
    stream.end(Buffer.from(bytes))
    await expect(readRelayMessage('hop', stream)).rejects.toThrow(/relay message/)
  }
})
