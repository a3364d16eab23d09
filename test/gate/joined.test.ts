// The endpoint for all upstreams (/mcp), both eras: names always prefixed, lists out of all that answer in time, and nothing of two upstreams ever mixed.
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { later } from '../kit/cleanup.ts'
import * as raw from '../kit/raw-client.ts'
import { type RunningGate, eras, gateFor, ledgerLines, sdkClient, sdkText, unrulyServer, until } from './bed.ts'

const program = fileURLToPath(new URL('told-server.ts', import.meta.url))
const told = (name: string, more: object = {}) => ({ command: [process.execPath, program, JSON.stringify({ name, ...more })] })
const all = (gate: RunningGate): string => `http://127.0.0.1:${gate.port}/mcp`

type Ask = (id: string | number, method: string, params?: raw.Params) => Promise<raw.Message>

/** Asks in one era, as a client that keeps what it needs. */
async function asker(era: 'legacy' | 'modern', url: string, token?: string): Promise<Ask> {
  if (era === 'modern')
    return async (id, method, params) => (await raw.modern(url, id, method, params, token === undefined ? {} : { token })).answer()
  const session = await raw.openSession(url, token === undefined ? {} : { token })
  return async (id, method, params) => (await session.request(id, method, params)).answer()
}

const names = (answer: raw.Message, member = 'tools'): string[] => (answer.result![member] as { name: string }[]).map(({ name }) => name)
const missing = (answer: raw.Message) =>
  ((answer.result!['_meta'] as Record<string, { upstream: string; reason: string }[]> | undefined)?.['fairlead/missing'] ?? []).map(
    ({ upstream }) => upstream,
  )

