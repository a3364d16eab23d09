// Who may come in, who may do what, and whose secrets stay where: asked over HTTP as a stranger would, and read off the far end.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { fixtureCommand } from '../kit/fixture/process.ts'
import {
  type RawAnswer,
  type RunningGate,
  call,
  gateFor,
  initializeParams,
  ledgerLines,
  modern,
  openSession,
  post,
  unrulyServer,
  sdkClient,
  send,
  textOf,
  until,
} from './bed.ts'
import { exactly, fixtureOn } from './far-ends.ts'

const reader = 'a-token-of-the-reader'
const owner = 'a-token-of-the-owner'
const initializeBody = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: initializeParams })
const everything = 'tools = ["*"]\nresources = ["*"]\nprompts = ["*"]\n'
const people = `[gate.principals.reader]\ntoken_sha256 = "${tokenHash(reader)}"\n[gate.principals.owner]\ntoken_sha256 = ["${'0'.repeat(64)}", "${tokenHash(owner)}"]\n`
const rules =
  `[[gate.rules]]\nprincipals = ["reader"]\nupstreams = ["up"]\ntools = ["echo", "se*n", "test_simple_*"]\nresources = ["test://static-*"]\nprompts = ["test_simple_*"]\n` +
  `[[gate.rules]]\nprincipals = ["owner"]\nupstreams = ["*"]\n${everything}`

describe('at the door', () => {
  const bad = [
    'Bearer wrong',
    `Bearer ${owner}x`,
    `Basic ${owner}`,
    `Bearer  `,
    '',
    `Bearer ${tokenHash(owner)}`,
    `Bearer ${owner} ${owner}`,
  ]
  const paths = ['/mcp/up', '/mcp/none', '/mcp', '/mcp/up/more', '/', '/metrics']
  const methods = ['POST', 'GET', 'DELETE', 'PUT', 'OPTIONS']

  test.each([
    ['without a door', undefined],
    ['with a door for those without a credential', 'door = "reader"\n'],
  ])('attack 8: %s, a bad credential is nobody: every method, every path, in the record (CVE-2026-59822)', async (_what, door) => {
    const gate = await gateFor({ upstreams: { up: { command: unrulyServer().command } }, access: people + rules, settings: door ?? '' })
    const session = await openSession(gate.url('up'), { token: owner })
    const attempts = methods.flatMap((httpMethod) =>
      paths.flatMap((path) => (door ? bad : [undefined, ...bad]).map((authorization) => ({ httpMethod, path, authorization }))),
    )
    const atServer = new Map<string, string>()
    for (const { httpMethod, path, authorization } of attempts) {
      const headers: Record<string, string> = { ...(authorization === undefined ? {} : { authorization }), 'mcp-session-id': session }
      const answer = await send(`http://127.0.0.1:${gate.port}${path}`, httpMethod === 'POST' ? initializeBody : undefined, {
        httpMethod,
        headers,
      })
      expect([httpMethod, path, authorization, answer.status]).toEqual([httpMethod, path, authorization, 401])
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer /)
      expect(answer.headers.get('mcp-session-id')).toBeNull()
      const told = [answer.text, ...answer.headers].join('\n').replace(/^(?:date|connection|keep-alive),.*$/gim, '')
      const way = `${httpMethod} ${authorization}`
      if (path === '/mcp/up') atServer.set(way, told)
      if (path === '/mcp/none') expect([way, told]).toEqual([way, atServer.get(way)!.replaceAll('/mcp/up', '/mcp/none')]) // nobody learns which servers there are
    }
    expect((await call(gate.url('up'), 'echo', { text: 'on' }, { session, token: owner })).status).toBe(200)
    const refused = () => ledgerLines(gate).filter(({ event }) => event === 'refused')
    await until(
      'every refusal is in the record, at least by number',
      () => refused().reduce((sum, { further }) => sum + Number(further ?? 1), 0) === attempts.length,
    )
    expect(refused()[0]).toMatchObject({ door: 'http', method: 'POST', path: '/mcp/up', reason: 'a valid credential is needed' })
  })

  test('attack 10: a session of one principal is none for another, by any method (CVE-2026-52869)', async () => {
    const gate = await gateFor({
      upstreams: { up: { command: unrulyServer().command }, other: { command: unrulyServer().command } },
      access: people + rules,
    })
    const session = await openSession(gate.url('up'), { token: owner })
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
    for (const [httpMethod, text] of [
      ['POST', body],
      ['GET', undefined],
      ['DELETE', undefined],
    ] as const)
      expect((await send(gate.url('up'), text, { httpMethod, session, token: reader })).status).toBe(404)
    expect((await send(gate.url('other'), body, { session, token: owner })).status).toBe(404)
    expect((await send(gate.url('up'), body, { session, token: owner })).status).toBe(200)
    await gate.stop('SIGKILL')
    const again = await gateFor({
      upstreams: { up: { command: unrulyServer().command } },
      access: people + rules,
      folder: gate.folder,
      port: gate.port,
    })
    expect((await send(again.url('up'), body, { session, token: reader })).status).toBe(404)
    expect((await send(again.url('up'), body, { session, token: owner })).status).toBe(200)
  })

  test('attack 10: a session id is nothing that can be guessed or made to be something else', async () => {
    const gate = await gateFor({ upstreams: { up: { command: unrulyServer().command } } })
    const sessions = await Promise.all([1, 2, 3].map(() => openSession(gate.url('up'))))
    for (const session of sessions) expect(session).toMatch(/^[A-Za-z0-9_-]{22,}$/)
    for (const session of ['../../x', 'a'.repeat(500), '%00', '{"a":1}', ' '])
      expect([400, 404]).toContain((await call(gate.url('up'), 'echo', {}, { session })).status)
  })
})

