// The load as users have it: the official SDK's client (v1), pinned in bench/rivals, driven by the same closed loop.
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { type Client, type EchoAnswer, drive, verify } from './loop.ts'

type SdkClient = {
  connect(transport: object): Promise<void>
  listTools(): Promise<{ tools: { name: string }[] }>
  callTool(params: object): Promise<EchoAnswer['result']>
  close(): Promise<void>
}
type Sdk = {
  readonly Client: new (info: object) => SdkClient
  readonly StreamableHTTPClientTransport: new (url: URL, options: object) => object
  readonly SSEClientTransport: new (url: URL, options: object) => object
}

const rivals = createRequire(new URL('../rivals/package.json', import.meta.url))
const sdk = {
  ...(rivals('@modelcontextprotocol/sdk/client/index.js') as object),
  ...(rivals('@modelcontextprotocol/sdk/client/streamableHttp.js') as object),
  ...(rivals('@modelcontextprotocol/sdk/client/sse.js') as object),
} as Sdk

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    transport: { type: 'string', default: 'http' },
    era: { type: 'string' },
    token: { type: 'string' },
    clients: { type: 'string', default: '16' },
    calls: { type: 'string', default: '500' },
    warmup: { type: 'string', default: '50' },
    size: { type: 'string', default: '1024' },
    limit: { type: 'string', default: '60' },
  },
})
const sizeBytes = Number(values.size)

function make(): Client {
  const client = new sdk.Client({ name: 'fairlead-bench', version: '1.0.0' })
  let tool = 'echo'
  return {
    async open() {
      const options = { requestInit: { headers: values.token === undefined ? {} : { Authorization: `Bearer ${values.token}` } } }
      const Transport = values.transport === 'sse' ? sdk.SSEClientTransport : sdk.StreamableHTTPClientTransport
      await client.connect(new Transport(new URL(values.url!), options))
      tool = (await client.listTools()).tools.find(({ name }) => /(^|[^a-z])echo$/.test(name))?.name ?? tool
    },
    async call(text) {
      const result = await client.callTool({ name: tool, arguments: { text, size: sizeBytes } })
      verify(result === undefined ? {} : { result }, text, sizeBytes)
    },
    close: () => client.close(),
  }
}
await drive(make, {
  clients: Number(values.clients),
  calls: Number(values.calls),
  warmup: Number(values.warmup),
  limitSeconds: Number(values.limit),
})
