// Proves that a moment is taken only with its zone and only if it exists, and is written as the runbooks have it.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compactText, instantText, parseInstant } from './instant.ts'

test('a zone counts', () => {
  expect(parseInstant('2025-01-17T22:00:05Z')).toBe(Date.UTC(2025, 0, 17, 22, 0, 5))
  expect(parseInstant('2025-01-18T00:30:05+02:30')).toBe(Date.UTC(2025, 0, 17, 22, 0, 5))
  expect(parseInstant('2025-01-17T17:00:05-05:00')).toBe(Date.UTC(2025, 0, 17, 22, 0, 5))
  expect(parseInstant('2025-01-17T22:00:05.25Z')).toBe(Date.UTC(2025, 0, 17, 22, 0, 5, 250))
  expect(parseInstant('2025-01-17T22:00:05.25Z', { toSecond: true })).toBeUndefined()
})

test.each([
  '2025-01-17T22:00:05',
  '2025-01-17',
  '2025-02-29T00:00:00Z',
  '2025-04-31T00:00:00Z',
  '2025-13-01T00:00:00Z',
  '2025-00-01T00:00:00Z',
  '2025-01-00T00:00:00Z',
  '2025-01-17T24:00:00Z',
  '2025-01-17T22:60:00Z',
  '2025-01-17T22:00:60Z',
  '2025-01-17T22:00Z',
  '2025-01-17 22:00:05Z',
  '2025-01-17T22:00:05z',
  '2025-01-17T22:00:05+0200',
  '2025-01-17T22:00:05+24:00',
  '0025-01-17T22:00:05Z',
  ' 2025-01-17T22:00:05Z',
  '1737151205',
])('%j is no moment', (text) => {
  expect(parseInstant(text)).toBeUndefined()
})

test('what is written is read again, to the second', () => {
  fc.assert(
    fc.property(fc.integer({ min: Date.UTC(1970), max: Date.UTC(2999) }), (ms) => {
      expect(parseInstant(instantText(ms), { toSecond: true })).toBe(Math.floor(ms / 1_000) * 1_000)
    }),
  )
  expect(compactText(Date.UTC(2025, 8, 25, 9, 58, 33))).toBe('20250925T095833Z')
})
