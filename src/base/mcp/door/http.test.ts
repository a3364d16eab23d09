// How the HTTP door keeps a quiet call alive: on a clock that the test moves.
import { type ServerResponse, createServer } from 'node:http'
import { type AddressInfo, type Socket, connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestClock } from '../../../../test/kit/clock.ts'
import { enveloped, modernCall, openSession, textOf } from '../../../../test/kit/raw-client.ts'
import { type Handler, answered } from '../exchange.ts'
import { createHttpDoor } from './http.ts'
import { idToken, resultFrame } from '../message.ts'
import { scan } from '../../wire/scan.ts'
import type { Endpoint, Session } from '../scopes.ts'

const clock = createTestClock()
let asked = Promise.withResolvers<() => void>()

const large = 'x'.repeat(7 << 20)

/** Answers `wait` when the test says so, everything else at once. */
const handle: Handler = async ({ frame }, out) => {
  if (frame.method === 'tools/list') {
    if (frame.at.progressToken)
      out.write(scan(Buffer.from('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}')))
    out.write(resultFrame(idToken(frame), { tools: [], large }))
    out.write(resultFrame(idToken(frame), { tools: [], large: 'again' }))
    return answered
  }
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
const responses: ServerResponse[] = []
const server = createServer((request, response) => {
  responses.push(response)
  door.handle(request, response)
})
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

describe('an answer that its reader does not take', () => {
  const post = (era: string, _meta: object): string => {
    const message =
      era === 'modern'
        ? enveloped(1, 'tools/list', {}, { meta: { ..._meta } })
        : { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta } }
    const body = JSON.stringify(message)
    const headers =
      era === 'modern'
        ? 'mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list'
        : 'mcp-session-id: s\r\nmcp-protocol-version: 2025-11-25'
    return `POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n${headers}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  }
  const open = async (text: string, count: number): Promise<Socket> => {
    responses.length = 0
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.on('error', () => {}).pause()
    socket.write(text)
    await expect.poll(() => responses.length).toBe(count)
    await expect.poll(() => responses.at(-1)!.writableEnded).toBe(true)
    return socket
  }

  test.each([
    ['legacy', 'a stream', { progressToken: 1 }],
    ['modern', 'a stream', { progressToken: 1 }],
    ['legacy', 'one body', {}],
    ['modern', 'one body', {}],
  ])('%s, %s: it is kept awake no more, and cut in the end', async (era, _how, _meta) => {
    const socket = await open(post(era, _meta), 1)
    const [response] = responses
    expect(response!.writableFinished).toBe(false)
    await clock.advance(29_000)
    expect(response!.destroyed).toBe(false)
    await clock.advance(30_000 + large.length / 64)
    expect(response!.req.socket.destroyed).toBe(true)
    await expect.poll(() => clock.waiting).toBe(0)
    socket.destroy()
  })

  test('nor does one that waits behind an open stream do harm', async () => {
    const get =
      'GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nmcp-session-id: s\r\nmcp-protocol-version: 2025-11-25\r\n\r\n'
    const socket = await open(get + post('legacy', { progressToken: 1 }), 2)
    socket.resume()
    await clock.advance(60_000 + large.length / 64)
    expect(responses[1]!.req.socket.destroyed).toBe(true)
    await expect.poll(() => clock.waiting).toBe(0)
  })

  test('one that is read slowly arrives, and only once', async () => {
    const socket = await open(post('legacy', { progressToken: 1 }), 1)
    await clock.advance(20_000)
    let text = ''
    socket
      .setEncoding('latin1')
      .on('data', (chunk: string) => (text += chunk))
      .resume()
    await expect.poll(() => responses[0]!.writableFinished).toBe(true)
    await expect.poll(() => text.endsWith('0\r\n\r\n')).toBe(true)
    expect(text.match(/"result":/g)).toHaveLength(1)
    socket.destroy()
    await expect.poll(() => clock.waiting).toBe(0)
  })
})
