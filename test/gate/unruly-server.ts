// An MCP server on stdio without any SDK, for what a good one never does: it notes each message it gets in a file, and misbehaves as asked.
// `unruly-server.ts LOG [WORD…]`; words: `no-logging` `hang-initialize` `hang-calls` `dies` `late=MS` `ignores-term` `garbage` `long-line` `stops-reading` `modern`.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

type Message = {
  id?: string | number
  method?: string
  params?: { name?: string; uri?: string; protocolVersion?: string; arguments?: Record<string, unknown> }
}

const [log = '', ...given] = process.argv.slice(2)
/** Words may also come from a file beside the log, so that a server can be other after a restart. */
const words = new Set([...given, ...(existsSync(`${log}.words`) ? readFileSync(`${log}.words`, 'utf8').trim().split(/\s+/) : [])])
const lateMs = Number([...words].find((word) => word.startsWith('late='))?.slice(5) ?? 0)

function note(what: object): void {
  appendFileSync(log, `${JSON.stringify({ pid: process.pid, ...what })}\n`)
}

function say(message: unknown): void {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...(message as object) })}\n`)
}

const capabilities = { tools: {}, resources: { subscribe: true }, ...(words.has('no-logging') ? {} : { logging: {} }) }
const tools = ['echo', 'hang', 'exit'].map((name) => ({ name, inputSchema: { type: 'object' } }))

function call(id: string | number, name: string, args: Record<string, unknown>): void {
  if (name === 'exit') process.exit(7)
  if (name === 'hang' || words.has('hang-calls')) return
  const result = { content: [{ type: 'text', text: name === 'echo' ? String(args['text']) : String(process.pid) }] }
  if (lateMs > 0) setTimeout(() => say({ id, result }), lateMs)
  else say({ id, result })
}

note({ started: true })
if (words.has('ignores-term')) {
  process.on('SIGTERM', () => {})
  setInterval(() => {}, 60_000)
}
if (words.has('dies')) process.exit(3)
if (words.has('garbage'))
  for (let i = 0; ; i++)
    if (!process.stdout.write(`this is line ${i} of no protocol at all\n`))
      await new Promise((resolve) => process.stdout.once('drain', resolve))
if (words.has('long-line')) {
  const piece = Buffer.alloc(1 << 20, 0x78)
  for (let i = 0; i < 100; i++) if (!process.stdout.write(piece)) await new Promise((resolve) => process.stdout.once('drain', resolve))
  process.stdout.write('\n')
}

if (words.has('stops-reading')) setInterval(() => {}, 60_000)
else
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, method, params } = JSON.parse(line) as Message
    note({
      method,
      ...(params?.name ? { name: params.name } : {}),
      ...(params?.uri ? { uri: params.uri } : {}),
      ...(method === 'initialize' ? { params } : {}),
      ...(method === 'logging/setLevel' ? { params } : {}),
    })
    if (id === undefined) continue
    if (method === 'initialize' && words.has('hang-initialize')) continue
    if (method === 'initialize')
      say({ id, result: { protocolVersion: params?.protocolVersion, capabilities, serverInfo: { name: 'raw', version: '1' } } })
    else if (method === 'tools/list') say({ id, result: { tools } })
    else if (method === 'tools/call') call(id, String(params?.name), params?.arguments ?? {})
    else if (method === 'ping' || method === 'logging/setLevel' || method?.startsWith('resources/')) say({ id, result: {} })
    else if (words.has('hang-initialize') || words.has('hang-calls')) continue
    else say({ id, error: { code: -32601, message: `no method ${method}` } })
  }
