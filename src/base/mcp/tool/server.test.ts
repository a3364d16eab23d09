// Our MCP server as clients see it: the official SDK client in both eras, strangers with raw HTTP, and wires.
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { Secret } from '../../../kernel/secret.ts'
import type { Principal } from '../../access/principal.ts'
import { openListener } from '../../http/listener.ts'
import { type HttpLimits, admitBearer } from './http.ts'
import { type ToolServer, createToolServer } from './server.ts'
import { type Tool, tool } from './tool.ts'

const aborted: string[] = []
const count = tool({
  name: 'count_up',
  title: 'Count',
  description: 'Counts.',
  input: z.strictObject({ to: z.int().min(0).max(10), hang: z.boolean().default(false), slow: z.boolean().default(false) }),
  output: z.object({ reached: z.int(), who: z.string(), from: z.string().optional() }),
  annotations: { readOnlyHint: true },
  role: 'viewer',
  effect: 'observe',
  async handle(needs: { who: string }, { to, hang, slow }, { signal, progress, caller }) {
    for (let done = 1; done <= to; done++) progress(done, to, `at ${done}`)
    if (hang) await once(signal, 'abort').then(() => aborted.push(String(to)))
    if (slow) await systemClock.wait(50)
    const from = caller.grant && `${caller.grant} ${caller.source} ${/^(?:\d+|"[\w-]+")$/.test(caller.requestId)}`
    return { reached: to, who: needs.who, ...(from ? { from } : {}) }
  },
})
const secretTool = { ...count, name: 'hidden_tool', role: 'admin' } as Tool<{ who: string }>

const modern = { versionNegotiation: { mode: { pin: '2026-07-28' } } } as const
const legacy = { versionNegotiation: { mode: 'legacy' } } as const
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

function serverOf(limits?: HttpLimits, token?: Secret): ToolServer {
  const server = createToolServer<{ who: string }>({
    name: 'test-server',
    title: 'Test',
    version: '1.2.3',
    tools: [{ load: async () => ({ default: count }) }, { load: async () => ({ default: secretTool }) }],
    needs: { who: 'me' },
    mayCall: (_principal, each) => each.role === 'viewer',
    admit: admitBearer(token),
    clock: systemClock,
    log: silentLog,
    ...(limits ? { limits } : {}),
  })
  closing.push(() => server.close())
  return server
}

async function listen(limits?: HttpLimits, token?: Secret): Promise<{ url: URL; server: ToolServer }> {
  const server = serverOf(limits, token)
  const listener = await openListener({
    clock: systemClock,
    name: 'test',
    host: '127.0.0.1',
    port: 0,
    handle: (request, response) => server.handle(request, response),
  })
  closing.push(() => listener.close(0))
  return { url: new URL(`${listener.url}/mcp`), server }
}

async function connect(
  url: URL,
  options: typeof modern | typeof legacy,
  headers: Record<string, string> = {},
): Promise<{ client: Client; transport: StreamableHTTPClientTransport }> {
  const client = new Client({ name: 'test-client', version: '1' }, options)
  const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers } })
  await client.connect(transport)
  closing.push(() => client.close())
  return { client, transport }
}

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5_000; !isSo();) {
    if (Date.now() > deadline) throw new Error('it did not become so within 5 s')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
const post = (url: URL, body: string, more: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { method: 'POST', headers: { ...headers, ...more }, body })
const initialize = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
})

