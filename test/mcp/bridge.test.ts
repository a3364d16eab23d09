// Clients of one era at servers that speak only the other: everything that has a counterpart works, in both directions and over both transports.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { meta } from '../../src/base/mcp/protocol.ts'
import { type Fixture, fixtureOf, startFixture } from '../kit/fixture/process.ts'
import { type RunningGate, startGate } from '../kit/gate.ts'
import {
  type Message,
  type ModernOptions,
  type Params,
  type RawSession,
  type Reply,
  modern,
  modernCall,
  openSession,
  send,
  textOf,
} from '../kit/raw-client.ts'

let old: Fixture
let young: Fixture
let gate: RunningGate
beforeAll(async () => {
  ;[old, young] = await Promise.all([startFixture('legacy'), startFixture('modern')])
  gate = await startGate({
    upstreams: {
      'old-http': { url: old.url },
      'old-stdio': { command: fixtureOf('legacy') },
      'young-http': { url: young.url },
      'young-stdio': { command: fixtureOf('modern') },
    },
    log: 'debug',
  })
})
afterAll(async () => {
  await gate?.stop()
  await Promise.all([old?.stop(), young?.stop()])
})

const soon = { timeout: 10_000, interval: 10 }
const watched = 'test://watched-resource'
const askable = { elicitation: {}, sampling: {}, roots: {} }
const count = (upstream: string, wanted: RegExp): number => {
  const lines = upstream === 'old-http' ? old.stderr : upstream === 'young-http' ? young.stderr : gate.stderr
  return lines.filter((line) => wanted.test(line)).length
}

type Questions = Record<string, { method: string; params?: Params }>
const inputs = (message: Message): Questions => message.result!['inputRequests'] as Questions

/** What a person or a model would say. */
const replies: Record<string, unknown> = {
  'elicitation/create': { action: 'accept', content: { answer: 'blue', name: 'Ada', color: 'red' } },
  'sampling/createMessage': { role: 'assistant', model: 'kit', content: { type: 'text', text: 'a word' } },
  'roots/list': { roots: [{ uri: 'file:///somewhere' }] },
}

