// How the HTTP door keeps a quiet call alive: on a clock that the test moves.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestClock } from '../../../test/kit/clock.ts'
import { modernCall, openSession, textOf } from '../../../test/kit/raw-client.ts'
import { type Handler, answered } from './exchange.ts'
import { createHttpDoor } from './http-door.ts'
import { idToken, resultFrame } from './message.ts'
import type { Endpoint, Session } from './scopes.ts'

const clock = createTestClock()
let asked = Promise.withResolvers<() => void>()

/** Answers `wait` when the test says so, everything else at once. */
const handle: Handler = async ({ frame }, out) => {
  if (frame.method === 'tools/call') {
    const go = Promise.withResolvers<void>()
    asked.resolve(go.resolve)
    await go.promise
  }
  out.write(resultFrame(idToken(frame), { content: [{ type: 'text', text: 'at last' }] }))
  return answered
}
const session: Session = { id: 's', handle, listen: () => Promise.resolve(true), close: () => Promise.resolve() }
const endpoint: Endpoint = {
  name: 'quiet',
  handle,
  open: async (exchange, out) => ({ session, outcome: await handle(exchange, out) }),
  find: () => Promise.resolve(session),
}
const door = createHttpDoor({
  endpoint: () => endpoint,
  authenticate: () => ({ name: 'me', via: 'door' }),
  refused: () => {},
  clock,
})
const server = createServer((request, response) => door.handle(request, response))
let url: string
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

test.each(['legacy', 'modern'])(
  '%s: after 15 s of silence a stream begins, with a sign of life every 15 s, and the answer ends it',
  async (era) => {
    asked = Promise.withResolvers()
    const client = era === 'legacy' ? await openSession(url) : undefined
    const call = client ? client.call(1, 'wait') : modernCall(url, 1, 'wait')
    let isThere = false
    void call.then(() => (isThere = true))
    const go = await asked.promise
    await clock.advance(14_900)
    expect(isThere).toBe(false)
    await clock.advance(200)
    const reply = await call
    expect(reply.isStream).toBe(true)
    await clock.advance(30_100)
    go()
    const text = await reply.text()
    expect(text.match(/^: keep-alive$/gm)!.length).toBeGreaterThanOrEqual(2)
    expect(text).toContain('at last')
    expect(clock.waiting).toBe(0)
  },
)

test('a quick answer is one JSON body, and leaves no timer', async () => {
  asked = Promise.withResolvers()
  const call = modernCall(url, 1, 'wait')
  ;(await asked.promise)()
  const reply = await call
  expect(reply.isStream).toBe(false)
  expect(textOf(await reply.answer())).toBe('at last')
  expect(clock.waiting).toBe(0)
})