describe.each([
  ['2026-07-28', modern],
  ['2025-11-25', legacy],
] as const)('protocol %s', (version, options) => {
  test('the SDK client lists what it may call, calls it, and validates the answer', async () => {
    const { url } = await listen()
    const { client } = await connect(url, options)
    expect(client.getNegotiatedProtocolVersion()).toBe(version)
    expect(client.getServerVersion()).toMatchObject({ name: 'test-server', version: '1.2.3' })
    const { tools } = await client.listTools()
    expect(tools).toMatchObject([{ name: 'count_up', outputSchema: { required: ['reached', 'who'] } }])
    expect(await client.callTool({ name: 'count_up', arguments: { to: 3 } })).toMatchObject({
      structuredContent: { reached: 3, who: 'me' },
      content: [{ type: 'text', text: '{"reached":3,"who":"me"}' }],
    })
  })

  test('a tool is told where a call comes from, and the grant that came with it', async () => {
    const { url } = await listen()
    const { client } = await connect(url, options)
    const answer = await client.callTool({ name: 'count_up', arguments: { to: 1 }, _meta: { 'fairlead/grant': 'signed' } })
    expect(answer.structuredContent).toMatchObject({ from: 'signed 127.0.0.1 true' })
  })

  test('progress arrives in order, for who asked for it', async () => {
    const { url } = await listen()
    const { client } = await connect(url, options)
    const told: number[] = []
    await client.callTool({ name: 'count_up', arguments: { to: 3 } }, { onprogress: ({ progress }) => told.push(progress) })
    expect(told).toEqual([1, 2, 3])
  })

  test('unknown tools are a protocol error; refused calls and bad input are tool errors that say why', async () => {
    const { url } = await listen()
    const { client } = await connect(url, options)
    await expect(client.callTool({ name: 'nothing' })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining('there is no tool named nothing'),
    })
    expect(await client.callTool({ name: 'hidden_tool', arguments: { to: 1 } })).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('needs the role admin') }],
    })
    expect(await client.callTool({ name: 'count_up', arguments: { too: 1 } })).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining("too: unknown key; did you mean 'to'?") }],
    })
  })

  test('a cancelled call is stopped in the tool', async () => {
    const { url, server } = await listen()
    const { client } = await connect(url, options)
    const cancel = new AbortController()
    const before = aborted.length
    const ended = client.callTool({ name: 'count_up', arguments: { to: 1, hang: true } }, { signal: cancel.signal }).then(
      () => 'answered',
      () => 'given up',
    )
    await until(() => server.state.running === 1)
    cancel.abort()
    expect(await ended).toBe('given up')
    await until(() => aborted.length > before && server.state.running === 0)
  })

  test('many calls at once are all answered', async () => {
    const { url } = await listen()
    const { client } = await connect(url, options)
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => client.callTool({ name: 'count_up', arguments: { to: index % 10 } })),
    )
    expect(answers.map(({ structuredContent }) => (structuredContent as { reached: number }).reached)).toEqual(
      answers.map((_, index) => index % 10),
    )
  })
})

describe('who may come in', () => {
  const token = new Secret('the-right-token')
  test.each([
    [{}],
    [{ authorization: 'Bearer wrong' }],
    [{ authorization: 'Basic dGhlLXJpZ2h0LXRva2Vu' }],
    [{ authorization: 'Bearer the-right-token2' }],
  ])('%j is answered 401', async (shown) => {
    const { url } = await listen({}, token)
    const response = await post(url, initialize, shown)
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    expect(await response.text()).not.toContain('the-right-token')
  })
  test('the token opens in both eras', async () => {
    const { url } = await listen({}, token)
    for (const options of [modern, legacy]) {
      const { client } = await connect(url, options, { authorization: 'Bearer the-right-token' })
      expect((await client.listTools()).tools).toHaveLength(1)
    }
  })
  test('without a token only this machine is answered', () => {
    const from = (remoteAddress: string): unknown => admitBearer(undefined)({ headers: {}, socket: { remoteAddress } } as never)
    for (const local of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '127.9.9.9']) expect(from(local)).toEqual({ name: 'local', via: 'door' })
    for (const other of ['192.0.2.1', '::ffff:192.0.2.1', '2001:db8::1', '']) expect(() => from(other)).toThrow(/is not this machine/)
  })
})

describe('raw HTTP', () => {
  test.each([
    ['nonsense', 400, -32700],
    ['[]', 400, -32600],
    ['{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}', 400, -32600],
    [`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"${'y'.repeat(5_000)}"}}`, 413, -32000],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/list"}', 400, -32602],
  ])('%.60s is refused', async (body, status, code) => {
    const { url } = await listen({ maxBodyBytes: 4_000 })
    const response = await post(url, body)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ jsonrpc: '2.0', error: { code, message: expect.any(String) } })
  })
  test('a body without end is refused as soon as it is too large', async () => {
    const { url } = await listen({ maxBodyBytes: 4_000 })
    const body = new ReadableStream({
      start: (stream) => stream.enqueue(new Uint8Array(5_000).fill(0x20)),
    })
    const response = await fetch(url, { method: 'POST', headers, body, duplex: 'half' } as RequestInit)
    expect(response.status).toBe(413)
  })
  test('GET and DELETE without a session are 405, an unknown session is 404', async () => {
    const { url } = await listen()
    expect((await fetch(url, { headers: { accept: 'text/event-stream' } })).status).toBe(405)
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(405)
    expect((await post(url, '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', { 'mcp-session-id': 'made-up' })).status).toBe(404)
  })
})

