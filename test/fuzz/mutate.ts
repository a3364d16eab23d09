// Random mutations of bytes from a seed: the same seed and the same samples give the same bytes, on any machine.

export type Random = () => number

/** mulberry32 (Tommy Ettinger, public domain): 32 bits of state are enough to wander with. Numbers from 0 up to 1. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Bytes on which decoders have stumbled: ends of ranges, quotes, brackets, line ends, CBOR's and base64's corners. */
const telling = [
  0x00, 0x01, 0x0a, 0x0d, 0x1f, 0x20, 0x22, 0x2c, 0x2d, 0x30, 0x3d, 0x5b, 0x5c, 0x5d, 0x5f, 0x7b, 0x7d, 0x7f, 0x80, 0x9f, 0xbf, 0xc0, 0xed,
  0xf4, 0xff,
]
const maxSizeBytes = 1 << 16

/** One of the samples, changed in one to eight places. */
export function mutated(samples: readonly Uint8Array[], random: Random): Buffer {
  const below = (n: number): number => Math.floor(random() * n)
  const sample = (): Buffer => Buffer.from(samples[below(samples.length)]!)
  let bytes = sample()
  for (let left = 1 + below(8); left > 0; left--) {
    const at = below(bytes.length + 1)
    const end = at + below(Math.min(bytes.length - at, 32) + 1)
    const around = (middle: Uint8Array): Buffer => Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(end)])
    const changes: readonly (() => Buffer)[] = [
      () => around(Buffer.from([telling[below(telling.length)]!])),
      () => around(Buffer.from(Array.from({ length: below(9) }, () => below(256)))),
      () => around(Buffer.alloc(0)),
      () => around(Buffer.concat(Array.from({ length: 1 + below(40) }, () => bytes.subarray(at, end)))),
      () => around(sample().subarray(below(64))),
      () => bytes.subarray(0, at),
      () => {
        const flipped = Buffer.from(bytes)
        if (at < flipped.length) flipped[at]! ^= 1 << below(8)
        return flipped
      },
    ]
    bytes = changes[below(changes.length)]!()
    if (bytes.length > maxSizeBytes) bytes = bytes.subarray(0, maxSizeBytes)
  }
  return bytes
}
