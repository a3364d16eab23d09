// How long to wait before the next start, as a value.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Backoff, failed, healthy, rested } from './backoff.ts'

/** The delays that follow from a history of (time alive, was it healthy all along). */
function delays(lives: readonly (readonly [aliveMs: number, isHealthy: boolean])[]): number[] {
  let backoff: Backoff = rested
  let nowMs = 0
  return lives.map(([aliveMs, isHealthy]) => {
    if (isHealthy) backoff = healthy(backoff, nowMs)
    nowMs += aliveMs
    const { next, delayMs } = failed(backoff, nowMs)
    backoff = next
    nowMs += delayMs
    return delayMs
  })
}

const life = fc.tuple(fc.nat(200_000), fc.boolean())

test('at once, then 250 ms doubled up to 30 s', () => {
  expect(delays(Array.from({ length: 10 }, () => [10, true] as const))).toEqual([
    0, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
  ])
})

test('a minute of health forgets, a minute of mere life does not', () => {
  expect(
    delays([
      [1, true],
      [1, true],
      [60_000, true],
      [1, true],
    ]),
  ).toEqual([0, 250, 0, 250])
  expect(
    delays([
      [1, true],
      [1, true],
      [600_000, false],
      [59_999, true],
    ]),
  ).toEqual([0, 250, 500, 1_000])
})

test('only the first proof of health of a life counts', () => {
  const once = healthy(rested, 5)
  expect(healthy(once, 60_000)).toBe(once)
})

test('a delay is never over 30 s, never falls but to 0, and falls only after health', () => {
  fc.assert(
    fc.property(fc.array(life, { maxLength: 60 }), (lives) => {
      const all = delays(lives)
      all.forEach((delayMs, at) => {
        const [aliveMs, isHealthy] = lives[at]!
        const isForgiven = isHealthy && aliveMs >= 60_000
        if (at === 0 || isForgiven) expect(delayMs).toBe(0)
        else expect(delayMs).toBe(Math.min(30_000, Math.max(250, all[at - 1]! * 2)))
      })
    }),
  )
})

test('a child that dies at once, for ever, is started at most a few times a minute', () => {
  fc.assert(
    fc.property(fc.nat(50), (aliveMs) => {
      const all = delays(Array.from({ length: 40 }, () => [aliveMs, true] as const))
      expect(all.slice(9).every((delayMs) => delayMs === 30_000)).toBe(true)
    }),
  )
})
