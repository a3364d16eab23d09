// A real MCP client, the official SDK's, as users have it: over stdio or HTTP, in whichever era the server speaks. For proving that a server answers.
import type { Readable } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import { faults } from '../../kernel/fault.ts'
import { LastWords } from '../supervise/last-words.ts'

const fault = faults('probe', {
  failed: (d: { target: string; reason: string; hint: string | undefined }) => ({
    kind: 'unavailable',
    message: `the call through ${d.target} failed: ${d.reason}`,
    hint: d.hint ?? 'what the parts logged stands above; more with FAIRLEAD_LOG=debug',
  }),
})

/** Where the server is: a command to start, or a URL with our token. */
export type ProbeTarget =
  | {
      readonly name: string
      readonly command: readonly [string, ...string[]]
      readonly env: Readonly<Record<string, string>>
      /** Gets each line that it prints on stderr. */
      readonly said: (line: string) => void
    }
  | { readonly name: string; readonly url: string; readonly token?: string | undefined }

/** A client that is connected, until it is disposed of. */
export interface Probe extends AsyncDisposable {
  /** From starting to connect until the tool list was there, in milliseconds. */
  readonly firstAnswerMs: number
  readonly tools: readonly string[]
  /** Calls a tool: its structured content, the text of its content, and how long the answer took. Fault `probe.failed`. */
  call(
    name: string,
    input?: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly result: unknown; readonly text: string; readonly tookMs: number }>
}

const defaultTimeoutMs = 20_000

/** Connects and lists the tools. Fault `probe.failed`, with what a command that was started said last; throws the signal's reason when that stops it. */
export async function openProbe(
  clock: Clock,
  target: ProbeTarget,
  signal: AbortSignal,
  { timeoutMs = defaultTimeoutMs }: { readonly timeoutMs?: number } = {},
): Promise<Probe> {
  signal.throwIfAborted()
  const { Client } = await import('@modelcontextprotocol/client')
  const started = clock.mono()
  const client = new Client({ name: 'fairlead', version: '1' })
  const words = new LastWords('said' in target ? target.said : () => {})
  const options = { timeout: timeoutMs, signal }
  const failed = (error: unknown): unknown => (signal.aborted ? signal.reason : failure(target.name, error, words.text()))
  try {
    await client.connect(await transportTo(target, words), options)
    const listed = await client.listTools(undefined, options)
    const firstAnswerMs = clock.mono() - started
    return {
      firstAnswerMs,
      tools: listed.tools.map(({ name }) => name),
      async call(name, input = {}) {
        const from = clock.mono()
        const { isError, content, structuredContent } = await client
          .callTool({ name, arguments: input }, options)
          .catch((error: unknown) => {
            throw failed(error)
          })
        if (isError) throw failed(new Error(`${name} answered an error: ${JSON.stringify(content).slice(0, 500)}`))
        const text = content.map((part) => (part.type === 'text' ? part.text : '')).join('\n')
        return { result: structuredContent, text, tookMs: clock.mono() - from }
      },
      [Symbol.asyncDispose]: () => client.close().catch(() => {}),
    }
  } catch (error) {
    await client.close().catch(() => {})
    throw failed(error)
  }
}

/** What the server's answer says; or, when its process ended without one, the fault that it printed. */
function failure(target: string, error: unknown, words: string): unknown {
  const said = (what: string): string | undefined =>
    words
      .split('\n')
      .findLast((line) => line.startsWith(`fairlead: ${what}: `))
      ?.slice(`fairlead: ${what}: `.length)
  const { hint } = ((error as { data?: unknown }).data ?? {}) as { hint?: unknown }
  const reason = said('error') ?? (error instanceof Error ? error.message : String(error))
  return fault.failed({ target, reason, hint: said('hint') ?? (typeof hint === 'string' ? hint : undefined) }, error)
}

async function transportTo(target: ProbeTarget, words: LastWords) {
  if ('command' in target) {
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio')
    const [command, ...args] = target.command
    const transport = new StdioClientTransport({ command, args, env: { ...target.env }, stderr: 'pipe' })
    const stderr = transport.stderr as Readable | null
    stderr?.on('data', (chunk: Buffer) => words.take(chunk)).on('end', () => words.end())
    return transport
  }
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client')
  const headers: Record<string, string> = target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }
  return new StreamableHTTPClientTransport(new URL(target.url), { requestInit: { headers } })
}