describe.each(eras)('%s', (era) => {
  test('names are prefixed, even with one upstream; calls, prompts and completions reach theirs under its own name, judged and recorded as at its own path', async () => {
    const token = 'a-token'
    const access = `[gate.principals.ann]\ntoken_sha256 = "${tokenHash(token)}"\n[[gate.rules]]\nprincipals = ["ann"]\nupstreams = ["a"]\ntools = ["who"]\nprompts = ["p"]\n`
    const gate = await gateFor({ upstreams: { a: told('A', { tools: ['who', 'pid'], prompts: ['p', 'q'] }), b: told('B') }, access })
    const ask = await asker(era, all(gate), token)
    const tools = await ask(1, 'tools/list')
    expect(tools.result!['tools']).toEqual([{ 'x-first': 1, name: 'a__who', inputSchema: { type: 'object' } }])
    expect(names(await ask(2, 'prompts/list'), 'prompts')).toEqual(['a__p'])
    expect(raw.textOf(await ask(3, 'tools/call', { name: 'a__who', arguments: {} }))).toBe('A')
    expect(JSON.stringify(await ask(4, 'prompts/get', { name: 'a__p' }))).toContain('A p')
    expect(
      JSON.stringify(
        await ask(5, 'completion/complete', { ref: { type: 'ref/prompt', name: 'a__p' }, argument: { name: 'x', value: '' } }),
      ),
    ).toContain('A p')
    const refused = [
      await ask(6, 'tools/call', { name: 'a__pid', arguments: {} }),
      await ask(7, 'tools/call', { name: 'b__who', arguments: {} }),
      await ask(8, 'tools/call', { name: 'who', arguments: {} }),
      await ask(9, 'tools/call', { name: '__who', arguments: {} }),
      await ask(10, 'prompts/get', { name: 'a__q' }),
    ]
    expect(refused.map(({ error }) => error?.message)).toEqual([
      'no rule lets ann use the tool pid of a',
      'no rule lets ann use b',
      expect.stringMatching(/"who" names nothing here/),
      expect.stringMatching(/"__who" names nothing here/),
      'no rule lets ann use the prompt q of a',
    ])
    const lines = ledgerLines(gate).filter(({ event }) => event === 'call.begin' || event === 'refused')
    expect(lines.map((line) => [line.event, line['upstream'], line['method'], line['name']])).toEqual([
      ['call.begin', 'a', 'tools/call', 'who'],
      ['call.begin', 'a', 'prompts/get', 'p'],
      ['refused', 'a', 'tools/call', 'pid'],
      ['refused', '*', 'tools/call', 'b__who'],
      ['refused', '*', 'tools/call', 'who'],
      ['refused', '*', 'tools/call', '__who'],
      ['refused', 'a', 'prompts/get', 'q'],
    ])
  })

  test('who may use nothing opens nothing', async () => {
    const access = `[gate.principals.ann]\ntoken_sha256 = "${tokenHash('a-token')}"\n`
    const gate = await gateFor({ upstreams: { a: told('A') }, access })
    const headers = { authorization: 'Bearer a-token' }
    const reply =
      era === 'modern'
        ? await raw.modern(all(gate), 1, 'server/discover', {}, { token: 'a-token' })
        : await raw.send(all(gate), { body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: {} }), headers })
    expect([reply.status, (await reply.json()).error?.message]).toEqual([403, 'no rule lets ann use any upstream'])
  })

  test('an upstream that hangs, one that is not there and one without prompts delay nobody; the list says who is missing, and who owes one is not waited for again', async () => {
    const upstreams = {
      a: told('A'),
      gone: { command: ['no-such-program'] },
      hung: { command: unrulyServer('hang-initialize').command },
      plain: { command: unrulyServer().command },
    }
    const gate = await gateFor({ upstreams, settings: 'list_wait = "4s"' })
    const ask = await asker(era, all(gate))
    const first = await ask(1, 'tools/list')
    expect(names(first)).toEqual(['a__who', 'plain__echo', 'plain__hang', 'plain__exit'])
    expect(missing(first).sort()).toEqual(['gone', 'hung'])
    const from = performance.now()
    const again = await ask(2, 'tools/list')
    expect(performance.now() - from).toBeLessThan(2_000)
    expect([names(again).length, missing(again).sort()]).toEqual([4, ['gone', 'hung']])
    expect(raw.textOf(await ask(3, 'tools/call', { name: 'a__who', arguments: {} }))).toBe('A')
    expect(missing(await ask(4, 'prompts/list')).sort()).toEqual(['gone', 'hung'])
  })

  test('pages of many upstreams follow one cursor; one that we never wrote is refused', async () => {
    const count = (length: number): string[] => Array.from({ length }, (_, at) => `t${at}`)
    const upstreams = {
      a: told('A', { tools: count(5), pageSize: 2 }),
      b: told('B', { tools: count(1) }),
      c: told('C', { tools: count(3), pageSize: 2 }),
    }
    const gate = await gateFor({ upstreams })
    const ask = await asker(era, all(gate))
    const pages: string[][] = []
    let cursor: unknown
    do {
      const page = await ask(pages.length + 1, 'tools/list', cursor === undefined ? {} : { cursor })
      pages.push(names(page))
      cursor = page.result!['nextCursor']
    } while (cursor !== undefined)
    expect(pages).toEqual([['a__t0', 'a__t1', 'b__t0', 'c__t0', 'c__t1'], ['a__t2', 'a__t3', 'c__t2'], ['a__t4']])
    for (const bad of ['x', '', Buffer.from('{"a":1}').toString('base64url')])
      expect((await ask(50, 'tools/list', { cursor: bad })).error?.code).toBe(-32602)
    const unknown = Buffer.from('{"no-such-upstream":"1"}').toString('base64url')
    expect(names(await ask(51, 'tools/list', { cursor: unknown }))).toEqual([])
  })

  test('a page takes no more than fits into half of the largest message; the rest comes with the next', async () => {
    const long = (letter: string): string[] => Array.from({ length: 200 }, (_, at) => `${letter.repeat(100)}${at}`)
    const upstreams = { a: told('A', { tools: long('a'), pageSize: 500 }), b: told('B', { tools: long('b'), pageSize: 500 }) }
    const gate = await gateFor({ upstreams, settings: 'max_frame_bytes = "64KiB"' })
    const ask = await asker(era, all(gate))
    const first = await ask(1, 'tools/list')
    const second = await ask(2, 'tools/list', { cursor: first.result!['nextCursor'] })
    expect([names(first).length, names(second).length, second.result!['nextCursor']]).toEqual([200, 200, undefined])
    expect(names(second)[0]).toMatch(/^b__b+0$/)
  })

  test('resources keep their URIs; one that two upstreams have belongs to the first, and the list says so; one that is in no list is asked for in turn', async () => {
    const upstreams = {
      a: told('A', { resources: { 'x:both': 'of A', 'x:a': 'a' } }),
      b: told('B', { resources: { 'x:both': 'of B', 'x:b': 'b' } }),
    }
    const gate = await gateFor({ upstreams })
    const ask = await asker(era, all(gate))
    const read = async (id: number, uri: string): Promise<unknown> => {
      const { result, error } = await ask(id, 'resources/read', { uri })
      return error?.code ?? (result!['contents'] as { text: string }[])[0]!.text
    }
    expect(await read(1, 'x:b')).toBe('b')
    expect([await read(2, 'x:none')]).toEqual([era === 'modern' ? -32602 : -32002])
    const list = await ask(3, 'resources/list')
    expect((list.result!['resources'] as { uri: string }[]).map(({ uri }) => uri)).toEqual(['x:both', 'x:a', 'x:b'])
    expect((list.result!['_meta'] as Record<string, unknown>)['fairlead/hidden']).toEqual([{ upstream: 'b', uri: 'x:both', owner: 'a' }])
    expect(await read(4, 'x:both')).toBe('of A')
  })

  test('official clients list and call through it', async () => {
    const gate = await gateFor({ upstreams: { a: told('A'), b: told('B') } })
    const client = await sdkClient(all(gate), era)
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['a__who', 'b__who'])
    expect([await sdkText(client, 'a__who'), await sdkText(client, 'b__who')]).toEqual(['A', 'B'])
  })
})

