// A tiny MCP server on stdio that knows nothing of Fairlead or any SDK: tools echo, pid, count (calls since start), die, sleep, large. `count` shows what ran how often.
// Beyond its list: `opened` (the capabilities that its client declared) and `later`, which is answered and then
// tells of a log line and of a change of the resource that is named. A call with a progress token gets one notification of progress before its answer.
import { once } from 'node:events'
import { createInterface } from 'node:readline'

type Message = {
  id?: string | number
  method?: string
  params?: {
    name?: string
    arguments?: Record<string, unknown>
    protocolVersion?: string
    capabilities?: unknown
    _meta?: { progressToken?: string | number }
  }
}

let initializations = 0
let initialized = 0
let calls = 0
let opened: unknown

function say(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

function textOf(name: string, given: Record<string, unknown>): string {
  if (name === 'echo') return String(given['text'])
  if (name === 'pid') return String(process.pid)
  if (name === 'count') return JSON.stringify({ calls, initializations, initialized })
  if (name === 'large') return 'x'.repeat(Number(given['sizeBytes']))
  if (name === 'opened') return JSON.stringify(opened)
  return name
}

function tell(method: string, params: unknown): void {
  say({ jsonrpc: '2.0', method, params })
}

function call(id: string | number, name: string, given: Record<string, unknown>, progressToken: unknown): void {
  calls++
  if (name === 'die') process.exit(7)
  if (name === 'sleep') return // never answers
  if (progressToken !== undefined) tell('notifications/progress', { progressToken, progress: 1 })
  say({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: textOf(name, given) }] } })
  if (name !== 'later') return
  tell('notifications/message', { level: 'info', data: 'something happened' })
  tell('notifications/resources/updated', { uri: given['uri'] })
}

for await (const line of createInterface({ input: process.stdin })) {
  if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain') // nobody takes what was said: nothing more is heard
  const { id, method, params } = JSON.parse(line) as Message
  if (method === 'notifications/initialized') initialized++
  if (id === undefined) continue
  if (method === 'initialize') {
    initializations++
    opened = params?.capabilities
    const protocolVersion = params?.protocolVersion ?? '2025-11-25'
    say({ jsonrpc: '2.0', id, result: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'echo', version: '1' } } })
  } else if (method === 'tools/list') {
    const tools = ['echo', 'pid', 'count', 'large', 'sleep', 'die'].map((name) => ({
      name,
      description: name,
      inputSchema: { type: 'object' },
    }))
    say({ jsonrpc: '2.0', id, result: { tools } })
  } else if (method === 'tools/call') call(id, String(params?.name), params?.arguments ?? {}, params?._meta?.progressToken)
  else if (method === 'ping' || method === 'logging/setLevel' || method === 'resources/subscribe') say({ jsonrpc: '2.0', id, result: {} })
  else say({ jsonrpc: '2.0', id, error: { code: -32601, message: `no method ${method}` } })
}
