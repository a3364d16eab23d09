import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { median, percentile, show, table } from './numbers.ts'

describe('percentile', () => {
  test('is the nearest rank', () => {
    const sorted = Array.from({ length: 100 }, (_, index) => index + 1)
    expect(percentile(sorted, 0.5)).toBe(50)
    expect(percentile(sorted, 0.99)).toBe(99)
    expect(percentile(sorted, 1)).toBe(100)
    expect(percentile([7], 0.99)).toBe(7)
    expect(percentile([], 0.5)).toBeNaN()
  })

  test('is a sample that at least the fraction of all does not exceed', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), fc.double({ min: 0, max: 1, noNaN: true }), (samples, fraction) => {
        const sorted = samples.toSorted((a, b) => a - b)
        const found = percentile(sorted, fraction)
        expect(sorted).toContain(found)
        expect(sorted.filter((value) => value <= found).length).toBeGreaterThanOrEqual(fraction * sorted.length - 1e-9)
      }),
    )
  })
})

test('median is the middle, or the mean of the middle two, in any order', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([])).toBeNaN()
})

test('show keeps about three digits', () => {
  expect([0.1234, 1.234, 12.34, 123.4, 12_345, Number.NaN].map(show)).toEqual(['0.123', '1.23', '12.3', '123', '12,345', '–'])
})

test('table aligns its columns', () => {
  expect(
    table(
      ['', 'ms'],
      [
        ['a', '1'],
        ['long', '123'],
      ],
    ),
  ).toBe('       ms\n────  ───\na       1\nlong  123')
})
