// An MCP server on stdio without any SDK that is what it is told to be, as JSON: its name, tools in pages, prompts, resources, and how slow its lists are.
// Tools it always knows: who, ask (the client, under the id 1), progress (also with a token that is not the caller's), change (announces), wait, cancelled, write (a resource).
import { createInterface } from 'node:readline'

type Told = {
  readonly name: string
  readonly tools?: readonly string[]
  readonly prompts?: readonly string[]
  readonly resources?: Readonly<Record<string, string>>
  readonly pageSize?: number
  readonly listMs?: number
}

type Message = {
  readonly id?: string | number
  readonly method?: string
  readonly params?: {
    readonly name?: string
    readonly uri?: string
    readonly cursor?: string
    readonly protocolVersion?: string
    readonly level?: string
    readonly requestId?: unknown
    readonly ref?: { readonly name?: string }
    readonly arguments?: { readonly [name: string]: unknown }
    readonly _meta?: { readonly progressToken?: unknown }
  }
  readonly result?: unknown
}

const told = JSON.parse(process.argv[2]!) as Told
const cancelled: unknown[] = []
let level = 'none'
let asking: string | number | undefined

function say(message: object): void {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
}

function text(id: string | number, value: unknown): void {
  say({ id, result: { content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }] } })
}

function list(id: string | number, member: string, all: readonly object[], cursor: string | undefined): void {
  const from = Number(cursor ?? 0)
  const to = from + (told.pageSize ?? 100)
  const result = { [member]: all.slice(from, to), ...(to < all.length ? { nextCursor: String(to) } : {}) }
  setTimeout(() => say({ id, result }), told.listMs ?? 0)
}

function call(id: string | number, { name, arguments: given = {}, _meta }: NonNullable<Message['params']>): void {
  if (name === 'who') text(id, told.name)
  else if (name === 'pid') text(id, process.pid)
  else if (name === 'secret') text(id, process.env['SECRET'] ?? 'none')
  else if (name === 'level') text(id, level)
  else if (name === 'cancelled') text(id, cancelled)
  else if (name === 'slow') setTimeout(() => text(id, told.name), Number(given['ms']))
  else if (name === 'ask') {
    asking = id
    say({
      id: 1,
      method: 'elicitation/create',
      params: { message: `${told.name} asks`, requestedSchema: { type: 'object', properties: {} } },
    })
  } else if (name === 'progress') {
    for (const progressToken of [given['other'], _meta?.progressToken])
      say({ method: 'notifications/progress', params: { progressToken, progress: 1, message: told.name } })
    text(id, told.name)
  } else if (name === 'change') {
    text(id, told.name)
    say({ method: 'notifications/tools/list_changed' })
  } else if (name === 'write') {
    text(id, told.name)
    say({ method: 'notifications/resources/updated', params: { uri: given['uri'] } })
  } else if (name !== 'wait') say({ id, error: { code: -32602, message: `no tool ${name}` } })
}

function answer(id: string | number, method: string, params: NonNullable<Message['params']>): void {
  if (method === 'initialize') {
    const capabilities = { tools: { listChanged: true }, prompts: {}, resources: { subscribe: true }, logging: {}, completions: {} }
    say({ id, result: { protocolVersion: params.protocolVersion, capabilities, serverInfo: { name: told.name, version: '1' } } })
  } else if (method === 'tools/list')
    list(
      id,
      'tools',
      (told.tools ?? ['who']).map((name) => ({ 'x-first': 1, name, inputSchema: { type: 'object' } })),
      params.cursor,
    )
  else if (method === 'prompts/list')
    list(
      id,
      'prompts',
      (told.prompts ?? []).map((name) => ({ name })),
      params.cursor,
    )
  else if (method === 'resources/list')
    list(
      id,
      'resources',
      Object.keys(told.resources ?? {}).map((uri) => ({ uri, name: uri })),
      params.cursor,
    )
  else if (method === 'prompts/get')
    say({ id, result: { messages: [{ role: 'user', content: { type: 'text', text: `${told.name} ${params.name}` } }] } })
  else if (method === 'completion/complete') say({ id, result: { completion: { values: [`${told.name} ${params.ref?.name}`] } } })
  else if (method === 'resources/read') {
    const found = told.resources?.[params.uri ?? '']
    if (found === undefined) say({ id, error: { code: -32002, message: 'no such resource' } })
    else say({ id, result: { contents: [{ uri: params.uri, text: found }] } })
  } else if (method === 'resources/subscribe' || method === 'resources/unsubscribe' || method === 'ping') say({ id, result: {} })
  else if (method === 'logging/setLevel') {
    level = params.level!
    say({ id, result: {} })
  } else if (method === 'tools/call') call(id, params)
  else say({ id, error: { code: -32601, message: `no method ${method}` } })
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params = {}, result } = JSON.parse(line) as Message
  if (id === 1 && method === undefined && asking !== undefined) text(asking, { asked: told.name, result })
  else if (method === 'notifications/cancelled') cancelled.push(params.requestId)
  else if (id !== undefined && method !== undefined) answer(id, method, params)
}
