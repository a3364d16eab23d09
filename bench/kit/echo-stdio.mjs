// The stdio server behind every gateway that is measured: an echo tool on the official SDK (v1), the same for all.
import { createRequire } from 'node:module'

const rivals = createRequire(new URL('../rivals/package.json', import.meta.url))
const { McpServer } = rivals('@modelcontextprotocol/sdk/server/mcp.js')
const { StdioServerTransport } = rivals('@modelcontextprotocol/sdk/server/stdio.js')
const { z } = rivals('zod')

/** `text`, padded with spaces to `size` bytes. */
export function makeServer() {
  const server = new McpServer({ name: 'echo', version: '1.0.0' })
  const inputSchema = { text: z.string(), size: z.number().optional() }
  server.registerTool(
    'echo',
    { description: 'Answers with the text it was given, padded to a size.', inputSchema },
    ({ text, size = 0 }) => ({
      content: [{ type: 'text', text: text.padEnd(size) }],
    }),
  )
  return server
}

if (import.meta.main ?? process.argv[1] === import.meta.filename) await makeServer().connect(new StdioServerTransport())
