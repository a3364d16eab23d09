// A stdio MCP server that knows nothing of us: it writes the id of every call into the file of its first argument, so that a test can count them at the far end.
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [, , file] = process.argv
appendFileSync(file, `started ${process.pid}\n`)
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) continue
  if (method === 'initialize') {
    const serverInfo = { name: 'counting', version: '1' }
    say({ jsonrpc: '2.0', id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo } })
  } else if (method === 'tools/call') {
    appendFileSync(file, `${params.arguments.call}\n`)
    say({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: params.arguments.call }] } })
  } else say({ jsonrpc: '2.0', id, error: { code: -32601, message: `no method ${method}` } })
}
