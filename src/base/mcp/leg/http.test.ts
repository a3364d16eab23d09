// What a server's HTTP statuses mean for a call and for a notification: never more than the server can know, and never a call twice.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock as clock } from '../../../kernel/clock.ts'
import { createHttpClient } from '../../http/client.ts'
import { scan } from '../../wire/scan.ts'
import { type Outcome, neverAborted, noHeaders } from '../exchange.ts'
import { HttpLeg } from './http.ts'
import { resultFrame, textOf } from '../message.ts'

type Answer = { status: number; body?: string; type?: string; pings?: number }
let answer: Answer = { status: 200 }
let taken = 0
let listened: (string | undefined)[] = []
let release = (): void => {}
let held = Promise.resolve()
const server = createServer((request, response) => {
  void text(request).then(async (body) => {
    taken++
    if (request.method === 'GET') {
      listened.push(request.headers['mcp-protocol-version'] as string | undefined)
      return response.writeHead(405).end()
    }
    const { id } = JSON.parse(body) as { id?: unknown }
    if (body.includes('"result"')) {
      await held
      return response.writeHead(202).end()
    }
    const { status, type = 'application/json', pings } = answer
    response.writeHead(status, { 'content-type': type, location: 'http://127.0.0.1:1/' })
    for (let at = 0; at < (pings ?? 0) && !response.destroyed; at++) {
      const room = response.write(`data: {"jsonrpc":"2.0","id":"p${at}","method":"ping"}\n\n`)
      if (!room || at % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    return response.end((answer.body ?? '').replaceAll('$ID', JSON.stringify(id)))
  })
})
const client = createHttpClient()
let url: URL
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`)
})
afterAll(() => {
  client.close()
  server.closeAllConnections()
  server.close()
})

const legOf = (sessionId?: string): HttpLeg =>
  new HttpLeg({
    url,
    era: 'legacy',
    name: 'odd',
    headers: {},
    client,
    clock,
    side: { write: () => true, room: () => Promise.resolve() },
    ...(sessionId === undefined ? {} : { sessionId }),
  })
const call = scan(Buffer.from('{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}'))
async function ask(given: Answer, sessionId?: string): Promise<{ outcome: Outcome; got: string[] }> {
  answer = given
  const got: string[] = []
  const out = { write: (frame: ReturnType<typeof scan>) => !!got.push(textOf(frame)), room: () => Promise.resolve() }
  return { outcome: await legOf(sessionId).request(call, noHeaders, out, neverAborted), got }
}
const result = '{"jsonrpc":"2.0","id":$ID,"result":{}}'
const error = (code: number, id = '$ID'): string => `{"jsonrpc":"2.0","id":${id},"error":{"code":${code},"message":"m"}}`

describe('a call', () => {
  test.each([301, 302, 307, 401, 403])('HTTP %i is no answer, whatever its body', async (status) => {
    expect(await ask({ status, body: result })).toMatchObject({ outcome: { is: 'unknown', fault: { code: 'upstream.lost' } }, got: [] })
    expect((await ask({ status, body: `data: ${result}\n\n`, type: 'text/event-stream' })).got).toEqual([])
  })

  test.each([
    ['no body', ''],
    ['no message', 'Not Found'],
    ['an error for nobody', error(-32_000, 'null')],
    ['an unknown session', error(-32_001)],
  ])('404 with %s: the session is lost, so it was not done', async (_what, body) => {
    expect((await ask({ status: 404, body }, 's')).outcome).toMatchObject({ is: 'notSent', fault: { code: 'upstream.gone' } })
  })

  test('404 with its own answer, or without a session, is not sent again, and does not end our client’s session', async () => {
    for (const body of [result, error(-32_601), error(-32_000)]) {
      const { outcome, got } = await ask({ status: 404, body }, 's')
      expect(outcome).toEqual({ is: 'answered' })
      expect(got).toHaveLength(1)
    }
    expect((await ask({ status: 404, body: '' })).outcome.is).toBe('unknown')
  })

  test('400 and 500 with an error are passed on', async () => {
    for (const status of [400, 500]) expect((await ask({ status, body: error(-32_603) }, 's')).outcome).toEqual({ is: 'answered', status })
  })
})

test.each([
  ['2025-06-18', '2025-06-18'],
  ['2025\\r\\nx-other: 1', undefined],
])('who listens right after initialize says the version that the server agreed to: %s', async (protocolVersion, said) => {
  for (const type of ['application/json', 'text/event-stream']) {
    const body = `{"jsonrpc":"2.0","id":$ID,"result":{"protocolVersion":"${protocolVersion}"}}`
    answer = { status: 200, type, body: type === 'application/json' ? body : `data: ${body}\n\n` }
    listened = []
    const leg = legOf()
    const initialize = scan(Buffer.from('{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}'))
    await leg.request(initialize, noHeaders, { write: () => true, room: () => Promise.resolve() }, neverAborted)
    await leg.listen()
    expect(listened).toEqual([said])
  }
})

describe('a notification', () => {
  const note = scan(Buffer.from('{"jsonrpc":"2.0","method":"notifications/x"}'))
  test.each([
    [301, 502],
    [401, 502],
    [403, 502],
    [404, 502],
    [500, 502],
    [503, 502],
    [400, 400],
    [413, 413],
  ])('HTTP %i is told to our client as %i, with the reason', async (status, told) => {
    answer = { status }
    const outcome = await legOf().send(note, noHeaders)
    expect(outcome).toMatchObject({ is: 'refused', status: told, reason: `the server odd answered HTTP ${status}` })
  })

  test('404 to one with a session: the session is lost', async () => {
    answer = { status: 404 }
    expect(await legOf('s').send(note, noHeaders)).toMatchObject({ is: 'notSent', fault: { code: 'upstream.gone' } })
  })
})

test('a server that asks without end and leaves the answers open is not read any further', async () => {
  held = new Promise((resolve) => (release = resolve))
  answer = { status: 200, type: 'text/event-stream', pings: 5_000, body: `data: ${result}\n\n` }
  const leg = legOf()
  let asked = 0
  const out = {
    write(frame: ReturnType<typeof scan>) {
      if (frame.kind !== 'request') return true
      asked++
      leg.send(resultFrame('"p"', {}), noHeaders).catch(() => {})
      return true
    },
    room: () => Promise.resolve(),
  }
  taken = 0
  const outcome = leg.request(call, noHeaders, out, neverAborted)
  await expect.poll(() => taken).toBeGreaterThan(60)
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(asked).toBeLessThan(4_000)
  release()
  expect(await outcome).toEqual({ is: 'answered' })
  expect(asked).toBe(5_000)
}, 20_000)