describe.each(['old-http', 'old-stdio'])('modern client, legacy server (%s)', (upstream) => {
  const ask = async (
    id: string | number,
    method: string,
    params: Params = {},
    options: ModernOptions = {},
  ): Promise<Message & { status: number }> => {
    const reply = await modern(gate.url(upstream), id, method, params, options)
    return { ...(await reply.answer()), status: reply.status }
  }
  const call = (
    id: string | number,
    name: string,
    given: Params = {},
    options: ModernOptions & { more?: Params } = {},
  ): ReturnType<typeof ask> => ask(id, 'tools/call', { name, arguments: given, ...options.more }, options)

  test('discovery and lists have everything the revision requires', async () => {
    const discovered = await ask(1, 'server/discover')
    expect(discovered.result).toMatchObject({
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
      instructions: 'A server for tests.',
      _meta: { [meta.serverInfo]: { name: 'fairlead-fixture' } },
    })
    for (const method of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'])
      expect((await ask(method, method)).result).toMatchObject({
        resultType: 'complete',
        ttlMs: 0,
        cacheScope: 'private',
        _meta: { [meta.serverInfo]: {} },
      })
    expect((await ask(2, 'resources/read', { uri: watched })).result).toMatchObject({
      resultType: 'complete',
      ttlMs: 0,
      contents: [{ text: 'watched' }],
    })
    expect((await ask(3, 'prompts/get', { name: 'test_simple_prompt' })).result).toMatchObject({ resultType: 'complete', messages: [{}] })
    const completion = { ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' }, argument: { name: 'arg1', value: 'par' } }
    expect((await ask(4, 'completion/complete', completion)).result).toMatchObject({ completion: { values: ['paris', 'park', 'party'] } })
  })

  test('the server sees a legacy client, without the envelope and with all else', async () => {
    const seen = JSON.parse(textOf(await call(1, 'seen', {}, { meta: { 'x.example/t': '00-1-2-03', 'x.example/n': 1 } }))) as Params
    expect(seen).toMatchObject({
      era: 'legacy',
      client: { name: 'raw' },
      capabilities: {},
      meta: { 'x.example/t': '00-1-2-03', 'x.example/n': 1 },
    })
    expect(Object.keys(seen['meta'] as object).filter((key) => key.startsWith('io.modelcontextprotocol/'))).toEqual([])
  })

  test('progress reaches who asked for it; log lines only who set a level', async () => {
    const run = async (given: Params): Promise<Message[]> =>
      (await modernCall(gate.url(upstream), 1, 'log_and_progress', { steps: 3 }, { meta: given })).rest()
    const loud = await run({ progressToken: 't', [meta.logLevel]: 'debug' })
    expect(loud.map(({ method, id }) => method ?? id)).toEqual([
      ...Array.from({ length: 3 }, () => ['notifications/message', 'notifications/progress']).flat(),
      1,
    ])
    const quiet = await run({ progressToken: 7 })
    expect(quiet.map(({ params }) => params?.['progressToken'])).toEqual([7, 7, 7, undefined])
    expect((await run({ progressToken: 7, [meta.logLevel]: 'error' })).length).toBe(4)
  })

  test.each([
    ['ask', { question: 'which?' }, 'action=accept, content={"answer":"blue","name":"Ada","color":"red"}'],
    ['sample', { prompt: 'say' }, 'a word'],
    ['roots', {}, 'file:///somewhere'],
    ['test_input_required_result_multiple_inputs', {}, undefined],
    ['test_input_required_result_multi_round', {}, 'Ada likes red'],
  ])('%s: what the server asks becomes input_required, and its answer the result', async (name, given, expected) => {
    let answer = await call('first', name, given, { capabilities: askable })
    let rounds = 0
    while (answer.result?.['resultType'] === 'input_required' && rounds++ < 8) {
      expect(answer.result['_meta']).toMatchObject({ [meta.serverInfo]: {} })
      for (const question of Object.values(inputs(answer))) {
        expect(Object.keys(question).sort()).toEqual(question.params ? ['method', 'params'] : ['method'])
        expect(question.params?.['_meta']).toBeUndefined()
      }
      const inputResponses = Object.fromEntries(Object.entries(inputs(answer)).map(([key, { method }]) => [key, replies[method]]))
      answer = await call(`retry ${rounds}`, name, given, {
        capabilities: askable,
        more: { inputResponses, requestState: answer.result['requestState'] },
      })
      expect(answer.id).toBe(`retry ${rounds}`)
    }
    expect(rounds).toBeGreaterThan(0)
    if (expected === undefined) expect(textOf(answer)).toMatch(/Ada.*a word.*file:/)
    else expect(textOf(answer)).toBe(expected)
  })

  test('attack 11: a retry must be the same request with its own state, once', async () => {
    const first = await call(1, 'ask', { question: 'q' }, { capabilities: askable })
    const { requestState } = first.result as { requestState: string }
    const [key] = Object.keys(inputs(first)) as [string]
    const inputResponses = { [key]: replies['elicitation/create'] }
    const more = { inputResponses, requestState }
    const invalid = { code: -32_602, data: { reason: 'invalid_request_state' } }
    expect((await call(2, 'ask', { question: 'another' }, { capabilities: askable, more })).error).toMatchObject(invalid)
    expect((await call(2, 'sample', { question: 'q' }, { capabilities: askable, more })).error).toMatchObject(invalid)
    for (const state of ['', 'x', `${requestState}x`, requestState.slice(1)])
      expect(
        (await call(2, 'ask', { question: 'q' }, { capabilities: askable, more: { ...more, requestState: state } })).error,
      ).toMatchObject(invalid)
    // Somebody else's: the token's owner is not who asked first.
    expect((await call(2, 'ask', { question: 'q' }, { capabilities: askable, more, token: gate.token })).error).toMatchObject(invalid)
    // Nothing answered, or the wrong thing: asked again, with a new state.
    const again = await call(3, 'ask', { question: 'q' }, { capabilities: askable, more: { requestState, inputResponses: { nobody: {} } } })
    expect(again.result).toMatchObject({ resultType: 'input_required', inputRequests: { [key]: { method: 'elicitation/create' } } })
    expect(again.result!['requestState']).not.toBe(requestState)
    expect((await call(4, 'ask', { question: 'q' }, { capabilities: askable, more })).error).toMatchObject(invalid)
    const renewed = { inputResponses, requestState: again.result!['requestState'] }
    expect(textOf(await call(5, 'ask', { question: 'q' }, { capabilities: askable, more: renewed }))).toMatch(/^action=accept/)
    expect((await call(6, 'ask', { question: 'q' }, { capabilities: askable, more: renewed })).error).toMatchObject(invalid)
  })

  test('a client that cannot be asked is not asked', async () => {
    const answer = await call(1, 'sample', { prompt: 'p' }, { capabilities: { elicitation: {} } })
    expect(answer.result ?? answer.error).not.toMatchObject({ resultType: 'input_required' })
    expect(answer.result?.['isError'] === true || answer.error !== undefined).toBe(true)
  })

  test('hanging up cancels at the server, while it runs and while it waits', async () => {
    const started = count(upstream, /started /)
    const cancelled = count(upstream, /cancelled /)
    const cut = new AbortController()
    const hanging = modernCall(gate.url(upstream), 1, 'hang', {}, { signal: cut.signal }).catch(() => undefined)
    await expect.poll(() => count(upstream, /started /), soon).toBe(started + 1)
    cut.abort()
    await hanging
    await expect.poll(() => count(upstream, /cancelled /), soon).toBe(cancelled + 1)
  })

  test('errors: what was removed is not there, and a missing resource has the new code', async () => {
    for (const method of ['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe', 'no/such'])
      expect(await ask(method, method, { uri: watched })).toMatchObject({ status: 404, id: method, error: { code: -32_601 } })
    expect(await ask(1, 'resources/read', { uri: 'test://nowhere' })).toMatchObject({
      status: 200,
      error: { code: -32_602, data: { uri: 'test://nowhere' } },
    })
  })

  test('subscriptions/listen brings what was asked for, and nothing else', async () => {
    const listen = (id: string, notifications: Params): Promise<Reply> =>
      modern(gate.url(upstream), id, 'subscriptions/listen', { notifications })
    const stream = await listen('listen:1', { toolsListChanged: true, resourceSubscriptions: [watched], promptsListChanged: false })
    const other = await listen('listen:1', { promptsListChanged: true })
    expect(await stream.next()).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { toolsListChanged: true, resourceSubscriptions: [watched] }, _meta: { [meta.subscriptionId]: 'listen:1' } },
    })
    expect(await other.next()).toMatchObject({ params: { notifications: { promptsListChanged: true } } })
    await call(1, 'touch', { uri: 'test://static-text' })
    await call(2, 'touch', { uri: watched })
    await call(3, 'test_trigger_tool_change')
    expect(await stream.next()).toMatchObject({
      method: 'notifications/resources/updated',
      params: { uri: watched, _meta: { [meta.subscriptionId]: 'listen:1' } },
    })
    expect(await stream.next()).toMatchObject({
      method: 'notifications/tools/list_changed',
      params: { _meta: { [meta.subscriptionId]: 'listen:1' } },
    })
    await call(4, 'test_trigger_prompt_change')
    expect(await other.next()).toMatchObject({ method: 'notifications/prompts/list_changed' })
    stream.cut()
    other.cut()
    const nothing = await listen('x', { toolsListChanged: false })
    expect(await nothing.rest()).toMatchObject([{ params: { notifications: {} } }, { id: 'x', result: { resultType: 'complete' } }])
    expect(await ask(9, 'subscriptions/listen')).toMatchObject({ error: { code: -32_602 } })
  })
})

