// Searches take turns: one at a time in their order, no more than so many of one and of all, and one that is given up holds nobody up.
import { expect, test } from 'vitest'
import { Turns } from './turns.ts'

const still = new AbortController().signal

test('one at a time, in their order, also after one that failed or was given up', async () => {
  const turns = new Turns()
  const happened: string[] = []
  const first = Promise.withResolvers<void>()
  const given = new AbortController()
  const work = (name: string, until?: Promise<void>) => async () => {
    happened.push(`${name} begins`)
    await until
    happened.push(`${name} ends`)
  }
  const all = [
    turns.take('ann', still, work('a', first.promise)),
    turns.take('ann', given.signal, work('given up')),
    turns.take('bob', still, () => Promise.reject(new Error('unreadable'))),
    turns.take('bob', still, work('b')),
  ]
  given.abort(new Error('the page is closed'))
  first.resolve()
  const ended = await Promise.allSettled(all)
  expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
  expect(happened).toEqual(['a begins', 'a ends', 'b begins', 'b ends'])
})

test('eight of one and 32 of all wait; who is done makes room', async () => {
  const turns = new Turns()
  const first = Promise.withResolvers<void>()
  const taken = [turns.take('p0', still, () => first.promise)]
  for (let n = 1; n < 8; n++) taken.push(turns.take('p0', still, async () => {}))
  await expect(turns.take('p0', still, async () => {})).rejects.toMatchObject({ code: 'calls.too_many_searches', kind: 'limited' })
  for (let n = 0; n < 24; n++) taken.push(turns.take(`p${1 + (n % 3)}`, still, async () => {}))
  await expect(turns.take('q', still, async () => {})).rejects.toMatchObject({ code: 'calls.too_many_searches' })
  first.resolve()
  await Promise.all(taken)
  for (let n = 0; n < 8; n++) await turns.take('p0', still, async () => {})
})
