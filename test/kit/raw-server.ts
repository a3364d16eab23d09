// An MCP server without any SDK, on stdio or HTTP, that says exactly the bytes a test tells it to, and keeps exactly the bytes it was sent.
//   raw-server.ts stdio|http --log FILE [--era legacy|modern]
// Tools: say {result} answers with that JSON text; shout {frames} sends JSON texts in which $ID and $TOKEN stand for the request's own; flood {count, kilobytes}.
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { parseArgs } from 'node:util'

type Request = {
  readonly method?: string
  readonly id?: unknown
  readonly params?: {
    readonly name?: string
    readonly arguments?: { result?: string; frames?: string[]; count?: number; kilobytes?: number }
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { log: { type: 'string' }, era: { type: 'string', default: 'legacy' } },
})

const capabilities = '{"tools":{"listChanged":true,"x-more":1.0},"logging":{},"experimental":{"x":{"y":[1e2]}}}'
const serverInfo = '{"name":"raw","version":"1","x-unknown":{"z":1.10}}'
const results: Record<string, string> =
  values.era === 'modern'
    ? {
        'server/discover': `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":${capabilities},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":${serverInfo}}}`,
      }
    : { initialize: `{"x-first":1.0,"protocolVersion":"2025-11-25","capabilities":${capabilities},"serverInfo":${serverInfo}}` }

/** Everything that answers one message, in order; the last is the answer. */
function* answersTo(text: string): Generator<string> {
  if (values.log) appendFileSync(values.log, `${text}\n`)
  const { method, id, params } = JSON.parse(text) as Request
  if (method === undefined || id === undefined) return
  const idToken = /"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)/.exec(text)![1]!
  const progressToken = /"progressToken"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)/.exec(text)?.[1] ?? 'null'
  const given = params?.arguments ?? {}
  const result = results[method]
  if (method === 'tools/call' && params?.name === 'say') yield `{"jsonrpc":"2.0","id":${idToken},"result":${given.result}}`
  else if (method === 'tools/call' && params?.name === 'shout')
    for (const frame of given.frames!) yield frame.replaceAll('$ID', idToken).replaceAll('$TOKEN', progressToken)
  else if (method === 'tools/call' && params?.name === 'flood') {
    const data = 'x'.repeat(given.kilobytes! * 1024)
    for (let at = 0; at < given.count!; at++)
      yield `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${progressToken},"progress":${at},"message":"${data}"}}`
    yield `{"jsonrpc":"2.0","id":${idToken},"result":{"resultType":"complete","content":[{"type":"text","text":"flooded"}]}}`
  } else if (result !== undefined) yield `{"jsonrpc":"2.0","id":${idToken},"result":${result}}`
  else
    yield `{"jsonrpc":"2.0","id":${idToken},"error":{"code":-32601,"message":"Method not found","data":{"method":${JSON.stringify(method)},"n":1.0}}}`
}

function drained(stream: { once(event: 'drain' | 'close', act: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => {
    stream.once('drain', resolve)
    stream.once('close', resolve)
  })
}

async function serveLines(): Promise<void> {
  let rest = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    const lines = (rest + (chunk as string)).split('\n')
    rest = lines.pop()!
    for (const line of lines) void answerLine(line)
  }
  process.exit(0)
}

async function answerLine(line: string): Promise<void> {
  for (const answer of answersTo(line)) if (!process.stdout.write(`${answer}\n`)) await drained(process.stdout)
}

function serveHttp(): void {
  const server = createServer((request, response) => {
    void (async () => {
      if (request.method !== 'POST') return response.writeHead(405).end()
      const answers = answersTo((await buffer(request)).toString('utf8'))
      const first = answers.next()
      if (first.done) return response.writeHead(202).end()
      const second = answers.next()
      if (second.done) return response.writeHead(200, { 'content-type': 'application/json' }).end(first.value)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const answer of [first.value, second.value]) response.write(`data: ${answer}\n\n`)
      for (const answer of answers) if (!response.write(`data: ${answer}\n\n`) && !response.destroyed) await drained(response)
      return response.end()
    })()
  })
  server.listen(0, '127.0.0.1', () => process.stdout.write(`listening http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp\n`))
  process.stdin.resume().once('end', () => process.exit(0))
}

if (positionals[0] === 'http') serveHttp()
else await serveLines()
