// The tools of metrics: ranges, pages and what they refuse; sampling begun and ended by a call.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { z } from 'zod'
import { type TestClock, createTestClock } from '../../../test/kit/clock.ts'
import type { Tool } from '../../base/mcp/tool/tool.ts'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import schema from '../config.ts'
import { plainCall } from '../helper/memory-link.fixture.ts'
import { createHost } from '../host.ts'
import { machineNeeds } from '../needs.fixture.ts'
import type { MachineNeeds } from '../needs.ts'
import getStatus from '../tools/metrics-get-status.ts'
import query from '../tools/metrics-query.ts'
import realtime from '../tools/metrics-realtime.ts'
import startSampling from '../tools/metrics-start-sampling.ts'
import stopSampling from '../tools/metrics-stop-sampling.ts'
import { type Metrics, openMetrics } from './metrics.ts'

let folder: string
let clock: TestClock
let metrics: Metrics
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'metrics-'))
  clock = createTestClock(Date.UTC(2026, 10, 30, 8))
  const settings = { ...schema.parse({}).metrics, path: join(folder, 'metrics.db') }
  metrics = openMetrics({ host: createHost(), clock, log: silentLog }, settings)
  metrics.begin()
})
afterEach(() => {
  metrics.close()
  rmSync(folder, { recursive: true })
})

async function ask<In extends z.ZodObject, Out extends z.ZodObject>(
  tool: Tool<MachineNeeds, In, Out>,
  input: z.input<In>,
  needs = machineNeeds({ metrics, clock }),
): Promise<z.output<Out>> {
  return tool.output.strict().parse(await tool.handle(needs, tool.input.parse(input), plainCall())) as z.output<Out>
}

test('metrics_query answers whole buckets, a page at a time, each sample in one of them', async () => {
  for (let turn = 1; turn <= 10; turn++) {
    await clock.advance(60_000)
    await expect.poll(() => metrics.state.taken, { interval: 1 }).toBe(2 * turn)
  }
  const range = { from: '2026-11-30T08:00:10Z', to: '2026-11-30T09:09:50+01:00', series: ['memory_percent' as const], bucket_seconds: 60 }
  const all = await ask(query, range)
  expect(all).toMatchObject({ from: '2026-11-30T08:00:00.000Z', to: '2026-11-30T08:10:00.000Z', madeOf: 'samples' })
  expect(all.nextCursor).toBeUndefined()
  const { buckets } = all.series[0]!
  expect(buckets.map(({ count }) => count)).toEqual([1, 2, 2, 2, 2, 2, 2, 2, 2, 2])
  for (const { min, avg, max } of buckets) expect(min <= avg + 0.001 && avg <= max + 0.001).toBe(true)

  const first = await ask(query, { ...range, limit: 4 })
  const second = await ask(query, { ...range, limit: 4, cursor: first.nextCursor! })
  const third = await ask(query, { ...range, limit: 4, cursor: second.nextCursor! })
  expect([first, second, third].flatMap(({ series }) => series[0]!.buckets)).toEqual(buckets)
  expect(third.nextCursor).toBeUndefined()

  const usual = await ask(query, {})
  expect(usual).toMatchObject({ bucketSeconds: 60, to: '2026-11-30T08:10:00.000Z' })
  expect(await ask(query, { from: '2026-11-01T00:00:00Z' })).toMatchObject({ bucketSeconds: 43_200, madeOf: 'roll-ups of 3600 s' })
})

test.each([
  [{ from: '2026-11-30T09:00:00Z', to: '2026-11-30T08:00:00Z' }, 'operate.bad_range'],
  [{ bucket_seconds: 301 }, 'operate.bad_range'],
  [{ bucket_seconds: 3_900 }, 'operate.bad_range'],
  [{ from: '1960-01-01T00:00:00Z' }, 'operate.bad_range'],
  [{ cursor: 'bogus' }, 'operate.bad_cursor'],
])('metrics_query refuses %j', async (input, code) => {
  await expect(ask(query, input)).rejects.toMatchObject({ code, kind: 'usage' })
})

test('metrics_realtime tells this moment, CPU use included, and why a value is not known', async () => {
  const needs = machineNeeds({
    metrics: openMetrics(
      { host: createHost(), clock: systemClock, log: silentLog },
      { ...schema.parse({}).metrics, path: '/nonexistent/m.db', isReader: true },
    ),
  })
  const { values } = await ask(realtime, {}, needs)
  expect(values.cpu_percent).toBeGreaterThanOrEqual(0)
  expect(values.disk_used_bytes).toBeGreaterThan(0)
  const bare = machineNeeds({
    metrics: openMetrics(
      { host: createHost('/nonexistent'), clock, log: silentLog },
      { ...schema.parse({}).metrics, path: '/nonexistent/m.db', isReader: true },
    ),
  })
  expect((await ask(realtime, {}, bare)).values).toMatchObject({
    cpu_percent: { unavailable: '/proc/stat does not exist on this machine' },
    temperature_celsius: { unavailable: expect.stringContaining('/sys/class/thermal') },
  })
})

test('sampling is ended and begun by calls; a sandbox changes nothing', async () => {
  expect(await ask(stopSampling, {})).toMatchObject({ isSampling: false })
  await clock.advance(120_000)
  expect(await ask(getStatus, {})).toMatchObject({ isSampling: false, samplesTaken: 0 })
  expect(startSampling.simulate!(machineNeeds({ metrics, clock }), { interval_seconds: 5 })).toMatchObject({ isSampling: false })
  expect(await ask(startSampling, { interval_seconds: 5 })).toMatchObject({ isSampling: true, intervalSeconds: 5 })
  await clock.advance(5_000)
  await expect.poll(async () => (await ask(getStatus, {})).samplesTaken).toBe(1)
})