test('a legacy server that dies ends its listeners, and is there again for the next call', async () => {
  const stream = await modern(gate.url('old-stdio'), 'l', 'subscriptions/listen', { notifications: { resourceSubscriptions: [watched] } })
  await stream.next()
  const crashed = await (await modernCall(gate.url('old-stdio'), 1, 'crash')).answer()
  expect(crashed.error).toMatchObject({ code: -32_000, data: { sent: true } })
  expect(await stream.rest()).toMatchObject([{ id: 'l', result: { resultType: 'complete' } }])
  await expect
    .poll(async () => (await (await modernCall(gate.url('old-stdio'), 2, 'echo', { text: 'back' })).answer()).result, soon)
    .toMatchObject({ content: [{ text: 'back' }] })
})

describe.each(['young-http', 'young-stdio'])('legacy client, modern server (%s)', (upstream) => {
  const open = (capabilities: Params = {}): Promise<RawSession> => openSession(gate.url(upstream), { capabilities })

  /** Answers what the server asks on the stream of a call, up to the call's own answer. */
  const converse = async (
    session: RawSession,
    reply: Reply,
    say: (question: Message) => Params,
  ): Promise<{ answer: Message; asked: Message[] }> => {
    const asked: Message[] = []
    for (;;) {
      const message = reply.isStream ? await reply.next() : await reply.json()
      if (!message) throw new Error('the stream ended without an answer')
      if (!message.method) return { answer: message, asked }
      if (message.id === undefined) continue
      asked.push(message)
      const { status } = await session.post({ jsonrpc: '2.0', id: message.id, ...say(message) })
      expect(status).toBe(202)
    }
  }

  test.each(['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'])('initialize in %s, and lists', async (version) => {
    const params = { protocolVersion: version, capabilities: {}, clientInfo: { name: 'raw', version: '1' } }
    const reply = await send(gate.url(upstream), { body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }) })
    expect(await reply.answer()).toMatchObject({
      result: {
        protocolVersion: version,
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: 'fairlead-fixture' },
        instructions: 'A server for tests.',
      },
    })
    const session = await openSession(gate.url(upstream), { version })
    for (const [method, member] of [
      ['tools/list', 'tools'],
      ['prompts/list', 'prompts'],
      ['resources/list', 'resources'],
      ['resources/templates/list', 'resourceTemplates'],
    ] as const)
      expect(((await (await session.request(method, method)).answer()).result![member] as unknown[]).length).toBeGreaterThan(0)
    expect(await (await session.request(1, 'ping')).answer()).toMatchObject({ id: 1, result: {} })
    expect(await (await session.request(2, 'resources/read', { uri: watched })).answer()).toMatchObject({
      result: { contents: [{ text: 'watched' }] },
    })
    expect(await (await session.request(3, 'no/such')).answer()).toMatchObject({ id: 3, error: { code: -32_601 } })
    expect(await (await session.request(4, 'resources/read', { uri: 'test://nowhere' })).answer()).toMatchObject({
      error: { code: -32_602 },
    })
    await session.end()
  })

  test('the server sees a modern request with the envelope of this client', async () => {
    const session = await open({ sampling: {} })
    const reply = await session.call(1, 'seen', {}, { progressToken: 3, 'x.example/t': '00-1-2-03', 'x.example/n': 1 })
    const seen = JSON.parse(textOf(await reply.answer())) as Params
    expect(seen).toMatchObject({
      era: 'modern',
      client: { name: 'raw' },
      capabilities: { sampling: {} },
      meta: { 'x.example/t': '00-1-2-03', 'x.example/n': 1 },
    })
    if (upstream === 'young-http') expect(seen['headers']).toMatchObject({ 'mcp-method': 'tools/call', 'mcp-name': 'seen' })
    await session.end()
  })

  test('logs follow logging/setLevel; progress follows its token', async () => {
    const session = await open()
    const run = async (id: number): Promise<(string | undefined)[]> => {
      const reply = await session.call(id, 'log_and_progress', { steps: 2 }, { progressToken: 'p' })
      return (await reply.rest()).map(({ method }) => method)
    }
    expect(await run(1)).toEqual(['notifications/progress', 'notifications/progress', undefined])
    expect(await (await session.request(2, 'logging/setLevel', { level: 'info' })).answer()).toMatchObject({ result: {} })
    expect((await run(3)).filter((method) => method === 'notifications/message').length).toBe(2)
    await session.end()
  })

  test.each([
    ['ask', { question: 'which?' }, 'action=accept, content={"answer":"blue","name":"Ada","color":"red"}'],
    ['sample', { prompt: 'say' }, 'a word'],
    ['roots', {}, 'file:///somewhere'],
    ['test_input_required_result_request_state', {}, 'state-ok'],
    ['test_input_required_result_multiple_inputs', {}, 'Ada'],
    ['test_input_required_result_multi_round', {}, 'Ada likes red'],
  ])('%s: input_required becomes requests to the client', async (name, given, expected) => {
    const session = await open(askable)
    const say = (question: Message): Params => ({
      result: name.endsWith('state') ? { action: 'accept', content: { ok: true } } : replies[question.method!],
    })
    const { answer, asked } = await converse(session, await session.call('c', name, given), say)
    expect(answer.id).toBe('c')
    expect(textOf(answer)).toContain(expected)
    expect(asked.length).toBeGreaterThan(0)
    await session.end()
  })

  test('a client that refuses to answer fails the call in words', async () => {
    const session = await open(askable)
    const say = (): Params => ({ error: { code: -1, message: 'nobody at home' } })
    const { answer } = await converse(session, await session.call(1, 'ask', { question: 'q' }), say)
    expect(answer.result).toMatchObject({ isError: true })
    expect(textOf(answer)).toContain('nobody at home')
    await session.end()
  })

  test('notifications/cancelled ends the call at the server', async () => {
    const session = await open()
    const [started, cancelled] = [count(upstream, /started /), count(upstream, /cancelled /)]
    const hanging = session.call('h', 'hang')
    await expect.poll(() => count(upstream, /started /), soon).toBe(started + 1)
    await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'h' } })
    await expect.poll(() => count(upstream, /cancelled /), soon).toBe(cancelled + 1)
    expect(await (await hanging).rest()).toEqual([])
    await session.end()
  })

  test('resources/subscribe and the GET stream are fed by subscriptions/listen', async () => {
    const session = await open()
    const stream = await session.get()
    expect(stream.status).toBe(200)
    expect(await (await session.request(1, 'resources/subscribe', { uri: watched })).answer()).toMatchObject({ result: {} })
    // The subscription is made at the server by a stream of its own: touch until it is there.
    let isThere = false
    const touching = (async () => {
      for (let id = 10; id < 200; id++) {
        await (await session.call(id, 'touch', { uri: 'test://static-text' })).answer()
        await (await session.call(`w${id}`, 'touch', { uri: watched })).answer()
        if (isThere) return
      }
    })()
    const first = await stream.next()
    isThere = true
    await touching
    expect(first).toMatchObject({ method: 'notifications/resources/updated', params: { uri: watched } })
    await session.call(2, 'test_trigger_tool_change')
    let message = await stream.next()
    while (message?.method === 'notifications/resources/updated') {
      expect(message.params).toMatchObject({ uri: watched })
      message = await stream.next()
    }
    expect(message).toMatchObject({ method: 'notifications/tools/list_changed' })
    stream.cut()
    await session.end()
  })
})
