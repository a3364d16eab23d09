// Clients that send nonsense, too much, or too slowly: each gets an exact answer or is cut, and nobody else notices.
import { connect, type Socket } from 'node:net'
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fixtureCommand, rawCommand } from '../kit/fixture/process.ts'
import { type RunningGate, startGate } from '../kit/gate.ts'
import { type RawSession, type Reply, modernCall, openSession, send, textOf } from '../kit/raw-client.ts'

let gate: RunningGate
let session: RawSession
const maxFrameBytes = 1 << 20
beforeAll(async () => {
  gate = await startGate({
    upstreams: {
      fixture: { command: fixtureCommand },
      shared: { command: rawCommand('stdio', '', 'legacy'), more: 'isolation = "shared"' },
      raw: { command: rawCommand('stdio', '', 'legacy') },
      young: { command: rawCommand('stdio', '', 'modern') },
    },
    settings: `max_frame_bytes = ${maxFrameBytes}\n`,
  })
  session = await openSession(gate.url('fixture'))
})
afterAll(() => gate?.stop())

const echo = async (text = 'fine'): Promise<void> => expect(textOf(await (await session.call('e', 'echo', { text })).answer())).toBe(text)

const call = (inside: string): string => `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${inside}}`
const parseError = [400, -32_700] as const
const invalid = [400, -32_600] as const
const bodies: readonly [what: string, body: string | Buffer, expected: readonly [number, number]][] = [
  ['nothing', '', parseError],
  ['blanks', ' \n ', parseError],
  ['words', 'hello', parseError],
  ['half a message', '{"jsonrpc":"2.0","id":1,"method":"ping"', parseError],
  ['two messages', '{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}', parseError],
  ['a byte order mark', '\ufeff{"jsonrpc":"2.0","id":1,"method":"ping"}', parseError],
  [
    'bytes that are not UTF-8',
    Buffer.from([...Buffer.from('{"jsonrpc":"2.0","id":"'), 0xc3, 0x28, ...Buffer.from('","method":"ping"}')]),
    parseError,
  ],
  [
    'a surrogate in UTF-8',
    Buffer.from([...Buffer.from('{"jsonrpc":"2.0","id":"'), 0xed, 0xa0, 0x80, ...Buffer.from('","method":"ping"}')]),
    parseError,
  ],
  ['a control character in a string', '{"jsonrpc":"2.0","id":"\u0001","method":"ping"}', parseError],
  ['a trailing comma', '{"jsonrpc":"2.0","id":1,"method":"ping",}', parseError],
  ['single quotes', "{'jsonrpc':'2.0','id':1,'method':'ping'}", parseError],
  ['NaN', call('{"name":"echo","arguments":{"text":NaN}}'), parseError],
  ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', invalid],
  ['an empty batch', '[]', invalid],
  ['a number', '7', invalid],
  ['no version', '{"id":1,"method":"ping"}', invalid],
  ['JSON-RPC 1.0', '{"jsonrpc":"1.0","id":1,"method":"ping"}', invalid],
  ['neither method nor answer', '{"jsonrpc":"2.0","id":1}', invalid],
  ['a method and a result', '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', invalid],
  ['a method that is no text', '{"jsonrpc":"2.0","id":1,"method":{}}', invalid],
  ['params that are a list', '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', invalid],
  ['a doubled method', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}', invalid],
  ['a method doubled by an escape', '{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/list"}', invalid],
  ['a doubled name', call('{"name":"echo","arguments":{},"name":"crash"}'), invalid],
  ['a doubled argument', call('{"name":"echo","arguments":{"text":"a","text":"b"}}'), invalid],
  ['a doubled key in _meta', call('{"name":"echo","_meta":{"progressToken":1,"progressToken":2}}'), invalid],
  ['Method', '{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/list"}', invalid],
  ['NAME', call('{"name":"echo","NAME":"crash","arguments":{}}'), invalid],
  ['_Meta', call('{"name":"echo","_Meta":{}}'), invalid],
  ['an id of 600 bytes', `{"jsonrpc":"2.0","id":"${'i'.repeat(600)}","method":"ping"}`, invalid],
  ['depth 1,000', call(`{"name":"echo","arguments":${'['.repeat(1_000)}${']'.repeat(1_000)}}`), invalid],
  ['300,000 elements', call(`{"name":"echo","arguments":{"l":[${'1,'.repeat(300_000)}1]}}`), invalid],
]

describe('attack 3: nonsense', () => {
  test.each(bodies)('%s', async (_what, body, [status, code]) => {
    const reply = await send(gate.url('fixture'), { body, headers: session.headers })
    expect([reply.status, (await reply.json()).error?.code]).toEqual([status, code])
    await echo()
  })

  test('an error names the id when there was one to read', async () => {
    const reply = await send(gate.url('fixture'), {
      body: '{"jsonrpc":"2.0","id":"mine","method":"ping","method":"x"}',
      headers: session.headers,
    })
    expect(await reply.json()).toMatchObject({ id: 'mine', error: { code: -32_600 } })
  })

  test.each([undefined, 'text/plain', 'application/jsonx', 'multipart/form-data', 'application/x-www-form-urlencoded'])(
    'content type %s',
    async (type) => {
      const reply = await send(gate.url('fixture'), { body: '{}', headers: { ...session.headers, 'content-type': type } })
      expect(reply.status).toBe(415)
    },
  )

  test.each(['PUT', 'PATCH', 'OPTIONS', 'HEAD'])('%s is no way to speak', async (method) => {
    const reply = await send(gate.url('fixture'), { method, headers: session.headers })
    expect([reply.status, reply.headers.allow]).toEqual([405, 'GET, POST, DELETE'])
  })
})

