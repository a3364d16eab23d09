// A tiny MCP server on stdio that knows nothing of Fairlead or any SDK: tools echo, pid, count (calls since start), die, sleep, large. `count` shows what ran how often.
import { createInterface } from 'node:readline'

type Message = {
  id?: string | number
  method?: string
  params?: { name?: string; arguments?: Record<string, unknown>; protocolVersion?: string }
}

let initializations = 0
let initialized = 0
let calls = 0

function say(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

function textOf(name: string, given: Record<string, unknown>): string {
  if (name === 'echo') return String(given['text'])
  if (name === 'pid') return String(process.pid)
  if (name === 'count') return JSON.stringify({ calls, initializations, initialized })
  if (name === 'large') return 'x'.repeat(Number(given['sizeBytes']))
  return `no tool ${name}`
}

function call(id: string | number, name: string, given: Record<string, unknown>): void {
  calls++
  if (name === 'die') process.exit(7)
  if (name === 'sleep') return // never answers
  say({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: textOf(name, given) }] } })
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line) as Message
  if (method === 'notifications/initialized') initialized++
  if (id === undefined) continue
  if (method === 'initialize') {
    initializations++
    const protocolVersion = params?.protocolVersion ?? '2025-11-25'
    say({ jsonrpc: '2.0', id, result: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'echo', version: '1' } } })
  } else if (method === 'tools/list') {
    const tools = ['echo', 'pid', 'count', 'large', 'sleep', 'die'].map((name) => ({
      name,
      description: name,
      inputSchema: { type: 'object' },
    }))
    say({ jsonrpc: '2.0', id, result: { tools } })
  } else if (method === 'tools/call') call(id, String(params?.name), params?.arguments ?? {})
  else if (method === 'ping') say({ jsonrpc: '2.0', id, result: {} })
  else say({ jsonrpc: '2.0', id, error: { code: -32601, message: `no method ${method}` } })
}
