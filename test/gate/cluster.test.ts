// Two gates that name the same cluster: a session opened at one goes on at the other, and ends at both; and what a gate does whose cluster is not there.
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { cleanUp, keep, later } from '../kit/cleanup.ts'
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

/** A TCP balancer, as plain as they come: connections go to the gates in turn. */
async function balanced(ports: readonly number[]): Promise<number> {
  const sockets = new Set<Socket>()
  let turn = 0
  const server = createServer((client) => {
    const gate = connect(ports[turn++ % ports.length]!, '127.0.0.1')
    client.pipe(gate).pipe(client)
    for (const socket of [client, gate]) sockets.add(socket.on('error', () => socket.destroy()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  later(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
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
  const port = await balanced(gates.map((gate) => gate.port))
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
