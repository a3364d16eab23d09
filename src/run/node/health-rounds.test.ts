// Who counts as ill: not one that waits for a deployment and never could answer what its next definition asks.
import { expect, test } from 'vitest'
import { createTestClock } from '../../../test/kit/clock.ts'
import type { ComponentDrift, Drift } from '../drift.ts'
import { serviceFile } from '../service/config.ts'
import type { Verdict } from './health.ts'
import { HealthRounds } from './health-rounds.ts'

const other: Drift = { cause: 'image-changed', field: 'image', desired: 'a/b:v2', observed: 'a/b:v1' }
const image = { reference: 'a/b:v1', digest: `sha256:${'a'.repeat(64)}` }
const current = { id: 'c', name: 'web', state: 'running', restarts: 0, image, labels: {} } as const

function bed() {
  const clock = createTestClock()
  let verdict: Verdict
  const rounds = new HealthRounds({ clock, ask: async () => verdict })
  /** Asks at that port, and answers whether it is ill then. */
  return async (port: number, is: Verdict['health'], drifts: readonly Drift[] = []): Promise<boolean> => {
    verdict = { health: is, reason: 'so' }
    const file = {
      name: 'web',
      node: 'rift',
      components: [{ name: 'web', image: 'a/b:v1', health: { tcp: `127.0.0.1:${port}`, retries: 1 } }],
    }
    const [component] = serviceFile.parse(file).components
    const one: ComponentDrift = { place: { service: 'web', component: 'web' }, component: component!, current, others: [], drifts }
    rounds.round([one], new AbortController().signal, () => {})
    await expect.poll(() => rounds.verdict('web/web')?.health).toBe(is)
    await clock.advance(10_000)
    return rounds.ills().has('c')
  }
}

test('what is as its definition says is ill when it does not answer, from the beginning', async () => {
  expect(await bed()(1, 'unhealthy')).toBe(true)
})

test('what waits for a deployment is ill only if it was well before, asked in the same way', async () => {
  const asked = bed()
  expect(await asked(1, 'unhealthy', [other])).toBe(false)
  expect(await asked(1, 'healthy', [other])).toBe(false)
  expect(await asked(1, 'unhealthy', [other])).toBe(true)
  expect(await asked(2, 'unhealthy', [other])).toBe(false) // the definition asks otherwise now
})

test('who is asked more often than everything is looked at is waited for, one answer at a time', async () => {
  const clock = createTestClock()
  let asked = 0
  const answer = Promise.withResolvers<Verdict>()
  const rounds = new HealthRounds({ clock, ask: () => (asked++, answer.promise) })
  const health = { tcp: '127.0.0.1:1', interval: '200ms' }
  const [component] = serviceFile.parse({ name: 'web', node: 'rift', components: [{ name: 'web', image: 'a/b:v1', health }] }).components
  const one: ComponentDrift = { place: { service: 'web', component: 'web' }, component: component!, current, others: [], drifts: [] }
  const round = (): void => rounds.round([one], new AbortController().signal, () => {})
  expect(rounds.dueInMs(5_000)).toBe(5_000)
  round()
  expect([asked, rounds.dueInMs(5_000), rounds.dueInMs(100)]).toEqual([1, 200, 100])
  await clock.advance(200)
  round()
  expect([asked, rounds.dueInMs(5_000)]).toEqual([1, 200]) // the first has not answered yet
  answer.resolve({ health: 'healthy', reason: '' })
  await expect.poll(() => rounds.verdict('web/web')?.health).toBe('healthy')
  await clock.advance(200)
  round()
  expect(asked).toBe(2)
})
