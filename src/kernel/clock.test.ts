// Deadlines: what ends them, and what they say then.
import { expect, test } from 'vitest'
import { type Clock, deadline } from './clock.ts'

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