describe('sessions of earlier eras', () => {
  const open = async (url: URL, shown: Record<string, string> = {}): Promise<string> => {
    const response = await post(url, initialize, shown)
    await response.text()
    return response.headers.get('mcp-session-id')!
  }
  const ping = (url: URL, id: string, shown: Record<string, string> = {}): Promise<Response> =>
    post(url, '{"jsonrpc":"2.0","id":2,"method":"ping"}', { 'mcp-session-id': id, ...shown })

  test('are bounded: the one idle for longest makes room', async () => {
    const { url, server } = await listen({ maxSessions: 2 })
    const [first, second] = [await open(url), await open(url)]
    expect((await ping(url, first)).status).toBe(200)
    const third = await open(url)
    expect(server.state.sessions).toBe(2)
    expect(await Promise.all([first, second, third].map(async (id) => (await ping(url, id)).status))).toEqual([200, 404, 200])
  })
  test('are not taken from who is using them', async () => {
    const { url } = await listen({ maxSessions: 1 })
    const id = await open(url)
    const stream = await fetch(url, { headers: { accept: 'text/event-stream', 'mcp-session-id': id } })
    expect(stream.status).toBe(200)
    expect((await post(url, initialize)).status).toBe(503)
    await stream.body!.cancel()
  })
  test('end when idle, and by DELETE', async () => {
    const { url, server } = await listen({ sessionIdleMs: 40 })
    await open(url)
    expect(server.state.sessions).toBe(1)
    await until(() => server.state.sessions === 0)
    const id = await open(url)
    expect((await fetch(url, { method: 'DELETE', headers: { 'mcp-session-id': id } })).status).toBe(200)
    expect(server.state.sessions).toBe(0)
  })
  test('belong to the principal that opened them', async () => {
    const server = createToolServer<{ who: string }>({
      name: 'test-server',
      title: 'Test',
      version: '1',
      tools: [],
      needs: { who: 'me' },
      mayCall: () => true,
      clock: systemClock,
      log: silentLog,
      admit: (request): Principal => ({ name: String(request.headers['x-who']), via: 'token' }),
    })
    const listener = await openListener({
      clock: systemClock,
      name: 'test',
      host: '127.0.0.1',
      port: 0,
      handle: (request, response) => server.handle(request, response),
    })
    closing.push(
      () => listener.close(0),
      () => server.close(),
    )
    const url = new URL(`${listener.url}/mcp`)
    const id = await open(url, { 'x-who': 'ann' })
    expect((await ping(url, id, { 'x-who': 'ann' })).status).toBe(200)
    expect((await ping(url, id, { 'x-who': 'bob' })).status).toBe(404)
  })
})

describe('stdio', () => {
  const me = { name: 'local', via: 'door' } as const
  test('all that was asked before the end of the input is answered, a last line without its end as well', async () => {
    const [input, output] = [new PassThrough(), new PassThrough()]
    let printed = ''
    output.on('data', (chunk: Buffer) => (printed += chunk.toString()))
    const served = serverOf().overStdio(input, output, me, new AbortController().signal)
    input.write(`${initialize}\n`)
    input.write('rubbish\n')
    for (let id = 2; id < 402; id++)
      input.write(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"count_up","arguments":{"to":1}}}\n`)
    input.write('{"jsonrpc":"2.0","id":"slow","method":"tools/call","params":{"name":"count_up","arguments":{"to":1,"slow":true}}}\n')
    input.end('{"jsonrpc":"2.0","id":"last","method":"tools/list"}')
    await served
    const lines = printed
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: unknown; error?: { code: number } })
    expect(new Set(lines.map(({ id }) => id))).toEqual(
      new Set([null, 'slow', 'last', ...Array.from({ length: 401 }, (_, index) => index + 1)]),
    )
    expect(lines.filter(({ error }) => error)).toMatchObject([{ id: null, error: { code: -32700 } }])
  })
  test('ends when it is told to', async () => {
    const stop = new AbortController()
    const served = serverOf().overStdio(new PassThrough(), new PassThrough(), me, stop.signal)
    stop.abort()
    await served
  })
})
