// Bytes pass as they came, both ways: only ids, progress tokens and the envelope of a bridge are ever changed.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rawCommand, startRaw } from '../kit/fixture/process.ts'
import { type RunningGate, startGate } from '../kit/gate.ts'
import { type RawSession, enveloped, openSession, send } from '../kit/raw-client.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-raw-'))
const servers: Awaited<ReturnType<typeof startRaw>>[] = []
let gate: RunningGate
beforeAll(async () => {
  const log = (name: string): string => join(folder, name)
  servers.push(await startRaw(log('old-http'), 'legacy'), await startRaw(log('young-http'), 'modern'))
  gate = await startGate({
    upstreams: {
      'old-http': { url: servers[0]!.url },
      'young-http': { url: servers[1]!.url },
      'old-stdio': { command: rawCommand('stdio', log('old-stdio'), 'legacy') },
      'old-shared': { command: rawCommand('stdio', log('old-shared'), 'legacy'), more: 'isolation = "shared"' },
      'young-stdio': { command: rawCommand('stdio', log('young-stdio'), 'modern') },
    },
  })
})
afterAll(async () => {
  await gate?.stop()
  await Promise.all(servers.map((server) => server.stop()))
  rmSync(folder, { recursive: true, force: true })
})

const received = (upstream: string): string[] => readFileSync(join(folder, upstream), 'utf8').trimEnd().split('\n')

/** JSON that a reader which parses and writes again would change, or choke on. */
const odd = [
  '{"content":[{"type":"text","text":"t"}],"z":1,"a":2}',
  '{"content":[],"n":[1.0,1,-0,1E+2,1e400,12345678901234567890123456789,0.1000]}',
  '{"content":[{"type":"x-unknown","data":{"deep":[null]}}],"structuredContent":{"same":1,"same":2}}',
  '{ "content" : [ ] , "isError" :false , "text":"\\u0061\\u2028\\/\\ud83d\\ude00 ü" }',
  '{"content":[],"_meta":{"x.example/y":1.0,"io.modelcontextprotocol/unknown":{}},"resultType":"x-new"}',
  '[]',
  '"just a text"',
]

const oddArguments =
  '{"z":1.0,"result":"1","a":[1E2,12345678901234567890,-0],"\\u0062":"\\u00e9\\/","nested":{"dup":1,"dup":2},"x":{"Name":1}}'

describe.each(['old-http', 'old-stdio', 'old-shared'])('legacy through %s', (upstream) => {
  let session: RawSession
  beforeAll(async () => {
    session = await openSession(gate.url(upstream))
  })
  const post = (body: string): Promise<string> => send(gate.url(upstream), { body, headers: session.headers }).then((reply) => reply.text())

  test('what initialize says passes unchanged', async () => {
    const body =
      '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"x":{"y":1.0}},"clientInfo":{"name":"raw","version":"1"}}}'
    const text = await (await send(gate.url(upstream), { body })).text()
    const expected =
      '{"x-first":1.0,"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true,"x-more":1.0},"logging":{},"experimental":{"x":{"y":[1e2]}}},"serverInfo":{"name":"raw","version":"1","x-unknown":{"z":1.10}}}'
    // One connection for many has one answer for all, made anew: the same values.
    if (upstream === 'old-shared') expect(JSON.parse(text)).toEqual({ jsonrpc: '2.0', id: 'i', result: JSON.parse(expected) as unknown })
    else expect(text).toBe(`{"jsonrpc":"2.0","id":"i","result":${expected}}`)
  })

  test.each(odd)('a result as odd as %s', async (result) => {
    const id = `"r\\u0031"`
    const text = await post(
      `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"say","arguments":{"result":${JSON.stringify(result)}}}}`,
    )
    expect(text).toBe(`{"jsonrpc":"2.0","id":${id},"result":${result}}`)
  })

  test('a request, whatever stands in it', async () => {
    const at = (id: string): string =>
      `{ "params":{"_meta":{"x":1.0,"progressToken":"t"},"arguments":${oddArguments},"unknown":[1.0],"name":"say"} ,"method":"tools/call","x-root":1e0,"id":${id},"jsonrpc":"2.0"}`
    await post(at('77'))
    const last = received(upstream).at(-1)!
    if (upstream !== 'old-shared') expect(last).toBe(at('77'))
    else {
      const [, own] = /"id":(\d+)/.exec(last)!
      expect(last).toBe(at(own!).replace('"progressToken":"t"', `"progressToken":${own}`))
    }
  })

  test('unknown methods and notifications, and errors with what they carry', async () => {
    const answer = await post('{"jsonrpc":"2.0","id":1,"method":"x/unknown","params":{"n":1.0}}')
    expect(answer).toBe(
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found","data":{"method":"x/unknown","n":1.0}}}',
    )
    const notification = '{"jsonrpc":"2.0","method":"notifications/x-unknown","params":{"n":1.0,"requestId":9}}'
    const reply = await send(gate.url(upstream), { body: notification, headers: session.headers })
    expect([reply.status, await reply.text()]).toEqual([202, ''])
    await expect.poll(() => received(upstream).at(-1), { timeout: 5_000, interval: 10 }).toBe(notification)
  })

  test('notifications on the way, known or not', async () => {
    const frames = [
      '{"jsonrpc":"2.0","method":"notifications/x-unknown","params":{"a":1.0,"b":"\\u0061"}}',
      '{"method":"notifications/progress","jsonrpc":"2.0","params":{"progress":1.0,"progressToken":$TOKEN,"x":1e400}}',
      '{"jsonrpc":"2.0","id":$ID,"result":{"n":1.0}}',
    ]
    const body = `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"shout","arguments":${JSON.stringify({ frames })},"_meta":{"progressToken":"p\\u0031"}}}`
    const reply = await send(gate.url(upstream), { body, headers: session.headers })
    const raws = []
    for (let message = await reply.next(); message; message = await reply.next()) raws.push(message.raw)
    expect(raws).toEqual(frames.map((frame) => frame.replace('$ID', '5').replace('$TOKEN', '"p\\u0031"')))
  })
})

