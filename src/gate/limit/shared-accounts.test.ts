// Limits that several gates count in together: counted at the far end, where all their calls arrive.
import { expect, test } from 'vitest'
import { createMemoryKv } from '../../base/kv/memory.ts'
import type { Bucket } from '../../base/kv/kv.ts'
import { silentLog } from '../../kernel/log.ts'
import { createTestClock } from '../../../test/kit/clock.ts'
import { diceOf } from '../../../test/sim/seeded.ts'
import type { Limit } from './account.ts'
import { Limits, type Refused, type Running } from './limits.ts'
import { SharedAccounts } from './shared-accounts.ts'

const all = { principals: ['*'], upstreams: ['*'], tools: ['*'], per: 'tool' as const }

function gatesOf(count: number, ...given: Partial<Limit>[]) {
  const clock = createTestClock()
  const kv = createMemoryKv({ clock })
  const limits = given.map((limit) => ({ ...all, ...limit }))
  const dead = new Set<string>()
  let asked = 0
  const counting = (bucket: Bucket): Bucket => ({
    ...bucket,
    get: (key) => (asked++, bucket.get(key)),
    create: (...words) => (asked++, bucket.create(...words)),
    update: (...words) => (asked++, bucket.update(...words)),
  })
  const gates = Array.from({ length: count }, (_, at) => {
    const id = `gate${at}`
    const isAway = { now: false, backAtMs: 0 }
    const shared = new SharedAccounts({
      bucket: counting(kv.bucket('limits')),
      clock,
      log: silentLog,
      gates: {
        id,
        isSure: () => !isAway.now,
        get sureSinceMs() {
          return isAway.backAtMs
        },
        gone: async (ids) => new Set(ids.filter((one) => dead.has(one))),
      },
    })
    const made = new Limits(clock, limits, shared)
    return { id, isAway, shared, begin: async (tool = 'a', principal = 'ann') => made.begin(principal, 'up', tool) }
  })
  return { clock, gates, dead, asked: () => asked }
}
const isRunning = (one: Running | Refused): one is Running => !('reason' in one)

test('so many calls a minute at all gates together, and all of them can be had at one', async () => {
  const { clock, gates } = gatesOf(3, { callsPerMinute: 60 })
  const tried = await Promise.all(Array.from({ length: 180 }, (_, at) => gates[at % 3]!.begin()))
  expect(tried.filter(isRunning)).toHaveLength(60)
  expect(tried.find((one) => !isRunning(one))).toMatchObject({ reason: 'ann may use a of up for 60 calls a minute: try again in 1 s' })
  await clock.advance(30_000)
  const again = await Promise.all(Array.from({ length: 60 }, () => gates[1]!.begin()))
  expect(again.filter(isRunning)).toHaveLength(30)
})

test('of 600 calls of a busy minute at two gates, the cluster hears of a few', async () => {
  const { clock, gates, asked } = gatesOf(2, { callsPerMinute: 6_000, bytesPerMinute: 60_000_000, concurrent: 64 })
  for (let at = 0; at < 600; at++) {
    const running = (await gates[at % 2]!.begin()) as Running
    running.spend(1_000)
    running.end()
    await clock.advance(100)
  }
  expect(asked()).toBeLessThan(60)
})

test('what one gate took and does not need comes back, at once when it ends', async () => {
  const { clock, gates } = gatesOf(2, { callsPerMinute: 12, concurrent: 2 })
  const held = await Promise.all([gates[0]!.begin(), gates[0]!.begin()])
  expect(await gates[1]!.begin()).toMatchObject({ reason: 'ann may use a of up for 2 at once: try again in 1 s', retryAfterSeconds: 1 })
  for (const one of held) (one as Running).end()
  await clock.advance(3_000)
  const there = await gates[1]!.begin()
  expect(there).toMatchObject({ end: expect.any(Function) as unknown })
  await gates[1]!.shared[Symbol.asyncDispose]()
  expect(isRunning(await gates[0]!.begin())).toBe(true)
})

