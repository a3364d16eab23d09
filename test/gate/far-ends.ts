// Servers over HTTP that tests end, and begin again on the same port.
import { once } from 'node:events'
import { type ServerResponse, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { later } from '../kit/cleanup.ts'
import { type Fixture, startFixture } from '../kit/fixture/process.ts'

export type HttpFarEnd = Fixture & { readonly port: number }

/** The fixture server on this port (0: any), to be killed without warning. */
export async function fixtureOn(port = 0): Promise<HttpFarEnd> {
  const fixture = await startFixture('both', port)
  later(() => fixture.kill())
  return { ...fixture, port: Number(new URL(fixture.url).port) }
}

/** A server of 2025-11-25 that answers every call with the number of sessions it has opened; it can forget them all. */
export async function legacyOnly(): Promise<{ readonly url: string; forgetSessions(): void }> {
  let sessions = new Set<string>()
  let opened = 0
  const url = await serve((text, response, session) => {
    const { id, method } = JSON.parse(text) as { id?: unknown; method?: string }
    const say = (status: number, body: object, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...body }))
    }
    if (method === 'initialize') {
      sessions.add(`s${++opened}`)
      const result = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'old', version: '1' } }
      say(200, { result }, { 'mcp-session-id': `s${opened}` })
    } else if (session === undefined) response.writeHead(400, { 'content-type': 'text/plain' }).end('a session is needed')
    else if (!sessions.has(session)) say(404, { error: { code: -32001, message: 'Session not found' } })
    else if (id === undefined) response.writeHead(202).end()
    else say(200, { result: { content: [{ type: 'text', text: String(opened) }] } })
  })
  return { url, forgetSessions: () => (sessions = new Set()) }
}

/** A server of 2025-11-25 that answers each method with exactly these bytes as its result. */
export async function exactly(results: Readonly<Record<string, string>>): Promise<string> {
  const initialized = '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"exact","version":"1"}}'
  return serve((text, response) => {
    const id = /"id":("(?:[^"\\]|\\.)*"|\d+)/.exec(text)?.[1]
    const method = /"method":"([^"]*)"/.exec(text)?.[1] ?? ''
    if (id === undefined) return void response.writeHead(202).end()
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(`{"jsonrpc":"2.0","id":${id},"result":${method === 'initialize' ? initialized : (results[method] ?? '{}')}}`)
  })
}

/** A server of 2026-07-28 that answers every method with an empty result, and tells which it was sent. */
export async function modernOnly(): Promise<{ readonly url: string; readonly methods: string[] }> {
  const methods: string[] = []
  const url = await serve((text, response) => {
    const { id, method } = JSON.parse(text) as { id?: unknown; method: string }
    methods.push(method)
    if (id === undefined) return void response.writeHead(202).end()
    response.writeHead(200, { 'content-type': 'application/json' })
    const about = {
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: {}, resources: {} },
      serverInfo: { name: 'young', version: '1' },
    }
    const answer =
      method === 'initialize'
        ? { error: { code: -32601, message: 'Method not found' } }
        : { result: { resultType: 'complete', ...(method === 'server/discover' ? about : method === 'tools/list' ? { tools: [] } : {}) } }
    response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }))
  })
  return { url, methods }
}

export type TaskServer = { readonly url: string; readonly asked: string[] }

/** A server of this era whose every call is a task, or with the name `ask` a question. It is called with one token by everybody, so whoever names a task or state is served. */
export async function taskServer(era: 'legacy' | 'modern'): Promise<TaskServer> {
  const asked: string[] = []
  let begun = 0
  type Params = { readonly name?: string; readonly taskId?: string; readonly requestState?: string }
  const task = (taskId: string): object => ({ taskId, status: 'working', createdAt: '2026-01-01T00:00:00Z', ttl: 60_000, ttlMs: 60_000 })
  const done = { resultType: 'complete', content: [{ type: 'text', text: 'done' }] }
  const called = ({ name, requestState }: Params): object => {
    if (name !== 'ask') return era === 'legacy' ? { task: task(`task-${++begun}`) } : { resultType: 'task', ...task(`task-${++begun}`) }
    if (requestState !== undefined) return done
    const question = { method: 'elicitation/create', params: { message: 'm', requestedSchema: { type: 'object', properties: {} } } }
    return { resultType: 'input_required', inputRequests: { q: question }, requestState: `state-${++begun}` }
  }
  const results: Readonly<Record<string, (params: Params) => object>> = {
    ...(era === 'legacy'
      ? { initialize: () => ({ protocolVersion: '2025-11-25', capabilities: { tasks: {} }, serverInfo: { name: 'tasks', version: '1' } }) }
      : { 'server/discover': () => ({ resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: {} }) }),
    'tools/list': () => ({ resultType: 'complete', tools: ['work', 'ask'].map((name) => ({ name, inputSchema: { type: 'object' } })) }),
    'tools/call': called,
    'tasks/list': () => ({ tasks: Array.from({ length: begun }, (_, at) => task(`task-${at + 1}`)), nextCursor: 'more' }),
    'tasks/get': ({ taskId }) => ({ resultType: 'complete', ...task(taskId!) }),
    'tasks/result': () => done,
    'tasks/cancel': ({ taskId }) => ({ resultType: 'complete', ...task(taskId!) }),
    'tasks/update': () => ({ resultType: 'complete' }),
    'subscriptions/listen': () => ({ resultType: 'complete' }),
  }
  const url = await serve((text, response) => {
    const { id, method, params } = JSON.parse(text) as { id?: unknown; method: string; params: Params }
    if (id === undefined) return void response.writeHead(202).end()
    const result = results[method]?.(params)
    if (method.startsWith('tasks/') || method.startsWith('subs') || params.requestState !== undefined) asked.push(method)
    response.writeHead(200, { 'content-type': 'application/json', ...(method === 'initialize' ? { 'mcp-session-id': 's' } : {}) })
    response.end(
      JSON.stringify({ jsonrpc: '2.0', id, ...(result ? { result } : { error: { code: -32601, message: 'Method not found' } }) }),
    )
  })
  return { url, asked }
}

async function serve(answer: (text: string, response: ServerResponse, session: string | undefined) => void): Promise<string> {
  const server = createServer((request, response) => {
    if (request.method !== 'POST') return void response.writeHead(405).end()
    void request
      .toArray()
      .then((chunks) =>
        answer(Buffer.concat(chunks as Buffer[]).toString('utf8'), response, request.headers['mcp-session-id'] as string | undefined),
      )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  later(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
}
