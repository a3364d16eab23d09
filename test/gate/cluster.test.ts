// Two gates that name the same cluster: a session opened at one goes on at the other, and ends at both; and what a gate does whose cluster is not there.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { balancer } from '../kit/balancer.ts'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { type NatsCluster, hasNats, startNats } from '../kit/nats.ts'
import { call, gateFor, openSession, post, sdkClient, sdkText, send, textOf, unrulyServer, until } from './bed.ts'

let nats: NatsCluster
beforeAll(async () => {
  if (!hasNats) return
  nats = await startNats()
  keep()
})
beforeEach(({ skip }) => {
  if (!hasNats) skip('there is no nats-server here')
})
afterAll(cleanUp)

async function twoGates() {
  const child = unrulyServer()
  const options = { upstreams: { child: { command: child.command, more: 'suspicious_tools = "report"' } }, cluster: nats.urls }
  const [one, other] = await Promise.all([gateFor(options), gateFor(options)])
  return { child, one: one.url('child'), other: other.url('child'), gates: [one, other] }
}

test('a session goes on at another gate as the client had it, and what it changes there holds here', async () => {
  const { child, one, other } = await twoGates()
  const session = await openSession(one)
  expect(textOf(await call(one, 'echo', { text: 'here' }, { session }))).toBe('here')
  await post(one, 'resources/subscribe', { uri: 'test://a' }, { session })
  expect(textOf(await call(other, 'echo', { text: 'there' }, { session }))).toBe('there')
  const count = (method: string): number => child.notes().filter((note) => note.method === method).length
  expect([count('initialize'), count('resources/subscribe')]).toEqual([2, 2])
  await post(other, 'resources/subscribe', { uri: 'test://b' }, { session })
  await until('the first gate has both subscriptions', async () => {
    await call(one, 'echo', { text: 'again' }, { session })
    return count('resources/subscribe') >= 5
  })
  expect(child.callsOf('echo')).toBeGreaterThanOrEqual(3)
})

test('a session that is ended at one gate is ended at the other, and does not come back', async () => {
  const { one, other } = await twoGates()
  const session = await openSession(one)
  for (const gate of [one, other]) expect(textOf(await call(gate, 'echo', { text: 'x' }, { session }))).toBe('x')
  expect((await send(other, undefined, { session, httpMethod: 'DELETE' })).status).toBeLessThan(300)
  await until('the first gate knows', async () => (await call(one, 'echo', { text: 'x' }, { session })).status === 404)
  expect((await call(other, 'echo', { text: 'x' }, { session })).status).toBe(404)
})

test('behind a TCP balancer a legacy client does not notice that there are two', async () => {
  const { child, gates } = await twoGates()
  const port = await balancer(gates.map((gate) => gate.port))
  const client = await sdkClient(`http://127.0.0.1:${port}/mcp/child`, 'legacy')
  const texts = Array.from({ length: 20 }, (_, at) => `call ${at}`)
  expect(await Promise.all(texts.map((text) => sdkText(client, 'echo', { text })))).toEqual(texts)
  expect(child.callsOf('echo')).toBe(texts.length)
  expect(child.pids().length).toBeGreaterThan(1)
})

test('a gate whose cluster is not there does not start, and says why', async () => {
  const starting = gateFor({ upstreams: {}, cluster: ['nats://127.0.0.1:9'] })
  await expect(starting).rejects.toThrow(/none of nats:\/\/127\.0\.0\.1:9 takes us in/)
})
