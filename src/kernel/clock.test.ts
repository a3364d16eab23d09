// Deadlines: what ends them, and what they say then; and times longer than a timer of Node's takes.
import { afterEach, expect, test, vi } from 'vitest'
import { type Clock, deadline, systemClock } from './clock.ts'

function held(): { clock: Pick<Clock, 'after'>; readonly due: (() => void)[] } {
  const due: (() => void)[] = []
  return { clock: { after: (_delayMs, act) => (due.push(act), () => {}) }, due }
}

test('a deadline aborts when its time is over, as a TimeoutError', () => {
  const { clock, due } = held()
  const signal = deadline(clock, 50)
  expect(signal.aborted).toBe(false)
  due[0]!()
  expect(signal.reason).toMatchObject({ name: 'TimeoutError', message: 'not within 50 ms' })
})

test('a deadline with a signal aborts with whichever comes first', () => {
  const { clock, due } = held()
  const stop = new AbortController()
  const [one, two] = [deadline(clock, 50, stop.signal), deadline(clock, 50)]
  stop.abort(new Error('stopped'))
  for (const act of due) act()
  expect(one.reason).toMatchObject({ message: 'stopped' })
  expect(two.reason).toMatchObject({ name: 'TimeoutError' })
})

afterEach(() => void vi.useRealTimers())

test.each([10, 24.8, 25, 49.8, 365])('%d days are that long, not a moment', async (days) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  const delayMs = Math.round(days * 86_400_000)
  const happened: string[] = []
  systemClock.after(delayMs, () => happened.push('after'))
  const cancel = systemClock.after(delayMs, () => happened.push('cancelled'))
  const stop = new AbortController()
  void systemClock.wait(delayMs).then(() => happened.push('wait'))
  const stopped = systemClock.wait(delayMs, stop.signal).catch(() => happened.push('stopped'))
  await vi.advanceTimersByTimeAsync(delayMs - 1)
  expect(happened).toEqual([])
  cancel()
  stop.abort()
  await stopped
  await vi.advanceTimersByTimeAsync(1)
  expect(happened).toEqual(['stopped', 'after', 'wait'])
  expect(vi.getTimerCount()).toBe(0)
})
