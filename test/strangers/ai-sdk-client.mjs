// A program as its users write one with the AI SDK's MCP client: connects, lists the tools, calls one, and prints what it was given.
import process from 'node:process'
import { createMCPClient } from '@ai-sdk/mcp'
import { Experimental_StdioMCPTransport as StdioTransport } from '@ai-sdk/mcp/mcp-stdio'

const { entry, tool, given, protocolVersionDiscovery } = JSON.parse(process.argv[2])
const transport = entry.url ? { type: 'http', url: entry.url } : new StdioTransport({ ...entry, stderr: 'ignore' })
const client = await createMCPClient({ transport, protocolVersionDiscovery })
const { tools } = await client.listTools()
const result = await client.callTool({ name: tool, arguments: given })
console.log(JSON.stringify({ serverInfo: client.serverInfo, tools, result }))
await client.close()