describe('attack 3: too much', () => {
  test('a body over the limit is refused, announced or not', async () => {
    const body = call(`{"name":"echo","arguments":{"text":"${'x'.repeat(maxFrameBytes)}"}}`)
    const announced = await send(gate.url('fixture'), { body, headers: session.headers }).catch(
      (error: NodeJS.ErrnoException) => error.code,
    )
    if (typeof announced === 'object') expect([announced.status, (await announced.json()).error?.code]).toEqual([413, -32_000])
    else expect(announced).toMatch(/EPIPE|ECONNRESET/) // cut while we were still sending
    expect(
      await rawPost({ 'transfer-encoding': 'chunked' }, `${maxFrameBytes.toString(16)}\r\n${'x'.repeat(maxFrameBytes)}\r\n5\r\nxxxxx\r\n`),
    ).toMatch(/^HTTP\/1\.1 413 /)
    expect(await rawPost({ 'content-length': '99999999999' }, '')).toMatch(/^HTTP\/1\.1 413 /)
    await echo()
  })

  test('a body just under the limit passes, and so does its answer', async () => {
    await echo('x'.repeat(maxFrameBytes - 1_000))
  })

  test('a chunked body without a length is as good as any', async () => {
    const body = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
    const answer = await rawPost(
      { ...session.headers, 'transfer-encoding': 'chunked' },
      `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer).toContain('"result":{}')
  })

  test.each([
    'content-length: 5\r\ncontent-length: 6',
    'content-length: 5\r\ntransfer-encoding: chunked',
    'content-length: -1',
    'transfer-encoding: chunked, gzip',
  ])('two ways to read the length: %s', async (headers) => {
    expect(await rawPost({}, 'xxxxx', `${headers}\r\n`)).toMatch(/^HTTP\/1\.1 400 /)
    await echo()
  })
})

/** Sends a request as bytes and resolves with what came back once the answer's head and body are there. */
async function rawPost(headers: Record<string, string>, body: string, more = ''): Promise<string> {
  const socket = connect(gate.port, '127.0.0.1')
  socket.on('error', () => {})
  const lines = Object.entries({ 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers })
  socket.write(
    `POST /mcp/fixture HTTP/1.1\r\nhost: 127.0.0.1:${gate.port}\r\nconnection: close\r\n${more}${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
  )
  let text = ''
  for await (const chunk of socket.setEncoding('utf8')) text += chunk as string
  return text
}

describe('attack 4: too slow', () => {
  test('two hundred clients that never finish their request harm nobody', async () => {
    const sockets: Socket[] = Array.from({ length: 200 }, () => connect(gate.port, '127.0.0.1'))
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    for (const [at, socket] of sockets.entries()) {
      socket.on('error', () => {})
      const head = `POST /mcp/fixture HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n`
      socket.write(at % 2 === 0 ? head.slice(0, 20) : `${head}\r\n{"jsonrpc"`)
    }
    const from = performance.now()
    for (let round = 0; round < 20; round++) await echo()
    expect(performance.now() - from).toBeLessThan(5_000)
    for (const socket of sockets) socket.destroy()
  })

  const residentBytes = (): number => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${gate.process.pid}/status`, 'utf8'))![1]) * 1_024
  const flood = { count: 1_600, kilobytes: 256 } // 400 MiB

  test.each([
    ['a session of its own', 'raw'],
    ['a child that everybody shares', 'shared'],
    ['the modern era', 'young'],
  ])('a reader that does not read costs bounded memory: %s', async (_what, upstream) => {
    const open = async (): Promise<(id: number, name: string, given: object) => Promise<Reply>> => {
      if (upstream === 'young') {
        return (id, name, given) =>
          modernCall(gate.url(upstream), id, name, { ...given }, { isPaused: name === 'flood', meta: { progressToken: id } })
      }
      const { post } = await openSession(gate.url(upstream))
      return (id, name, given) =>
        post(
          { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: given, _meta: { progressToken: id } } },
          { isPaused: name === 'flood' },
        )
    }
    const slow = await open()
    const other = await open()
    await (await other(0, 'say', { result: '{"n":0}' })).answer()
    const before = residentBytes()
    const stuck = await slow(1, 'flood', flood)
    let most = 0
    for (let round = 1; round <= 200; round++) {
      const from = performance.now()
      expect(await (await other(round, 'say', { result: `{"n":${round}}` })).answer()).toMatchObject({ id: round, result: { n: round } })
      expect(performance.now() - from).toBeLessThan(2_000)
      most = Math.max(most, residentBytes() - before)
    }
    expect(most).toBeLessThan(80 << 20)
    stuck.cut()
    await echo()
  })

  test('a reader that is only slow gets all of it', async () => {
    const own = await openSession(gate.url('raw'))
    const body = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'flood', arguments: { count: 60, kilobytes: 256 }, _meta: { progressToken: 1 } },
    }
    const reply = await own.post(body, { isPaused: true })
    await echo() // the flood runs into the closed door meanwhile
    expect(await reply.drain()).toBeGreaterThan(60 * 256 * 1_024)
    await own.end()
  })
})
