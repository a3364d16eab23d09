// notifications/cancelled, in both eras and over both transports: it reaches the right request at the far end, and only that.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fixture, fixtureCommand, startFixture } from '../kit/fixture/process.ts'
import { type RunningGate, startGate } from '../kit/gate.ts'
import { type RawSession, openSession, send, textOf } from '../kit/raw-client.ts'

let fixture: Fixture
let gate: RunningGate
beforeAll(async () => {
  fixture = await startFixture()
  gate = await startGate({
    upstreams: {
      http: { url: fixture.url },
      session: { command: fixtureCommand },
      principal: { command: fixtureCommand, more: 'isolation = "principal"' },
      shared: { command: fixtureCommand, more: 'isolation = "shared"' },
    },
    log: 'debug',
  })
})
afterAll(async () => {
  await gate?.stop()
  await fixture?.stop()
})

const soon = { timeout: 10_000, interval: 10 }
const count = (upstream: string, wanted: RegExp): number =>
  (upstream === 'http' ? fixture.stderr : gate.stderr).filter((line) => wanted.test(line)).length
const cancel = (session: RawSession, requestId: unknown): Promise<{ status: number }> =>
  session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId, reason: 'enough' } })

describe.each(['http', 'session', 'principal', 'shared'])('legacy over %s', (upstream) => {
  test('ends the named request and no other, though another client has the same id open', async () => {
    const [one, two] = [await openSession(gate.url(upstream)), await openSession(gate.url(upstream))]
    const [started, cancelled] = [count(upstream, /started /), count(upstream, /cancelled /)]
    // 3 is also what the gate may call the last of them where one child serves all.
    const gone = one.call(3, 'hang')
    const stays = one.call('3', 'slow', { ms: 500 })
    const foreign = two.call(3, 'slow', { ms: 500 })
    await expect.poll(() => count(upstream, /started /), soon).toBe(started + 3)
    for (const nobody of [99, 'x', null]) expect((await cancel(one, nobody)).status).toBe(202)
    expect((await cancel(one, 3)).status).toBe(202)
    await expect.poll(() => count(upstream, /cancelled /), soon).toBe(cancelled + 1)
    expect(await (await gone).rest()).toEqual([])
    for (const call of [stays, foreign]) expect(textOf(await (await call).answer())).toBe('waited 500')
    expect(count(upstream, /cancelled /)).toBe(cancelled + 1)
    // The id is free again.
    expect(textOf(await (await one.call(3, 'echo', { text: 'again' })).answer())).toBe('again')
    await Promise.all([one.end(), two.end()])
  })

  test('DELETE ends what is open', async () => {
    const session = await openSession(gate.url(upstream))
    const [started, over] = [count(upstream, /started /), count(upstream, /cancelled |"exitCode"|child\.ended/)]
    const hanging = session.call(1, 'hang')
    await expect.poll(() => count(upstream, /started /), soon).toBe(started + 1)
    expect((await session.end()).status).toBe(200)
    const reply = await hanging
    const rest = reply.isStream ? await reply.rest() : [await reply.json()]
    if (rest.length > 0) expect(rest).toMatchObject([{ id: 1, error: { code: -32_000 } }])
    if (upstream !== 'http') await expect.poll(() => count(upstream, /cancelled |"exitCode"|child\.ended/), soon).toBeGreaterThan(over)
  })
})

test('initialize is never cancelled', async () => {
  const body = (message: unknown): string => JSON.stringify({ jsonrpc: '2.0', ...(message as object) })
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } }
  const opening = send(gate.url('session'), { body: body({ id: 0, method: 'initialize', params }) })
  const cancelling = await send(gate.url('session'), { body: body({ method: 'notifications/cancelled', params: { requestId: 0 } }) })
  expect(cancelling.status).toBe(400) // it belongs to no session yet
  const reply = await opening
  expect(await reply.answer()).toMatchObject({ id: 0, result: { protocolVersion: '2025-11-25' } })
  const headers = { 'mcp-session-id': String(reply.headers['mcp-session-id']), 'mcp-protocol-version': '2025-11-25' }
  await send(gate.url('session'), { body: body({ method: 'notifications/cancelled', params: { requestId: 0 } }), headers })
  expect(await (await send(gate.url('session'), { body: body({ id: 1, method: 'ping' }), headers })).answer()).toMatchObject({ result: {} })
})
