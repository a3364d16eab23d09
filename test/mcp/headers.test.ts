// Headers say what the body says, or the request is refused; the body alone decides the era and what the rules judge.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { meta } from '../../src/base/mcp/protocol.ts'
import { type Fixture, fixtureCommand, fixtureOf, startFixture } from '../kit/fixture/process.ts'
import { type RunningGate, startGate } from '../kit/gate.ts'
import { enveloped, modern, modernCall, openSession, send, textOf } from '../kit/raw-client.ts'

const token = 'narrow'
let fixture: Fixture
let gate: RunningGate
beforeAll(async () => {
  fixture = await startFixture()
  const rule = (principal: string, tools: string): string =>
    `[[gate.rules]]\nprincipals = ["${principal}"]\nupstreams = ["*"]\ntools = ${tools}\nresources = ["*"]\nprompts = ["*"]\n`
  gate = await startGate({
    upstreams: { http: { url: fixture.url }, stdio: { command: fixtureCommand }, old: { command: fixtureOf('legacy') } },
    settings: 'door = "everyone"\n',
    access: `[gate.principals.everyone]\n[gate.principals.narrow]\ntoken_sha256 = "${tokenHash(token)}"\n${rule('everyone', '["*"]')}${rule('narrow', '["echo", "grüße"]')}`,
  })
})
afterAll(async () => {
  await gate?.stop()
  await fixture?.stop()
})

const authorization = `Bearer ${token}`

describe.each(['http', 'stdio'])('over %s', (upstream) => {
  const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`

  test.each<[what: string, headers: Record<string, string | undefined>]>([
    ['no version', { 'mcp-protocol-version': undefined }],
    ['an older version', { 'mcp-protocol-version': '2025-11-25' }],
    ['no such version', { 'mcp-protocol-version': '2099-01-01' }],
    ['no method', { 'mcp-method': undefined }],
    ['another method', { 'mcp-method': 'tools/list' }],
    ['the method in capitals', { 'mcp-method': 'TOOLS/CALL' }],
    ['no name', { 'mcp-name': undefined }],
    ['another name', { 'mcp-name': 'crash' }],
    ['the name in capitals', { 'mcp-name': 'ECHO' }],
    ['another name in Base64', { 'mcp-name': base64('crash') }],
    ['Base64 without its padding', { 'mcp-name': '=?base64?ZWNobw?=' }],
    ['Base64 of another alphabet', { 'mcp-name': '=?base64?ZWN_bw==?=' }],
    ['Base64 with bits to spare', { 'mcp-name': '=?base64?ZWNob9==?=' }],
    ['the mark in capitals', { 'mcp-name': '=?BASE64?ZWNobw==?=' }],
    ['two names', { 'mcp-name': 'echo, echo' }],
  ])('attack 5: %s: 400, −32020, and the id', async (_what, headers) => {
    const reply = await modernCall(gate.url(upstream), 'id', 'echo', { text: 't' }, { headers })
    expect(reply.status).toBe(400)
    expect(await reply.json()).toMatchObject({
      id: 'id',
      error: { code: -32_020, data: { mismatch: { header: expect.any(String) as string } } },
    })
  })

  test('attack 5: the same name, however it is written, passes', async () => {
    for (const name of ['echo', ' echo\t', base64('echo')])
      expect(
        textOf(await (await modernCall(gate.url(upstream), 1, 'echo', { text: 't' }, { headers: { 'mcp-name': name } })).answer()),
      ).toBe('t')
    // The fixture has no such tool, but it is asked: the headers agree.
    for (const name of ['grüße', ' blank ', 'a\r\nx-injected: 1', '=?base64?eA==?=', '🎈']) {
      const reply = await modernCall(gate.url(upstream), 2, name, {}, { headers: { 'mcp-name': base64(name) } })
      expect([name, reply.status === 400, (await reply.answer()).error?.code]).not.toEqual([name, true, -32_020])
    }
  })

  test('versions in the body', async () => {
    const claim = (version: unknown, header: string): ReturnType<typeof modern> =>
      modern(
        gate.url(upstream),
        7,
        'tools/list',
        {},
        { meta: { [meta.protocolVersion]: version }, headers: { 'mcp-protocol-version': header } },
      )
    for (const version of ['2099-01-01', '2026-07-29'])
      expect(await (await claim(version, version)).json()).toMatchObject({
        id: 7,
        error: { code: -32_022, data: { supported: ['2026-07-28'], requested: version } },
      })
    expect((await (await claim('2025-11-25', '2025-11-25')).json()).error?.code).toBe(-32_022)
    expect((await (await claim(20_260_728, '2026-07-28')).json()).error).toMatchObject({
      code: -32_602,
      data: { envelope: { key: meta.protocolVersion } },
    })
    const bare = await send(gate.url(upstream), {
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
      headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' },
    })
    expect([bare.status, (await bare.json()).error]).toMatchObject([400, { code: -32_602, data: { envelope: { missing: ['_meta'] } } }])
    const undeclared = await modern(gate.url(upstream), 1, 'tools/list', {}, { meta: { [meta.clientCapabilities]: undefined } })
    expect((await undeclared.json()).error).toMatchObject({ code: -32_602, data: { envelope: { key: meta.clientCapabilities } } })
  })

  test('attack 6: legacy: a version that nobody knows is refused, none at all is 2025-03-26', async () => {
    const session = await openSession(gate.url(upstream))
    const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
    for (const version of ['2025-01-01', 'x', '', '1.0']) {
      const reply = await send(gate.url(upstream), { body: ping, headers: { ...session.headers, 'mcp-protocol-version': version } })
      expect([version, reply.status]).toEqual([version, 400])
      expect((await reply.json()).id).toBe(1)
    }
    for (const version of [undefined, '2024-11-05', '2025-03-26', '2025-06-18'])
      expect(
        (await send(gate.url(upstream), { body: ping, headers: { ...session.headers, 'mcp-protocol-version': version } })).status,
      ).toBe(200)
    const opening = await send(gate.url(upstream), {
      body: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}',
      headers: { 'mcp-protocol-version': '2026-07-28' },
    })
    expect([opening.status, (await opening.json()).error?.code]).toEqual([400, -32_020])
    await session.end()
  })

  test('attack 6: no header talks a rule round: the body is judged, in every era', async () => {
    const name = `denied-${upstream}`
    const given = { name: 'count', arguments: { name } }
    const body = JSON.stringify(enveloped(1, 'tools/call', given))
    const bare = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: given })
    const session = await openSession(gate.url(upstream), { token })
    const lies: Record<string, string>[] = []
    for (const version of ['', '2024-11-05', '2025-11-25', '2026-07-28', '2099-01-01'])
      for (const method of ['', 'tools/call', 'tools/list', 'ping'])
        for (const tool of ['', 'echo', 'count', base64('echo')]) {
          const headers: Record<string, string> = { authorization }
          if (version !== '') headers['mcp-protocol-version'] = version
          if (method !== '') headers['mcp-method'] = method
          if (tool !== '') headers['mcp-name'] = tool
          lies.push(headers)
        }
    for (const headers of lies)
      for (const [text, more] of [
        [body, {}],
        [bare, { 'mcp-session-id': session.id }],
      ] as const) {
        const reply = await send(gate.url(upstream), { body: text, headers: { ...headers, ...more } })
        const message = await reply.answer()
        expect(message.result).toBeUndefined()
        expect(message.error).toBeDefined()
      }
    // Other spellings of what the rule names are other names, or no message at all.
    for (const spelled of ['"\\u0063ount"', '"Count"', '"count "', '"count\\u0000"', '["count"]', '{"name":"count"}']) {
      const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":${spelled},"arguments":{"name":"${name}"}}}`
      expect((await (await send(gate.url(upstream), { body: text, headers: session.headers })).answer()).error).toBeDefined()
    }
    expect(textOf(await (await session.call(1, 'echo', { text: 'allowed' })).answer())).toBe('allowed')
    const open = await openSession(gate.url(upstream))
    const counts = JSON.parse(textOf(await (await open.call(1, 'counts')).answer())) as Record<string, number>
    expect(counts[name]).toBeUndefined()
    const tools = (await (await session.request(2, 'tools/list')).answer()).result!['tools'] as { name: string }[]
    expect(tools.map((tool) => tool.name)).toEqual(['echo'])
    await Promise.all([session.end(), open.end()])
  })
})

