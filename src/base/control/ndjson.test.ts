// The NDJSON reader: whatever the cuts, the same values; whatever the bytes, values or an error, and no more memory than one line.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ndjsonReader } from './ndjson.ts'

const cutAt = (bytes: Buffer, cuts: readonly number[]): Buffer[] => {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}

test('values come back whole, wherever the bytes are cut and however many empty lines lie between', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.jsonValue(), fc.nat(3))), fc.array(fc.nat()), (lines, cuts) => {
      const text = lines.map(([value, empty]) => `${JSON.stringify(value)}\n${'\r\n'.repeat(empty)}`).join('')
      const reader = ndjsonReader(1 << 20)
      const read = cutAt(Buffer.from(text), cuts).flatMap((part) => reader.push(part))
      expect(read).toEqual(lines.map(([value]) => JSON.parse(JSON.stringify(value)) as unknown))
    }),
  )
})

test('any bytes give values or a plain error, and the cuts do not matter', () => {
  const outcome = (parts: readonly Buffer[]): unknown => {
    const reader = ndjsonReader(64)
    const read: unknown[] = []
    try {
      for (const part of parts) read.push(...reader.push(part))
    } catch (error) {
      expect((error as object).constructor).toBe(Error)
      return 'refused'
    }
    return read
  }
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .array(fc.constantFrom('1', '"é"', '\n', '{', '}', '\r', ' ', '\ufeff', '\0'), { maxLength: 100 })
      .map((parts) => Buffer.from(parts.join(''))),
  )
  fc.assert(
    fc.property(bytes, fc.array(fc.nat()), (given, cuts) => {
      const whole = outcome([Buffer.from(given)])
      expect(outcome(cutAt(Buffer.from(given), cuts))).toEqual(whole)
    }),
    { numRuns: 2_000 },
  )
})

test('a line may have so many bytes, and not one more', () => {
  const reader = ndjsonReader(10)
  expect(reader.push(Buffer.from('"12345678"\n"1'))).toEqual(['12345678'])
  expect(() => reader.push(Buffer.from('2345678901'))).toThrow('more than 10 bytes')
})
