// Proves that a yes that goes on holds to its end and no longer, whoever hears of it when; and that one which decided nothing holds for nothing.
import { afterEach, expect, test } from 'vitest'
import { createTestClock } from '../../../test/kit/clock.ts'
import { createMemoryKv } from '../../base/kv/memory.ts'
import { Approvals } from './approvals.ts'
import { callKey } from './asked.ts'

const stop = new AbortController()
afterEach(() => stop.abort())

const call = { principal: 'ann', upstream: 'up', tool: 'write', arguments: Buffer.from('{"a":1}'), session: undefined }
const ways = { called: '["ann","",1]', isSentBack: false }
const key = callKey(call)

function gatesOf() {
  const clock = createTestClock()
  const bucket = createMemoryKv({ clock }).bucket('approvals')
  const start = async (): Promise<Approvals> => {
    const approvals = new Approvals({ bucket, clock }, { timeoutMs: 30_000 })
    void approvals.follow(stop.signal)
    await clock.advance(1)
    return approvals
  }
  return { clock, bucket, start }
}

test('a yes for ten minutes is over then, at a gate that hears of it later, too', async () => {
  const { clock, start } = gatesOf()
  const here = await start()
  const { id } = (await here.ask(call, ways))!
  await here.decide(id, { forMs: 600_000 })
  expect(await here.holds(key, undefined)).toBe(id)
  await clock.advance(500_000)
  const later = await start()
  expect(await later.holds(key, undefined)).toBe(id)
  await clock.advance(100_001)
  expect(await later.holds(key, undefined)).toBeUndefined()
  expect(await (await start()).holds(key, undefined)).toBeUndefined()
})

test('a yes that comes after the client has given up holds for no other call', async () => {
  const { clock, bucket, start } = gatesOf()
  const here = await start()
  const waiting = (await here.ask(call, ways))!
  const held = Promise.withResolvers<void>()
  const late = new Approvals(
    { bucket: { ...bucket, create: async (...given) => (await held.promise, bucket.create(...given)) }, clock },
    { timeoutMs: 30_000 },
  )
  const said = late.decide(waiting.id, { forMs: 600_000 })
  await waiting.settle({ is: 'withdrawn' })
  held.resolve()
  await expect(said).rejects.toMatchObject({ code: 'gate.no_waiting_call' })
  await clock.advance(1)
  expect(await late.holds(key, undefined)).toBeUndefined()
  expect(await (await start()).holds(key, undefined)).toBeUndefined()
})
