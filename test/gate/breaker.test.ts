// A server that lets its requests run out of time is left alone for a while that grows; lists and health say so; one answer and all is as before.
import { expect, test } from 'vitest'
import * as raw from '../kit/raw-client.ts'
import { gateFor, openSession, call, send, textOf, unrulyServer, until } from './bed.ts'

test('after three in a row that ran out of time the next is answered at once, without the server; when its rest is over it is asked again', async () => {
  const server = unrulyServer()
  const gate = await gateFor({
    upstreams: { lazy: { command: server.command, more: 'request_timeout = "1s"' }, well: { command: unrulyServer().command } },
  })
  const session = await openSession(gate.url('lazy'))
  const hang = () => call(gate.url('lazy'), 'hang', {}, { session })
  await Promise.all([hang(), hang()])
  expect(textOf(await call(gate.url('lazy'), 'echo', { text: 'one answer begins the count anew' }, { session }))).toBe(
    'one answer begins the count anew',
  )
  await Promise.all([hang(), hang(), hang()])
  const asked = server.callsOf('echo')
  const from = performance.now()
  const refused = await call(gate.url('lazy'), 'echo', { text: 'x' }, { session })
  expect(performance.now() - from).toBeLessThan(500)
  expect(refused.body.error!.message).toMatch(/lazy let 3 requests in a row run out of time: it is left alone for [\d.]+ s/)
  expect(server.callsOf('echo')).toBe(asked)
  const other = await openSession(gate.url('lazy'), { token: gate.token })
  expect(textOf(await call(gate.url('lazy'), 'echo', { text: 'mine' }, { session: other, token: gate.token }))).toBe('mine')
  const list = await (await raw.modern(`http://127.0.0.1:${gate.port}/mcp`, 1, 'tools/list')).answer()
  expect((list.result!['tools'] as { name: string }[]).map(({ name }) => name)).toEqual(['well__echo', 'well__hang', 'well__exit'])
  expect(JSON.stringify(list.result!['_meta'])).toContain('left alone')
  const health = await send(`http://127.0.0.1:${gate.port}/health`, undefined, { httpMethod: 'GET' })
  expect(health.text).toMatch(/"upstream lazy":\{"ok":false,"reason":"it lets its requests run out of time; the next try may be in/)
  await until(
    'it is asked again',
    async () => textOf(await call(gate.url('lazy'), 'echo', { text: 'again' }, { session })) === 'again',
    20_000,
  )
  expect((await send(`http://127.0.0.1:${gate.port}/health`, undefined, { httpMethod: 'GET' })).text).toContain('"status":"ok"')
})