test('two servers ask under the same id: each gets its own answer; a progress token of one is no other’s to use', async () => {
  const gate = await gateFor({ upstreams: { a: told('A'), b: told('B') } })
  const session = await raw.openSession(all(gate), { capabilities: { elicitation: {} } })
  const calls = [await session.call('call-a', 'a__ask'), await session.call('call-b', 'b__ask')]
  const asked = await Promise.all(calls.map((reply) => reply.next()))
  expect(asked.map((question) => question!.params!['message'])).toEqual(['A asks', 'B asks'])
  expect(asked[0]!.id).not.toEqual(asked[1]!.id)
  for (const at of [1, 0]) await session.post({ jsonrpc: '2.0', id: asked[at]!.id, result: { action: 'accept', content: { to: at } } })
  const answers = await Promise.all(calls.map((reply) => reply.answer()))
  expect(answers.map((answer) => JSON.parse(raw.textOf(answer)) as unknown)).toEqual([
    { asked: 'A', result: { action: 'accept', content: { to: 0 } } },
    { asked: 'B', result: { action: 'accept', content: { to: 1 } } },
  ])
  const waiting = await session.post({
    jsonrpc: '2.0',
    id: 20,
    method: 'tools/call',
    params: { name: 'a__slow', arguments: { ms: 300 }, _meta: { progressToken: 'of-a' } },
  })
  const progress = await session.call(21, 'b__progress', { other: 'of-a' }, { progressToken: 'of-b' })
  expect(
    (await progress.rest()).filter(({ method }) => method === 'notifications/progress').map(({ params }) => params!['progressToken']),
  ).toEqual(['of-b'])
  expect((await waiting.answer()).result).toBeDefined()
})

