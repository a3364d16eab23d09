// Health is told with the reason of what is not well, and whom it concerns: who restarts the server, who sends it calls, who looks after it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TestClock, createTestClock } from '../../test/kit/clock.ts'
import { startMachine } from '../daemons/machine.ts'
import { tools } from '../extensions.ts'
import { systemClock } from '../kernel/clock.ts'
import { silentLog } from '../kernel/log.ts'
import schema from './config.ts'
import { type HealthNeeds, type HealthWatch, type Scope, watchHealth } from './health.ts'
import { noHelper } from './helper/link.ts'
import { createHost } from './host.ts'
import { openMetrics } from './metrics/metrics.ts'

let folder: string
let clock: TestClock
const watches: HealthWatch[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-health-'))
  clock = createTestClock()
})
afterEach(() => {
  for (const watch of watches.splice(0)) watch[Symbol.dispose]()
  rmSync(folder, { recursive: true })
})

function watch(
  changes: Partial<HealthNeeds> = {},
  { health = {}, isHelperExpected = false }: { health?: object; isHelperExpected?: boolean } = {},
): HealthWatch {
  const host = createHost()
  const places = { metrics: join(folder, 'metrics.db'), logs: folder, secret: join(folder, 'secret') }
  const metrics = openMetrics({ host, clock, log: silentLog }, { ...schema.parse({}).metrics, path: places.metrics })
  const needs = {
    clock,
    host,
    helper: noHelper('nobody is there'),
    metrics,
    audit: { problem: undefined },
    server: { state: { sessions: 0, running: 0, problem: undefined } },
    version: '1',
  }
  const made = watchHealth({ ...needs, ...changes }, { limits: () => schema.parse({ health }).health, places, isHelperExpected })
  watches.push(made)
  return made
}

/** What is not well, by scope. */
async function problems(watched: HealthWatch): Promise<Record<Scope, string[]>> {
  const found = async (scope: Scope): Promise<string[]> => {
    const { status, checks } = await watched.look(scope)
    const names = Object.entries(checks).filter(([, { ok, optional }]) => !ok && !optional)
    expect(status).toBe(names.length === 0 ? 'ok' : 'unhealthy')
    for (const [, { reason }] of names) expect(reason).toBeTruthy()
    return names.map(([name]) => name)
  }
  return { live: await found('live'), ready: await found('ready'), all: await found('all') }
}

test('a helper counts where it is expected, and is told of elsewhere', async () => {
  expect(await problems(watch())).toEqual({ live: [], ready: [], all: [] })
  expect((await watch().look('all')).checks['helper']).toEqual({ ok: false, optional: true, reason: 'nobody is there' })
  expect(await problems(watch({}, { isHelperExpected: true }))).toEqual({ live: [], ready: ['helper'], all: ['helper'] })
})

test('an audit log that cannot be written, a disk that is nearly full, a log, a database', async () => {
  expect(await problems(watch({ audit: { problem: 'ENOSPC' } }))).toEqual({ live: [], ready: ['audit'], all: ['audit'] })
  expect(await problems(watch({}, { health: { least_free_mb: 1_000_000 } }))).toEqual({ live: [], ready: ['disk'], all: ['disk'] })
  expect(await problems(watch({ appLog: { problem: 'EACCES' } }))).toEqual({ live: [], ready: [], all: ['log'] })
  writeFileSync(join(folder, 'file'), '')
  const metrics = openMetrics(
    { host: createHost(), clock, log: silentLog },
    { ...schema.parse({}).metrics, path: join(folder, 'file/metrics.db') },
  )
  metrics.begin()
  expect(await problems(watch({ metrics }))).toEqual({ live: [], ready: [], all: ['database'] })
  metrics.close()
})

test('samples that stay out', async () => {
  const metrics = openMetrics(
    { host: createHost(), clock, log: silentLog },
    { ...schema.parse({}).metrics, path: join(folder, 'm/metrics.db') },
  )
  metrics.begin()
  const watched = watch({ metrics })
  await clock.advance(30_000)
  await expect.poll(() => metrics.state.taken).toBe(1)
  expect((await problems(watched)).all).toEqual([])
  writeFileSync(join(folder, 'file'), '')
  rmSync(join(folder, 'm'), { recursive: true })
  writeFileSync(join(folder, 'm'), 'in its place') // no sample can be kept from now on
  await clock.advance(200_000)
  expect((await problems(watched)).all).toEqual(['database', 'sampling'])
  expect((await watched.look('all')).checks['sampling']!.reason).toMatch(/^the last sample was taken \d+ s ago$/)
  metrics.stopSampling()
  expect((await problems(watched)).all).toEqual(['database'])
  metrics.close()
})

test('an event loop that was held up is remembered for ten seconds', async () => {
  const watched = watch({ clock: systemClock })
  const until = performance.now() + 2_300
  while (performance.now() < until); // as a tool would that computes for long
  await expect.poll(() => problems(watched)).toEqual({ live: ['loop'], ready: ['loop'], all: ['loop'] })
})

test('over HTTP: 503 with reasons, each page for whom it is', async () => {
  writeFileSync(join(folder, 'log'), 'a file where the folder belongs')
  const places = { metrics: join(folder, 'metrics/metrics.db'), logs: join(folder, 'log'), secret: join(folder, 'secret') }
  const needs = { clock: systemClock, log: silentLog, version: '1', tools }
  const server = await startMachine(needs, { config: schema.parse({ server: { port: 0 } }), places })
  try {
    const ask = async (page: string): Promise<[number, { checks: Record<string, { ok: boolean }> }]> => {
      const response = await fetch(server.healthUrl + page)
      return [response.status, (await response.json()) as { checks: Record<string, { ok: boolean }> }]
    }
    expect(await ask('/live')).toMatchObject([200, { status: 'ok', checks: { loop: { ok: true } } }])
    expect(await ask('/ready')).toMatchObject([503, { status: 'unhealthy', checks: { audit: { ok: false, reason: expect.any(String) } } }])
    expect(await ask('')).toMatchObject([503, { checks: { sampling: { ok: true }, database: { ok: true } } }])
    expect(await server.health()).toMatchObject({ isOk: false })
  } finally {
    await server.close()
  }
})
