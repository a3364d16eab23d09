// A real MCP round trip, made with the official SDK's client as users have it: over stdio or HTTP, in whichever era the server speaks.
import type { Clock } from '../../kernel/clock.ts'
import { faults } from '../../kernel/fault.ts'

const fault = faults('probe', {
  failed: (d: { target: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the call through ${d.target} failed: ${d.reason}`,
    hint: 'what the parts logged stands above; more with FAIRLEAD_LOG=debug',
  }),
})

/** Where the server is: a command to start, or a URL with our token. */
export type ProbeTarget =
  | { readonly name: string; readonly command: readonly [string, ...string[]]; readonly env: Readonly<Record<string, string>> }
  | { readonly name: string; readonly url: string; readonly token?: string | undefined }

export type ProbeResult = {
  /** From starting to connect until the tool list was there, in milliseconds. */
  readonly firstAnswerMs: number
  readonly tools: readonly string[]
  /** The structured content of each call, by tool name. */
  readonly results: Readonly<Record<string, unknown>>
  /** The median time of a call of the first tool, in milliseconds. */
  readonly callMs: number
}

const repeats = 5
const timeoutMs = 20_000

/** Connects, lists, calls each tool once and the first one some times more. Fault `probe.failed`. */
export async function probe(clock: Clock, target: ProbeTarget, tools: readonly [string, ...string[]]): Promise<ProbeResult> {
  const { Client } = await import('@modelcontextprotocol/client')
  const started = clock.mono()
  const client = new Client({ name: 'fairlead', version: '1' })
  try {
    await client.connect(await transportTo(target), { timeout: timeoutMs })
    const listed = await client.listTools(undefined, { timeout: timeoutMs })
    const firstAnswerMs = clock.mono() - started
    const call = async (name: string): Promise<unknown> => {
      const result = await client.callTool({ name, arguments: {} }, { timeout: timeoutMs })
      if (result.isError) throw new Error(`${name} answered an error: ${JSON.stringify(result.content).slice(0, 500)}`)
      return result.structuredContent
    }
    const results: Record<string, unknown> = {}
    for (const name of tools) results[name] = await call(name)
    const times: number[] = []
    for (let i = 0; i < repeats; i++) {
      const from = clock.mono()
      await call(tools[0])
      times.push(clock.mono() - from)
    }
    return { firstAnswerMs, tools: listed.tools.map(({ name }) => name), results, callMs: times.sort((a, b) => a - b)[repeats >> 1]! }
  } catch (error) {
    throw fault.failed({ target: target.name, reason: error instanceof Error ? error.message : String(error) }, error)
  } finally {
    await client.close().catch(() => {})
  }
}

async function transportTo(target: ProbeTarget) {
  if ('command' in target) {
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio')
    const [command, ...args] = target.command
    return new StdioClientTransport({ command, args, env: { ...target.env }, stderr: 'inherit' })
  }
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client')
  const headers: Record<string, string> = target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }
  return new StreamableHTTPClientTransport(new URL(target.url), { requestInit: { headers } })
}