test('what a gate that died was running counts no more; one that is cut off runs nothing new', async () => {
  const { clock, gates, dead } = gatesOf(2, { concurrent: 1 })
  expect(isRunning(await gates[0]!.begin())).toBe(true)
  expect(isRunning(await gates[1]!.begin())).toBe(false)
  gates[0]!.isAway.now = true
  dead.add('gate0')
  expect(await gates[0]!.begin('b')).toMatchObject({ reason: expect.stringContaining('the cluster cannot be reached') as string })
  await clock.advance(1_000)
  expect(isRunning(await gates[1]!.begin())).toBe(true)
})

test('what a gate may run is asked anew when it was taken for dead meanwhile', async () => {
  const { clock, gates, dead } = gatesOf(2, { concurrent: 2 })
  const first = [await gates[0]!.begin(), await gates[0]!.begin()]
  expect(first.map(isRunning)).toEqual([true, true])
  gates[0]!.isAway.now = true
  dead.add('gate0')
  await clock.advance(60_000)
  expect([await gates[1]!.begin(), await gates[1]!.begin()].map(isRunning)).toEqual([true, true])
  dead.delete('gate0')
  gates[0]!.isAway.now = false
  gates[0]!.isAway.backAtMs = clock.mono()
  for (const one of first) (one as Running).end()
  expect(isRunning(await gates[0]!.begin())).toBe(false)
})

test('bytes that a call cost at one gate are owed at the others', async () => {
  const { clock, gates } = gatesOf(2, { bytesPerMinute: 60_000 })
  const running = (await gates[0]!.begin()) as Running
  running.spend(90_000)
  running.end()
  await clock.advance(2_000)
  expect(await gates[1]!.begin()).toMatchObject({ retryAfterSeconds: 29 })
  await clock.advance(29_000)
  expect(isRunning(await gates[1]!.begin())).toBe(true)
})

test('a cluster that cannot be asked refuses, with the reason, and is asked once a second', async () => {
  const clock = createTestClock()
  let asked = 0
  const broken = { ...createMemoryKv({ clock }).bucket('limits'), get: () => (asked++, Promise.reject(new Error('no majority'))) }
  const needs = {
    bucket: broken,
    clock,
    log: silentLog,
    gates: { id: 'one', isSure: () => true, sureSinceMs: 0, gone: async () => new Set<string>() },
  }
  const limits = new Limits(clock, [{ ...all, callsPerMinute: 60 }], new SharedAccounts(needs))
  for (let at = 0; at < 20; at++)
    expect(await limits.begin('ann', 'up', 'a')).toMatchObject({
      reason: expect.stringMatching(/count together \(.*no majority/) as string,
    })
  expect(asked).toBe(1)
})

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
test(`whatever the gates do, no minute has more calls than it may, and never do more run at once (seed ${seed})`, async () => {
  const [dice, callsPerMinute, burst, concurrent] = [diceOf(seed), 60, 20, 5]
  const { clock, gates } = gatesOf(3, { callsPerMinute, burst, concurrent })
  const [running, begunMs] = [[] as Running[], [] as number[]]
  for (let at = 0; at < 3_000; at++) {
    const tries = await Promise.all(Array.from({ length: dice.below(4) }, () => dice.pick(gates).begin()))
    for (const one of tries.filter(isRunning)) {
      running.push(one)
      begunMs.push(clock.mono())
    }
    expect(running.length).toBeLessThanOrEqual(concurrent)
    while (running.length > 0 && dice.chance(0.5)) running.splice(dice.below(running.length), 1)[0]!.end()
    await clock.advance(dice.below(400))
  }
  const most = begunMs.map((fromMs, at) => begunMs.slice(at).filter((ms) => ms <= fromMs + 60_000).length)
  expect(Math.max(...most)).toBeLessThanOrEqual(burst + callsPerMinute + 1)
  expect(begunMs.length).toBeGreaterThan((clock.mono() / 60_000) * callsPerMinute * 0.7) // and they are of use
})
