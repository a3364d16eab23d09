// The GET stream and DELETE: what belongs to no request reaches who listens, one listener at a time, and a session that was ended is gone at both ends.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fixture, fixtureCommand, rawCommand, startFixture, startRaw } from '../kit/fixture/process.ts'
import { type RunningGate, startGate } from '../kit/gate.ts'
import { openSession, textOf } from '../kit/raw-client.ts'

let fixture: Fixture
let raw: Awaited<ReturnType<typeof startRaw>>
let gate: RunningGate
beforeAll(async () => {
  fixture = await startFixture()
  raw = await startRaw('', 'legacy')
  gate = await startGate({
    upstreams: {
      http: { url: fixture.url },
      session: { command: fixtureCommand },
      principal: { command: fixtureCommand, more: 'isolation = "principal"' },
      streamless: { url: raw.url },
      raw: { command: rawCommand('stdio', '', 'legacy') },
    },
  })
})
afterAll(async () => {
  await gate?.stop()
  await Promise.all([fixture?.stop(), raw?.stop()])
})

const soon = { timeout: 10_000, interval: 10 }
const watched = 'test://watched-resource'

describe.each(['http', 'session', 'principal'])('over %s', (upstream) => {
  test('the GET stream carries what the server says by itself', async () => {
    const session = await openSession(gate.url(upstream))
    const stream = await session.get()
    expect([stream.status, stream.headers['content-type'], stream.headers['cache-control'], stream.headers['x-accel-buffering']]).toEqual([
      200,
      'text/event-stream',
      'no-cache, no-transform',
      'no',
    ])
    await (await session.request(1, 'resources/subscribe', { uri: watched })).answer()
    await (await session.call(2, 'touch', { uri: 'test://static-text' })).answer()
    await (await session.call(3, 'touch', { uri: watched })).answer()
    await (await session.call(4, 'test_trigger_tool_change')).answer()
    expect(await stream.next()).toMatchObject({ method: 'notifications/resources/updated', params: { uri: watched } })
    expect(await stream.next()).toMatchObject({ method: 'notifications/tools/list_changed' })
    stream.cut()
    await session.end()
  })

  test('a second GET is refused while the first is open; one that names an event takes its place', async () => {
    const session = await openSession(gate.url(upstream))
    const first = await session.get()
    const primed = await first.event()
    const second = await session.get()
    expect([second.status, (await second.json()).error?.code]).toEqual([409, -32_000])
    const third = await session.get({ 'last-event-id': primed!.id! })
    expect(third.status).toBe(200)
    expect(await first.event()).toBeUndefined() // ended for it
    await (await session.call(1, 'test_trigger_tool_change')).answer()
    expect(await third.next()).toMatchObject({ method: 'notifications/tools/list_changed' })
    third.cut()
    // Nobody listens for a moment: what is said meanwhile is there for the next, once.
    await expect
      .poll(async () => {
        const reply = await session.get()
        reply.cut()
        return reply.status
      }, soon)
      .toBe(200)
    await session.end()
  })

  test('DELETE ends the session at both ends', async () => {
    const session = await openSession(gate.url(upstream))
    const stream = await session.get()
    const { pid, headers } = JSON.parse(textOf(await (await session.call(1, 'seen')).answer())) as {
      pid: number
      headers: Record<string, string>
    }
    expect((await session.end()).status).toBe(200)
    expect(await stream.rest()).toEqual([])
    for (const again of [await session.call(2, 'echo', { text: 'x' }), await session.get(), await session.end()])
      expect(again.status).toBe(404)
    if (upstream === 'session') await expect.poll(() => isAlive(pid), soon).toBe(false)
    else expect(isAlive(pid)).toBe(true)
    if (upstream === 'http') {
      const there = await fetch(fixture.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-session-id': headers['mcp-session-id']!,
        },
        body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      })
      expect(there.status).toBe(404)
    }
  })

  test("what is not this principal's session is no session", async () => {
    const session = await openSession(gate.url(upstream))
    for (const reply of [
      await session.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { headers: { authorization: `Bearer ${gate.token}` } }),
      await session.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { headers: { 'mcp-session-id': `${session.id}x` } }),
      await session.get({ authorization: `Bearer ${gate.token}` }),
    ])
      expect(reply.status).toBe(404)
    expect((await session.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { headers: { 'mcp-session-id': undefined } })).status).toBe(400)
    expect((await session.get({ accept: 'application/json' })).status).toBe(406)
    expect((await session.call(1, 'echo', { text: 'mine' })).status).toBe(200)
    await session.end()
  })
})

test('what a server says while nobody listens waits for the next listener, and is told once', async () => {
  const session = await openSession(gate.url('raw'))
  const changed = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
  const say = (id: number, frames: string[]): Promise<unknown> => session.call(id, 'shout', { frames }).then((reply) => reply.answer())
  // After the answer there is no request that it could go with.
  await say(1, ['{"jsonrpc":"2.0","id":$ID,"result":{}}', changed])
  const stream = await session.get()
  expect(await stream.next()).toMatchObject({ method: 'notifications/tools/list_changed' })
  stream.cut()
  let next = await session.get()
  while (next.status === 409) next = await session.get()
  await say(2, ['{"jsonrpc":"2.0","id":$ID,"result":{}}', '{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}'])
  expect(await next.next()).toMatchObject({ method: 'notifications/prompts/list_changed' })
  next.cut()
  await session.end()
})

test('a server without a stream of its own: 405, and everything else works', async () => {
  const session = await openSession(gate.url('streamless'))
  const reply = await session.get()
  expect([reply.status, reply.headers.allow]).toEqual([405, 'POST, DELETE'])
  expect(await (await session.call(1, 'say', { result: '{"n":1}' })).answer()).toMatchObject({ result: { n: 1 } })
  await session.end()
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
