// What was handed on is remembered within bounds and over restarts; where it cannot be kept, as long as the gate lives.
import { expect, test } from 'vitest'
import { createMemoryKv } from '../base/kv/memory.ts'
import { systemClock as clock } from '../kernel/clock.ts'
import { silentLog as log } from '../kernel/log.ts'
import { Handles } from './handles.ts'

const task = (value: string) => ({ kind: 'task', value }) as const

test("the last thousand of each principal, now and after a restart; another principal's displace none of them", async () => {
  const bucket = createMemoryKv({ clock }).bucket('handles')
  const handles = new Handles({ bucket, log })
  handles.note('bob', 'up', task('first'))
  for (let at = 0; at < 1_001; at++) handles.note('ann', 'up', task(`${at}`))
  const look = (now: Handles): void => {
    expect(['0', '1', '1000'].map((value) => now.isOf('ann', 'up', task(value)))).toEqual([false, true, true])
    expect(now.isOf('bob', 'up', task('first'))).toBe(true)
    for (const [who, where, handle] of [
      ['bob', 'up', task('1')],
      ['ann', 'other', task('1')],
      ['ann', 'up', { kind: 'state', value: '1' }],
      ['ann', 'up', { kind: 'task', value: undefined }],
    ] as const)
      expect(now.isOf(who, where, handle)).toBe(false)
  }
  look(handles)
  await expect.poll(async () => (await Array.fromAsync(bucket.list())).length).toBe(1_001)
  const again = new Handles({ bucket, log })
  await again.load()
  look(again)
  again.note('ann', 'up', task('1001'))
  expect(['1', '2'].map((value) => again.isOf('ann', 'up', task(value)))).toEqual([false, true])
})

test('what cannot be kept holds until the gate ends', async () => {
  const bucket = createMemoryKv({ clock, maxEntries: 1 }).bucket('handles')
  const handles = new Handles({ bucket, log })
  for (const value of ['kept', 'held']) handles.note('ann', 'up', task(value))
  expect(handles.isOf('ann', 'up', task('held'))).toBe(true)
  const again = new Handles({ bucket, log })
  await again.load()
  expect(['kept', 'held'].map((value) => again.isOf('ann', 'up', task(value)))).toEqual([true, false])
})