test('a cancelled call is cancelled at its server alone; log levels and changes of lists and resources pass', async () => {
  const gate = await gateFor({ upstreams: { a: told('A', { resources: { 'x:a': 'a' } }), b: told('B') } })
  const session = await raw.openSession(all(gate))
  await (await session.request('level', 'logging/setLevel', { level: 'error' })).answer()
  const stream = await session.get()
  later(() => stream.cut())
  await (await session.call('first', 'a__who')).answer() // the next call waits for no look at the tools
  const waiting = session.call('w', 'a__wait')
  await until('it is on its way', () => ledgerLines(gate).some(({ name }) => name === 'wait'))
  await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'w' } })
  await waiting
  expect([
    raw.textOf(await (await session.call(1, 'a__cancelled')).answer()),
    raw.textOf(await (await session.call(2, 'b__cancelled')).answer()),
  ]).toEqual(['["w"]', '[]'])
  expect(raw.textOf(await (await session.call(3, 'b__level')).answer())).toBe('error')
  await (await session.call(4, 'b__change')).answer()
  expect((await stream.next())!.method).toBe('notifications/tools/list_changed')
  await (await session.request(5, 'resources/list')).answer()
  expect((await (await session.request(6, 'resources/subscribe', { uri: 'x:a' })).answer()).result).toEqual({})
  await (await session.call(7, 'b__write', { uri: 'x:a' })).answer() // not its own
  await (await session.call(8, 'a__write', { uri: 'x:a' })).answer()
  await (await session.call(9, 'b__change')).answer()
  expect([(await stream.next())!.method, (await stream.next())!.method]).toEqual([
    'notifications/resources/updated',
    'notifications/tools/list_changed',
  ])
})

test('a session of all outlives the gate and the death of one server', async () => {
  const upstreams = { a: told('A', { tools: ['who', 'pid'] }), b: told('B') }
  const first = await gateFor({ upstreams })
  const session = await raw.openSession(all(first))
  await (await session.request(1, 'logging/setLevel', { level: 'error' })).answer()
  const pid = Number(raw.textOf(await (await session.call(2, 'a__pid')).answer()))
  process.kill(pid, 'SIGKILL')
  await until('another process answers', async () => {
    const { result } = await (await session.call(3, 'a__pid')).answer()
    return result !== undefined && !JSON.stringify(result).includes(String(pid))
  })
  await first.stop('SIGKILL')
  const second = await gateFor({ upstreams, folder: first.folder, port: first.port })
  expect(raw.textOf(await (await session.call(4, 'b__level')).answer())).toBe('error')
  await session.end()
  expect((await session.call(5, 'b__who')).status).toBe(404)
  await second.stop()
})

test('one listen stream hears the changes of all, under its own id', async () => {
  const gate = await gateFor({
    upstreams: { a: told('A', { resources: { 'x:a': 'a' } }), b: told('B'), gone: { command: ['no-such-program'] } },
  })
  const url = all(gate)
  await (await raw.modern(url, 1, 'resources/list')).answer()
  const stop = new AbortController()
  later(() => stop.abort())
  const notifications = { toolsListChanged: true, resourceSubscriptions: ['x:a', 'x:b'] }
  const stream = await raw.modern(url, 'mine', 'subscriptions/listen', { notifications }, { signal: stop.signal })
  const ack = (await stream.next())!
  expect(ack.method).toBe('notifications/subscriptions/acknowledged')
  expect(ack.params!['notifications']).toEqual({ toolsListChanged: true, resourceSubscriptions: ['x:a', 'x:b'] })
  await (await raw.modernCall(url, 2, 'a__write', { uri: 'x:a' })).answer()
  await (await raw.modernCall(url, 3, 'b__change')).answer()
  const heard = [(await stream.next())!, (await stream.next())!]
  expect(heard.map(({ method }) => method)).toEqual(['notifications/resources/updated', 'notifications/tools/list_changed'])
  for (const { params } of heard)
    expect((params!['_meta'] as Record<string, unknown>)['io.modelcontextprotocol/subscriptionId']).toBe('mine')
})
