// Values in headers: whatever text goes in comes out, and nothing ambiguous is accepted.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeHeader, encodeHeader } from './protocol.ts'

test('any text survives its way through a header, as visible ASCII', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const header = encodeHeader(text)
      expect(header).toMatch(/^[\x20-\x7e\t]*$/)
      expect(header.trim()).toBe(header)
      expect(decodeHeader(header)).toBe(text)
    }),
  )
})

test.each([['=?base64?YQ?='], ['=?base64?YR==?='], ['=?base64?_w==?='], ['=?base64?/w==?='], ['=?base64? ?=']])(
  '%s is not canonical',
  (header) => {
    expect(decodeHeader(header)).toBeUndefined()
  },
)
