// Stands before an MCP server that speaks HTTP: passes every byte on, unbuffered, and keeps what the server was sent.
import { type IncomingMessage, type Server, type ServerResponse, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What MCP says in headers. A session's id is the server's own, so only that there is one. */
const kept = /^(?:mcp-.+|accept|content-type|last-event-id)$/

/** A request: its method with what MCP says in headers, and its body. */
export type Recorded = { readonly method: string; readonly said: string; body: string }

export type RecordingProxy = {
  readonly url: string
  /** What came since it was last asked. */
  taken(): readonly Recorded[]
  close(): Promise<void>
}

export async function recordingProxy(to: string): Promise<RecordingProxy> {
  let recorded: Recorded[] = []
  const relay = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const { method, headers } = incoming
    const said = Object.entries(headers)
      .filter(([name]) => kept.test(name))
      .map(([name, value]) => `${name}=${name === 'mcp-session-id' ? 'one' : String(value)}`)
    const record: Recorded = { method: method!, said: said.sort().join(' '), body: '' }
    recorded.push(record)
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => (record.body = Buffer.concat(chunks).toString()))
    const far = request(to, { method, headers: { ...headers, host: new URL(to).host } }, (response) => {
      outgoing.writeHead(response.statusCode!, response.headers)
      outgoing.flushHeaders()
      response.pipe(outgoing)
    })
    far.on('error', () => outgoing.destroy())
    outgoing.on('close', () => far.destroy())
    incoming.pipe(far)
  }
  const server: Server = createServer(relay)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}${new URL(to).pathname}`,
    taken() {
      const taken = recorded
      recorded = []
      return taken
    },
    async close() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => void server.close(() => resolve()))
    },
  }
}
