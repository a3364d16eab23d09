// Frames in and out: any payload in any pieces comes back as it was; what must not be is refused before it costs anything.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameError, FrameReader, closeCodes, frameHead, mask, opcodes } from './frame.ts'

const key = Uint8Array.of(1, 2, 3, 250)

function masked(opcode: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.from(payload)
  mask(bytes, key, 0)
  return Buffer.concat([frameHead(opcode, bytes.length, key), bytes])
}

function reader(from: 'client' | 'server' = 'client') {
  const heard: Buffer[] = []
  const controls: (readonly [number, string])[] = []
  const frames = new FrameReader(from, {
    data: (bytes) => heard.push(Buffer.from(bytes)),
    control: (opcode, payload) => controls.push([opcode, payload.toString()]),
  })
  return { read: (bytes: Buffer) => frames.read(Buffer.from(bytes)), text: () => Buffer.concat(heard), controls }
}

test('frames of any size, cut anywhere, with pings between: the bytes are those that were sent', () => {
  const payload = fc.uint8Array({ maxLength: 300 })
  fc.assert(
    fc.property(fc.array(payload, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (messages, cuts) => {
      for (const from of ['client', 'server'] as const) {
        const frameOf = (opcode: number, bytes: Uint8Array): Buffer =>
          from === 'client' ? masked(opcode, bytes) : Buffer.concat([frameHead(opcode, bytes.length), bytes])
        const sent = Buffer.concat(messages.flatMap((bytes) => [frameOf(opcodes.binary, bytes), frameOf(opcodes.ping, Buffer.from('p'))]))
        const { read, text, controls } = reader(from)
        for (let at = 0, n = 0; at < sent.length; n++) read(sent.subarray(at, (at += cuts[n % cuts.length]!)))
        expect(text()).toEqual(Buffer.concat(messages))
        expect(controls).toEqual(messages.map(() => [opcodes.ping, 'p']))
      }
    }),
  )
})

test('the mask is the same whatever the alignment, and each length has its own form', () => {
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i & 255))
  const plain = bytes.map((byte, i) => byte ^ key[(i + 3) & 3]!)
  for (const offset of [0, 1, 2, 3]) {
    const room = Buffer.alloc(bytes.length + offset).subarray(offset)
    bytes.copy(room)
    mask(room, key, 3)
    expect(room.equals(plain)).toBe(true)
  }
  for (const size of [0, 125, 126, 65_535, 65_536]) {
    const { read, text } = reader()
    read(masked(opcodes.binary, bytes.subarray(0, size)))
    expect(text().equals(bytes.subarray(0, size))).toBe(true)
  }
})

test('a message in pieces, with a control frame in the middle', () => {
  const { read, text, controls } = reader('server')
  read(Buffer.from([0x02, 2, 0x61, 0x62, 0x89, 0, 0x00, 1, 0x63, 0x80, 1, 0x64]))
  expect(text().toString()).toBe('abcd')
  expect(controls).toEqual([[opcodes.ping, '']])
})

test.each<[string, number[], number]>([
  ['a frame of a client without a mask', [0x82, 1, 0x61], closeCodes.protocol],
  ['text', [0x81, 0x81, 0, 0, 0, 0, 0], closeCodes.unsupported],
  ['compression that nobody agreed on', [0xc2, 0x81, 0, 0, 0, 0, 0], closeCodes.protocol],
  ['an opcode without a meaning', [0x83, 0x81, 0, 0, 0, 0, 0], closeCodes.protocol],
  ['a continuation of nothing', [0x80, 0x81, 0, 0, 0, 0, 0], closeCodes.protocol],
  ['a message inside a message', [0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0], closeCodes.protocol],
  ['a ping in pieces', [0x09, 0x80, 0, 0, 0, 0], closeCodes.protocol],
  ['a ping of 126 bytes', [0x89, 0xfe, 0, 126, 0, 0, 0, 0], closeCodes.protocol],
  ['125 bytes, said in three bytes', [0x82, 0xfe, 0, 125, 0, 0, 0, 0], closeCodes.protocol],
  ['16 MiB and a byte', [0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0], closeCodes.tooBig],
  ['2⁶⁴ − 1 bytes', [0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0], closeCodes.tooBig],
])('refused: %s', (_what, bytes, closeCode) => {
  const { read, text } = reader()
  expect(() => read(Buffer.from(bytes))).toThrow(expect.objectContaining({ closeCode }))
  expect(() => reader().read(Buffer.from(bytes))).toThrow(FrameError)
  expect(text()).toHaveLength(0)
})

test('a frame that claims 16 MiB holds nothing: what arrives of it is handed on', () => {
  const { read, text } = reader('server')
  read(frameHead(opcodes.binary, 16 << 20))
  read(Buffer.from('the beginning'))
  expect(text().toString()).toBe('the beginning')
})