test('attack 9: what a client must not send on stays here; what the server needs passes', async () => {
  const reply = await modernCall(
    gate.url('http'),
    1,
    'seen',
    {},
    {
      headers: { authorization: undefined, cookie: 'a=b', 'x-forwarded-for': '1.2.3.4', 'mcp-param-x': 'kept', 'mcp-session-id': 'mine' },
    },
  )
  const { headers } = JSON.parse(textOf(await reply.answer())) as { headers: Record<string, string> }
  expect(headers).toMatchObject({
    'mcp-method': 'tools/call',
    'mcp-name': 'seen',
    'mcp-param-x': 'kept',
    'mcp-protocol-version': '2026-07-28',
  })
  for (const name of ['authorization', 'cookie', 'x-forwarded-for', 'mcp-session-id', 'origin']) expect(headers[name]).toBeUndefined()
})

describe.each(['http', 'stdio', 'old'])('Mcp-Param-* over %s', (upstream) => {
  const call = (region: string | undefined, priority: string | undefined, given: object): ReturnType<typeof send> =>
    modernCall(
      gate.url(upstream),
      'p',
      'test_custom_headers',
      { ...given },
      { headers: { 'mcp-param-region': region, 'mcp-param-priority': priority } },
    )

  test('attack 5: arguments that a schema wants mirrored are held against their headers', async () => {
    for (const [region, priority, given] of [
      ['eu', undefined, { region: 'eu' }],
      ['=?base64?ZXU=?=', '7', { region: 'eu', priority: 7 }],
      ['=?base64?w7w=?=', '7.0', { region: 'ü', priority: 7 }],
      ['eu', 'ignored', { region: 'eu' }],
    ] as const) {
      const reply = await call(region, priority, given)
      expect([given, (await reply.answer()).error?.code, reply.status]).not.toEqual([given, -32_020, 400])
    }
    for (const [region, priority, given] of [
      [undefined, undefined, { region: 'eu' }],
      ['us', undefined, { region: 'eu' }],
      ['EU', undefined, { region: 'eu' }],
      ['=?base64?ZXU?=', undefined, { region: 'eu' }],
      ['eu', undefined, { region: 'eu', priority: 7 }],
      ['eu', '8', { region: 'eu', priority: 7 }],
    ] as const) {
      const reply = await call(region, priority, given)
      expect([given, reply.status, await reply.json()]).toMatchObject([given, 400, { id: 'p', error: { code: -32_020 } }])
    }
  })
})
