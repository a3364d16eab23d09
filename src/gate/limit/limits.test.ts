// Token buckets, debts, bounds: on a clock that stands still until it is moved.
import { expect, test } from 'vitest'
import { createTestClock } from '../../../test/kit/clock.ts'
import type { Limit } from './account.ts'
import { Limits, type Refused, type Running } from './limits.ts'

const all = { principals: ['*'], upstreams: ['*'], tools: ['*'], per: 'tool' as const }
const limitsOf = (...limits: Partial<Limit>[]) => {
  const clock = createTestClock()
  const made = new Limits(
    clock,
    limits.map((limit) => ({ ...all, ...limit })),
  )
  const begin = (tool = 'a', principal = 'ann', upstream = 'up') => made.begin(principal, upstream, tool) as Running | Refused // nobody else has to be asked
  return { clock, begin }
}
const isRefused = (one: Running | Refused): one is Refused => 'reason' in one

test('so many calls at once, then one at a time as the minute goes on', async () => {
  const { clock, begin } = limitsOf({ callsPerMinute: 6, burst: 2 })
  expect([begin(), begin()].some(isRefused)).toBe(false)
  expect(begin()).toEqual({ reason: 'ann may use a of up for 6 calls a minute: try again in 10 s', retryAfterSeconds: 10 })
  await clock.advance(9_000)
  expect(begin()).toMatchObject({ retryAfterSeconds: 1 })
  await clock.advance(1_000)
  expect([begin(), begin()].map(isRefused)).toEqual([false, true])
  await clock.advance(3_600_000)
  expect([begin(), begin(), begin()].map(isRefused)).toEqual([false, false, true])
})

test('fewer than one a minute is one, and then a long wait', async () => {
  const { clock, begin } = limitsOf({ callsPerMinute: 0.1 })
  expect([begin(), begin()]).toMatchObject([{}, { retryAfterSeconds: 600 }])
  await clock.advance(600_000)
  expect(isRefused(begin())).toBe(false)
})

test('a refused call costs nothing of the other limits', async () => {
  const { clock, begin } = limitsOf({ callsPerMinute: 60, burst: 3 }, { tools: ['a'], callsPerMinute: 60, burst: 1 })
  expect(['a', 'a', 'a', 'a'].map((tool) => isRefused(begin(tool)))).toEqual([false, true, true, true])
  await clock.advance(1_000)
  expect(isRefused(begin())).toBe(false)
})

test('principals, tools and upstreams are counted by themselves; with per = principal tools together', () => {
  const { begin } = limitsOf({ callsPerMinute: 1 })
  expect([begin('a'), begin('b'), begin('a', 'bob'), begin('a', 'ann', 'other')].some(isRefused)).toBe(false)
  const together = limitsOf({ callsPerMinute: 1, per: 'principal' }).begin
  expect([together('a'), together('b'), together('b', 'bob')].map(isRefused)).toEqual([false, true, false])
})

test('what it does not cover it does not limit', () => {
  const { begin } = limitsOf({ principals: ['b*'], tools: ['w*'], callsPerMinute: 1 })
  expect([begin('w', 'bob'), begin('w', 'bob'), begin('w'), begin('w'), begin('r', 'bob'), begin('r', 'bob')].map(isRefused)).toEqual([
    false,
    true,
    false,
    false,
    false,
    false,
  ])
})

test('bytes that were too many are owed', async () => {
  const { clock, begin } = limitsOf({ bytesPerMinute: 600 })
  const first = begin() as Running
  first.spend(100)
  first.spend(1_100) // the result
  expect(begin()).toMatchObject({ reason: expect.stringContaining('600 bytes a minute') as string, retryAfterSeconds: 61 })
  await clock.advance(60_200)
  expect(isRefused(begin())).toBe(false)
})

test('so many at the same time', () => {
  const { begin } = limitsOf({ concurrent: 2, per: 'principal' })
  const first = begin() as Running
  begin('b')
  expect(begin('c')).toEqual({ reason: 'ann may use these tools for 2 at once: try again in 1 s', retryAfterSeconds: 1 })
  first.end()
  expect(isRefused(begin('c'))).toBe(false)
})

test('a table that is full refuses only who filled it, and is emptied of what is at rest', async () => {
  const { clock, begin } = limitsOf({ callsPerMinute: 60, burst: 1 })
  for (let at = 0; at < 1_000; at++) (begin(`tool-${at}`) as Running).end()
  expect(begin('one-more')).toMatchObject({ reason: expect.stringContaining('too many different tools') as string })
  expect(isRefused(begin('one-more', 'bob'))).toBe(false)
  await clock.advance(2_000)
  expect(isRefused(begin('one-more'))).toBe(false)
})
