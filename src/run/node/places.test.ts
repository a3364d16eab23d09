// One at a time at each place, and nobody waits for ever.
import { expect, test } from 'vitest'
import { createTestClock } from '../../../test/kit/clock.ts'
import { Places } from './places.ts'

test('a place is taken at once, one at a time; others wait as long as they want to', async () => {
  const clock = createTestClock()
  const places = new Places(clock)
  const done: string[] = []
  const first = Promise.withResolvers<void>()
  const one = places.alone(['a', 'b'], 'deploy', () => first.promise)
  expect(places.doing('b')).toBe('deploy') // before anything was waited for
  await expect(places.alone(['b'], 'mend', async () => {})).rejects.toMatchObject({
    code: 'run.busy',
    message: expect.stringContaining('deploy') as string,
  })
  const patient = ['x', 'y'].map((name) =>
    places.alone(
      ['a'],
      name,
      async () => {
        expect(places.doing('a')).toBe(name)
        await Promise.resolve()
        done.push(name)
      },
      1_000,
    ),
  )
  const impatient = places.alone(['b'], 'z', async () => {}, 100).catch((error: { code: string }) => error.code)
  await clock.advance(200)
  expect(await impatient).toBe('run.busy')
  first.resolve()
  await Promise.all([one, ...patient])
  expect(done).toEqual(['x', 'y'])
  expect([places.doing('a'), places.doing('b'), clock.waiting]).toEqual([undefined, undefined, 0])
})

test('work that fails lets go of its place', async () => {
  const places = new Places(createTestClock())
  await expect(places.alone(['a'], 'deploy', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(places.doing('a')).toBeUndefined()
})