describe.each(['young-http', 'young-stdio'])('modern through %s', (upstream) => {
  const post = async (body: string): Promise<string> => {
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'say', 'mcp-param-unknown': 'kept' }
    return (await send(gate.url(upstream), { body, headers })).text()
  }
  const envelope = JSON.stringify(enveloped(1, 'x').params!['_meta'])

  test.each(odd)('a result as odd as %s', async (result) => {
    const body = `{"jsonrpc":"2.0","id":"r","method":"tools/call","params":{"name":"say","arguments":{"result":${JSON.stringify(result)}},"_meta":${envelope}}}`
    expect(await post(body)).toBe(`{"jsonrpc":"2.0","id":"r","result":${result}}`)
  })

  test('a request, whatever stands in it', async () => {
    const at = (id: string): string =>
      `{ "params":{"_meta":${envelope},"arguments":${oddArguments},"unknown":[1.0],"name":"say"} ,"method":"tools/call","x-root":1e0,"id":${id},"jsonrpc":"2.0"}`
    await post(at('"mine"'))
    const last = received(upstream).at(-1)!
    expect(last).toBe(at(/"id":(\d+)/.exec(last)![1]!))
  })
})

test('a bridge adds and takes away only its own: modern client, legacy server', async () => {
  const _meta = JSON.stringify(enveloped(1, 'x').params!['_meta']).slice(1, -1)
  const result = '{"content":[{"type":"x-unknown","n":1.0}],"big":12345678901234567890,"_meta":{"x":1.0}}'
  const body = `{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"say","arguments":{"result":${JSON.stringify(result)},"n":1.0},"_meta":{"a":1.0,${_meta},"b":1e2}}}`
  const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'say' }
  const text = await (await send(gate.url('old-stdio'), { body, headers })).text()
  expect(text).toContain('"content":[{"type":"x-unknown","n":1.0}],"big":12345678901234567890,"_meta":{')
  expect(text).toContain('"x":1.0')
  expect(JSON.parse(text)).toMatchObject({
    id: 4,
    result: { resultType: 'complete', _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'raw' } } },
  })
  expect(received('old-stdio').at(-1)).toMatch(/"arguments":\{"result":".*","n":1\.0\},"_meta":\{"a":1\.0,"b":1e2\}\}\}$/)
})

test('a bridge adds and takes away only its own: legacy client, modern server', async () => {
  const session = await openSession(gate.url('young-stdio'))
  const result = '{"resultType":"complete","content":[{"type":"x-unknown","n":1.0}],"big":12345678901234567890}'
  const body = `{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"say","arguments":{"result":${JSON.stringify(result)},"n":1.0},"_meta":{"a":1.0}}}`
  expect(await (await send(gate.url('young-stdio'), { body, headers: session.headers })).text()).toBe(
    `{"jsonrpc":"2.0","id":4,"result":${result}}`,
  )
  const last = received('young-stdio').at(-1)!
  expect(last).toMatch(/"n":1\.0\},"_meta":\{.*"a":1\.0\}\}\}$/)
  expect(last).toContain('"io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"}')
})