describe.each(['legacy', 'modern'] as const)('rules, %s client', (era) => {
  type Ask = (method: string, params: Record<string, unknown>, token?: string) => Promise<RawAnswer>
  const start = async (): Promise<{ gate: RunningGate; ask: Ask }> => {
    const gate = await gateFor({
      upstreams: { up: { command: fixtureCommand }, hidden: { command: fixtureCommand } },
      access: people + rules,
    })
    const sessions: Record<string, string> =
      era === 'legacy'
        ? { [reader]: await openSession(gate.url('up'), { token: reader }), [owner]: await openSession(gate.url('up'), { token: owner }) }
        : {}
    return {
      gate,
      ask: (method, params, token = reader) =>
        era === 'legacy'
          ? post(gate.url('up'), method, params, { session: sessions[token]!, token })
          : modern(gate.url('up'), method, params, { token }),
    }
  }

  test('attack 25: what is denied is refused with one line in the record, reaches no server, and is in no list', async () => {
    const { gate, ask } = await start()
    const names = ({ body }: RawAnswer, list: string, member: string): unknown[] =>
      (body.result![list] as Record<string, unknown>[]).map((one) => one[member])
    expect(names(await ask('tools/list', {}), 'tools', 'name').sort()).toEqual(['echo', 'seen', 'test_simple_text'])
    expect(names(await ask('tools/list', {}, owner), 'tools', 'name').length).toBeGreaterThan(20)
    expect(names(await ask('resources/list', {}), 'resources', 'uri').sort()).toEqual(['test://static-binary', 'test://static-text'])
    expect(names(await ask('resources/templates/list', {}), 'resourceTemplates', 'uriTemplate')).toEqual([])
    expect(names(await ask('prompts/list', {}), 'prompts', 'name')).toEqual(['test_simple_prompt'])
    const before = ledgerLines(gate).length
    const watched = { uri: 'test://watched-resource' }
    const denied: [string, Record<string, unknown>][] = [
      ['tools/call', { name: 'count', arguments: {} }],
      ['tools/call', { name: 'Echo', arguments: { text: 'x' } }],
      ['tools/call', { name: 'seen/../count', arguments: {} }],
      ['resources/read', watched],
      ['prompts/get', { name: 'test_prompt_with_image' }],
      ['completion/complete', { ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' }, argument: { name: 'arg1', value: 'p' } }],
      ['completion/complete', { ref: { type: 'ref/resource', uri: 'test://template/{id}/data' }, argument: { name: 'id', value: 'p' } }],
      ...(era === 'legacy'
        ? ([
            ['resources/subscribe', watched],
            ['resources/unsubscribe', watched],
          ] as [string, Record<string, unknown>][])
        : ([['subscriptions/listen', { notifications: { resourceSubscriptions: ['test://static-text', watched.uri] } }]] as [
            string,
            Record<string, unknown>,
          ][])),
    ]
    for (const [method, params] of denied)
      expect((await ask(method, params)).body.error, JSON.stringify(params)).toMatchObject({
        code: -32001,
        message: expect.stringContaining('no rule lets reader') as string,
      })
    const lines = ledgerLines(gate).slice(before)
    expect(lines.map(({ event, principal, method }) => [event, principal, method])).toEqual(
      denied.map(([method]) => ['refused', 'reader', method]),
    )
    expect(lines[0]).toMatchObject({ upstream: 'up', name: 'count', reason: 'no rule lets reader use the tool count of up' })
    expect(textOf(await ask('tools/call', { name: 'count', arguments: {} }, owner))).toBe('1')
    expect(textOf(await ask('tools/call', { name: 'echo', arguments: { text: 'may' } }))).toBe('may')
    expect((await ask('resources/read', { uri: 'test://static-text' })).body).toHaveProperty('result')
  })

  test('an upstream that no rule names is closed altogether', async () => {
    const gate = await gateFor({
      upstreams: { up: { command: fixtureCommand }, hidden: { command: unrulyServer().command } },
      access: people + rules,
    })
    const answer =
      era === 'legacy'
        ? await post(gate.url('hidden'), 'initialize', initializeParams, { token: reader })
        : await modern(gate.url('hidden'), 'tools/list', {}, { token: reader })
    expect(answer.status).toBe(403)
    expect(answer.headers.get('mcp-session-id')).toBeNull()
    expect(ledgerLines(gate).at(-1)).toMatchObject({ event: 'refused', principal: 'reader', upstream: 'hidden' })
  })
})

test('a filtered list keeps every byte of what stays', async () => {
  const keep = String.raw`{ "x-unknown":1.00e0, "name" : "echo","n":12345678901234567890 ,"description":"ü, \" ] } "}`
  const drop = String.raw`{"name":"count","inner":{"name":"echo"}}`
  const far = await exactly({ 'tools/list': `{"tools": [ ${drop} , ${keep},${drop} ],"nextCursor":"c 1", "_meta":{"z":0.10}}` })
  const gate = await gateFor({ upstreams: { up: { url: far } }, access: people + rules })
  const session = await openSession(gate.url('up'), { token: reader })
  const filtered = await send(gate.url('up'), '{"jsonrpc":"2.0","id":"é","method":"tools/list"}', { session, token: reader })
  expect(filtered.text).toBe(`{"jsonrpc":"2.0","id":"é","result":{"tools": [${keep}],"nextCursor":"c 1", "_meta":{"z":0.10}}}`)
})

describe('secrets stay where they belong', () => {
  const marks = {
    client: 'MARK-client-token',
    cookie: 'MARK-cookie',
    upstream: 'MARK-upstream-token',
    environment: 'MARK-child-secret',
    argument: 'MARK-argument-value',
    gate: 'MARK-of-the-gate-itself',
  }
  let gate: RunningGate
  const answers: RawAnswer[] = []
  const seen: Record<string, { headers: Record<string, string>; environment: string[] }> = {}

  // One run, looked at from all sides.
  async function run(): Promise<void> {
    Object.assign(process.env, { MARK_UPSTREAM: marks.upstream, MARK_CHILD: marks.environment, MARK_GATE: marks.gate })
    const far = await fixtureOn()
    gate = await gateFor({
      upstreams: {
        remote: { url: far.url, more: 'token = { env = "MARK_UPSTREAM" }' },
        child: { command: fixtureCommand, more: 'secrets = { API_KEY = { env = "MARK_CHILD" } }' },
        leaky: {
          command: ['/bin/sh', '-c', 'echo "bad key $API_KEY" >&2; exit 3'],
          more: 'secrets = { API_KEY = { env = "MARK_CHILD" } }',
        },
      },
      access: `[gate.principals.someone]\ntoken_sha256 = "${tokenHash(marks.client)}"\n[[gate.rules]]\nprincipals = ["someone"]\nupstreams = ["*"]\n${everything}`,
    })
    const headers = { cookie: `session=${marks.cookie}`, 'x-api-key': marks.cookie, 'proxy-authorization': marks.cookie }
    for (const name of ['remote', 'child']) {
      const session = await openSession(gate.url(name), { token: marks.client, headers })
      const options = { token: marks.client, session, headers }
      const answer = await call(gate.url(name), 'seen', {}, options)
      seen[name] = JSON.parse(textOf(answer)!) as (typeof seen)[string]
      answers.push(
        await call(gate.url(name), 'echo', { text: 1, secret: marks.argument }, options),
        await call(gate.url(name), 'echo', { text: 'x', secret: marks.argument }, options),
      )
      answers.push(
        await modern(
          gate.url(name),
          'tools/call',
          { name: 'count', arguments: { name: marks.argument } },
          { token: marks.client, headers },
        ),
      )
    }
    answers.push(
      await post(gate.url('leaky'), 'initialize', initializeParams, { token: marks.client }),
      await post(gate.url('remote'), 'ping', {}, { token: `${marks.client}-bad` }),
    )
    answers.push(await send(`http://127.0.0.1:${gate.port}/health`, undefined, { httpMethod: 'GET', token: marks.client }))
    await far.kill()
    answers.push(await modern(gate.url('remote'), 'tools/list', {}, { token: marks.client }))
    await until('the log has what the child said', () => gate.stderr.some((line) => line.includes('gate.upstream.ended')))
  }

  test("attacks 9, 27: a client's credentials reach no server, a server's reach no client, and none of them log or record", async () => {
    await run()
    expect(seen['remote']!.headers['authorization']).toBe(`Bearer ${marks.upstream}`)
    expect(Object.keys(seen['remote']!.headers)).not.toEqual(expect.arrayContaining(['cookie']))
    const atFarEnd = JSON.stringify(seen)
    for (const mark of [marks.client, marks.cookie, marks.gate]) expect(atFarEnd).not.toContain(mark)
    expect(seen['child']!.environment).toContain('API_KEY')
    expect(seen['child']!.environment.filter((name) => name.startsWith('MARK'))).toEqual([])
    const toClients = answers.map(({ text, headers }) => text + JSON.stringify([...headers])).join('\n')
    for (const mark of [marks.upstream, marks.environment, marks.gate, marks.client]) expect(toClients).not.toContain(mark)
    const kept = filesBelow(join(gate.folder, 'state')).map((path) => readFileSync(path, 'latin1'))
    const everywhere = [...gate.stderr, ...kept].join('\n')
    for (const mark of Object.values(marks)) expect(everywhere).not.toContain(mark)
    expect(everywhere).toContain('[redacted]')
    expect(kept.join('')).toContain('call.begin')
  })
})

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

test('the official client meets a refusal as an error it can read', async () => {
  const gate = await gateFor({
    upstreams: { up: { command: fixtureCommand } },
    access: `${people}[[gate.rules]]\nprincipals = ["reader"]\nupstreams = ["up"]\ntools = ["echo"]\n`,
    settings: 'door = "reader"\n',
  })
  const client = await sdkClient(gate.url('up'), 'legacy')
  await expect(client.callTool({ name: 'count', arguments: {} })).rejects.toThrow('no rule lets reader use the tool count of up')
})
