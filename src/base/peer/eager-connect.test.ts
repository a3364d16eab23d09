// Proves when further tries are begun beside one that waits, and that nothing is left of those which were not first.
import { expect, test } from 'vitest'
import { createTestClock } from '../../../test/kit/clock.ts'
import { firstToAnswer } from './eager-connect.ts'

type Try = { readonly signal: AbortSignal; answer(word: string): void; fail(error: Error): void }

function connecting(signal = new AbortController().signal) {
  const clock = createTestClock()
  const tries: Try[] = []
  const answer = firstToAnswer<string>(
    (signal) =>
      new Promise((resolve, reject) => {
        tries.push({ signal, answer: resolve, fail: reject })
        signal.addEventListener('abort', () => reject(new Error('aborted')))
      }),
    signal,
    clock,
  )
  answer.catch(() => {})
  return { clock, tries, answer, aborted: () => tries.map((one) => one.signal.aborted) }
}

test('a try that is answered in time stays alone', async () => {
  const { clock, tries, answer } = connecting()
  tries[0]!.answer('there')
  expect(await answer).toBe('there')
  await clock.advance(10_000)
  expect(tries.length).toBe(1)
})

test('while nobody answers another one is begun every 250 ms; the first and the last three wait, and the first answer ends the others', async () => {
  const { clock, tries, answer, aborted } = connecting()
  await clock.advance(1_600)
  expect(aborted()).toEqual([false, true, true, true, false, false, false])
  tries[4]!.answer('there')
  expect(await answer).toBe('there')
  expect(aborted()).toEqual([true, true, true, true, false, true, true])
  expect(clock.waiting).toBe(0)
})

test('a slow answer comes to the first one', async () => {
  const { clock, tries, answer } = connecting()
  await clock.advance(3_000)
  tries[0]!.answer('late')
  expect(await answer).toBe('late')
})

test('a refusal ends it at once', async () => {
  const { clock, tries, answer, aborted } = connecting()
  await clock.advance(300)
  tries[1]!.fail(new Error('ECONNREFUSED'))
  await expect(answer).rejects.toThrow('ECONNREFUSED')
  expect(aborted()).toEqual([true, false])
  expect(clock.waiting).toBe(0)
})

test('its signal ends it, and later on what came of it', async () => {
  const giveUp = new AbortController()
  const given = connecting(giveUp.signal)
  giveUp.abort(new Error('enough'))
  await expect(given.answer).rejects.toThrow('enough')
  expect(given.aborted()).toEqual([true])

  const later = new AbortController()
  const { tries, answer, aborted } = connecting(later.signal)
  tries[0]!.answer('there')
  await answer
  later.abort()
  expect(aborted()).toEqual([true])
})
