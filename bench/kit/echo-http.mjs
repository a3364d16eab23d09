// No gateway at all: the echo server served by the official SDK (v1) over Streamable HTTP, one session a client; argv: the port, then `json` for JSON answers.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { makeServer } from './echo-stdio.mjs'

const { StreamableHTTPServerTransport } = createRequire(new URL('../rivals/package.json', import.meta.url))(
  '@modelcontextprotocol/sdk/server/streamableHttp.js',
)
const [port, mode] = process.argv.slice(2)
const sessions = new Map()

createServer(async (request, response) => {
  let transport = sessions.get(request.headers['mcp-session-id'])
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse: mode === 'json',
      onsessioninitialized: (id) => sessions.set(id, transport),
      onsessionclosed: (id) => sessions.delete(id),
    })
    await makeServer().connect(transport)
  }
  await transport.handleRequest(request, response)
}).listen(Number(port), '127.0.0.1')
