// Proves that every duration of ISO 8601 is read as long as it is, and that what cannot be one is refused.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { durationText, endOf, parseDuration } from './iso-duration.ts'

const hourMs = 3_600_000
const at = (text: string): number => Date.parse(text)
const end = (start: string, text: string): string => new Date(endOf(at(start), parseDuration(text)!)).toISOString()

test.each([
  ['PT48H', 48],
  ['P2D', 48],
  ['P1DT24H', 48],
  ['P2W', 336],
  ['PT90M', 1.5],
  ['PT1.5H', 1.5],
  ['PT1,5H', 1.5],
  ['P0.5W', 84],
  ['PT0S', 0],
  ['P0D', 0],
])('%s has %d hours', (text, hours) => {
  expect(parseDuration(text)).toEqual({ months: 0, ms: hours * hourMs })
})

test('years and months are as long as the calendar makes them', () => {
  expect(end('2024-01-31T12:00:00Z', 'P1M')).toBe('2024-02-29T12:00:00.000Z')
  expect(end('2025-01-31T12:00:00Z', 'P1M')).toBe('2025-02-28T12:00:00.000Z')
  expect(end('2024-02-29T00:00:00Z', 'P1Y')).toBe('2025-02-28T00:00:00.000Z')
  expect(end('2025-11-30T23:00:00Z', 'P1Y2M10DT2H30M')).toBe('2027-02-10T01:30:00.000Z')
})

test.each([
  '',
  'P',
  'PT',
  'P1',
  '1D',
  'P1DT',
  'P1H',
  'PT1D',
  'PT1Y',
  'PT1W',
  'P1W2D',
  'P1D1W',
  'P1M1Y',
  'PT1S1M',
  'P1D2D',
  'P-1D',
  '-P1D',
  '+P1D',
  'P1.5DT1H',
  'P1.5Y',
])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})

test.each([
  'p1d',
  'P1d',
  ' P1D',
  'P1D ',
  'P1D\n',
  'P1.D',
  'P.5D',
  'P1..5D',
  'P٣D',
  'P999999999Y',
  `P${'1'.repeat(99)}D`,
  'P1DT1HT1M',
  'PT1e3S',
  'P1D/P2D',
])('%j is none either', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})

const part = fc.option(fc.nat(9_999), { nil: undefined })

test('what is written of parts is read as their sum, and ends when the calendar says', () => {
  fc.assert(
    fc.property(
      part,
      part,
      part,
      part,
      part,
      part,
      fc.integer({ min: 0, max: 4e12 }),
      (years, months, days, hours, minutes, seconds, start) => {
        const date = [years, months, days].map((count, i) => (count === undefined ? '' : `${count}${'YMD'[i]}`)).join('')
        const time = [hours, minutes, seconds].map((count, i) => (count === undefined ? '' : `${count}${'HMS'[i]}`)).join('')
        const parsed = parseDuration(`P${date}${time === '' ? '' : `T${time}`}`)
        if (date === '' && time === '') return expect(parsed).toBeUndefined()
        const ms = (days ?? 0) * 24 * hourMs + (hours ?? 0) * hourMs + (minutes ?? 0) * 60_000 + (seconds ?? 0) * 1_000
        expect(parsed).toEqual({ months: (years ?? 0) * 12 + (months ?? 0), ms })
        expect(endOf(start, parsed!)).toBeGreaterThanOrEqual(start + ms)
      },
    ),
  )
})

test('a length that is written is read again', () => {
  fc.assert(
    fc.property(fc.nat(10 ** 11), (seconds) => {
      expect(parseDuration(durationText(seconds))).toEqual({ months: 0, ms: seconds })
    }),
  )
  expect([48 * hourMs, 0, 90_000].map(durationText)).toEqual(['PT48H', 'PT0S', 'PT1M30S'])
})

test('no text makes it throw', () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'PTWYMDHS0123456789.,- '.split('')) }), (text) => void parseDuration(text)))
})
