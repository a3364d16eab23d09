// One holder for each key: the rest wait, and whatever becomes of the holder, nobody waits for ever.
import { expect, test } from 'vitest'
import { createTestClock } from '../../../test/kit/clock.ts'
import { createBoard } from './board.ts'

const members = () => ({ one: {}, two: {}, three: {} })

test('the first gets the lease, the others look when it is done', async () => {
  const { one, two, three } = members()
  const board = createBoard(createTestClock(), 1_000)
  expect(await board.want(one, 'k')).toBe('lease')
  expect(await board.want(two, 'other')).toBe('lease')
  const waiting = [board.want(two, 'k'), board.want(three, 'k')]
  board.done(two, 'k', 'kept') // not its lease
  board.done(one, 'k', 'kept')
  expect(await Promise.all(waiting)).toEqual(['look', 'look'])
  expect(await board.want(three, 'k')).toBe('lease')
})

test('one that fails hands it on; an answer for one alone lets all go', async () => {
  const { one, two, three } = members()
  const board = createBoard(createTestClock(), 1_000)
  await board.want(one, 'k')
  const [second, third] = [board.want(two, 'k'), board.want(three, 'k')]
  board.done(one, 'k', 'failed')
  expect(await second).toBe('lease')
  board.done(two, 'k', 'forOne')
  expect(await third).toBe('alone')
})

test('one that leaves, or says nothing, loses it', async () => {
  const { one, two, three } = members()
  const clock = createTestClock()
  const board = createBoard(clock, 1_000)
  await board.want(one, 'k')
  const [second, third] = [board.want(two, 'k'), board.want(three, 'k')]
  board.left(one)
  expect(await second).toBe('lease')
  await clock.advance(999)
  board.done(one, 'k', 'kept')
  await clock.advance(1)
  expect(await third).toBe('lease')
  board.left(three)
  expect(await board.want(two, 'k')).toBe('lease')
  board.done(two, 'k', 'kept')
  expect(clock.waiting).toBe(0)
})

test('who leaves waits no more', async () => {
  const { one, two } = members()
  const board = createBoard(createTestClock(), 1_000)
  await board.want(one, 'k')
  const waiting = board.want(two, 'k')
  board.left(two)
  expect(await waiting).toBe('alone')
  board.done(one, 'k', 'failed')
  expect(await board.want(one, 'k')).toBe('lease')
})
