import { expect, test } from 'vitest'
import { otherShare, parseStat } from './process.ts'

test('parseStat counts ended children, and is not misled by a name with brackets and spaces', () => {
  const line = '42 (a) R (b) S 7 42 43 0 -1 4194304 100 0 0 0 10 20 30 40 20 0 1 0 12345 1000000 250 18446744073709551615'
  expect(parseStat(line)).toEqual({ pid: 42, parent: 7, session: 43, cpuMs: 1000, rssPages: 250 })
})

test('otherShare is what is left of the machine, and never less than nothing', () => {
  const before = { busyMs: 1000, allMs: 4000 }
  expect(otherShare(before, { busyMs: 2000, allMs: 6000 }, 600)).toBeCloseTo(0.2)
  expect(otherShare(before, { busyMs: 1500, allMs: 6000 }, 600)).toBe(0)
})
