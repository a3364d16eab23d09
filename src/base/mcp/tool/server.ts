// Our own MCP server: a list of tools served in both protocol eras, over HTTP and over any wire, with the official SDK at the ends.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Readable, Transform, type Writable } from 'node:stream'
import type { JSONRPCMessage, Server, Transport } from '@modelcontextprotocol/server'
import { Fault, outside } from '../../../kernel/fault.ts'
import type { Principal } from '../../access/principal.ts'
import { asBuffer, idKey } from '../../wire/frame.ts'
import { meta } from '../protocol.ts'
import { linesWire } from '../../wire/lines.ts'
import { scan } from '../../wire/scan.ts'
import type { Wire } from '../../wire/wire.ts'
import { type Toolbox, type ToolboxOptions, createToolbox } from './call.ts'
import { type Admit, type HttpLimits, type Sdk, createHttpDoor } from './http.ts'

const maxPendingPerWire = 256
/** As long as the slowest tool may take by default. */
const drainMs = 30_000

export type ToolServerOptions<Needs> = ToolboxOptions<Needs> & {
  /** How the server names itself to clients. */
  readonly name: string
  readonly title: string
  readonly version: string
  /** For the agent: what these tools are good for together. */
  readonly instructions?: string
  /** Who a request over HTTP comes from; see `admitBearer`. */
  readonly admit: Admit
  readonly limits?: HttpLimits
}

export interface ToolServer {
  /** Answers a request at the MCP endpoint; the caller has chosen the path and checked Host and Origin. */
  handle(request: IncomingMessage, response: ServerResponse): void
  /** Serves one client on a wire until the wire ends. */
  overWire(wire: Wire, principal: Principal): Promise<void>
  /** Serves one client on stdio until its input ends and what it asked is answered, or `signal` is aborted. */
  overStdio(input: Readable, output: Writable, principal: Principal, signal: AbortSignal): Promise<void>
  readonly state: { readonly sessions: number; readonly running: number; readonly problem: Fault | undefined }
  close(): Promise<void>
}

/** Where a client that is not asked over HTTP comes from. */
const onWire = 'wire'
const onStdio = 'stdio'

type Asker = { readonly principal: Principal; readonly source: string }

function sdkServer<Needs>(sdk: Sdk, toolbox: Toolbox, { principal, source }: Asker, options: ToolServerOptions<Needs>): Server {
  const { name, title, version, instructions } = options
  const server = new sdk.Server({ name, title, version }, { capabilities: { tools: {} }, ...(instructions ? { instructions } : {}) })
  const asProtocolError = (error: unknown): Error => {
    if (!(error instanceof Fault)) return error as Error
    const code = error.code === 'tool.unknown' ? -32602 : outside[error.kind].rpcCode
    return new sdk.ProtocolError(code, error.message, error.hint ? { hint: error.hint } : undefined)
  }
  server.setRequestHandler('tools/list', async () => {
    const tools = await toolbox.list(principal).catch((error: unknown) => Promise.reject(asProtocolError(error)))
    return { tools }
  })
  server.setRequestHandler('tools/call', async ({ params }, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken
    const grant = mcpReq._meta?.[meta.grant]
    const call = {
      signal: mcpReq.signal,
      requestId: JSON.stringify(mcpReq.id),
      source,
      ...(typeof grant === 'string' ? { grant } : {}),
      progress(progress: number, total?: number, message?: string): void {
        if (progressToken === undefined) return
        const told = { progressToken, progress, ...(total === undefined ? {} : { total }), ...(message === undefined ? {} : { message }) }
        mcpReq.notify({ method: 'notifications/progress', params: told }).catch(() => {}) // whoever asked has left
      },
    }
    return toolbox.call(principal, params.name, params.arguments, call).catch((error: unknown) => Promise.reject(asProtocolError(error)))
  })
  return server
}

/** A wire as the SDK's transport. It knows which requests are not answered yet. */
class WireTransport implements Transport {
  readonly #wire: Wire
  readonly #pending = new Set<string>()
  #settled: (() => void)[] = []
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: Transport['onmessage']

  constructor(wire: Wire) {
    this.#wire = wire
  }

  get pending(): number {
    return this.#pending.size
  }

  /** Resolves at the next answer. */
  answered(): Promise<void> {
    return new Promise((resolve) => this.#settled.push(resolve))
  }

  async start(): Promise<void> {
    void this.#wire.ended.then(() => this.onclose?.())
    this.#wire.read({
      write: (frame) => {
        if (frame.kind === 'request' && frame.at.id) this.#pending.add(idKey(frame, frame.at.id))
        if (frame.method === 'notifications/cancelled' && frame.at.requestId) this.#settle(idKey(frame, frame.at.requestId))
        this.onmessage?.(JSON.parse(asBuffer(frame.bytes).toString()) as JSONRPCMessage)
        return this.#pending.size < maxPendingPerWire
      },
      room: async () => {
        while (this.#pending.size >= maxPendingPerWire) await this.answered()
      },
    })
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const frame = scan(Buffer.from(JSON.stringify(message)))
    const hasRoom = this.#wire.write(frame)
    if (frame.at.id && frame.kind !== 'request') this.#settle(idKey(frame, frame.at.id))
    if (!hasRoom) await this.#wire.room()
  }

  async close(): Promise<void> {
    await this.#wire.close()
  }

  #settle(id: string): void {
    this.#pending.delete(id)
    for (const resolve of this.#settled.splice(0)) resolve()
  }
}

/** Makes the server; nothing of the SDK or of the tools is loaded before the first request. */
export function createToolServer<Needs>(options: ToolServerOptions<Needs>): ToolServer {
  const { clock, log } = options
  const toolbox = createToolbox(options)
  let sdk: Promise<Sdk> | undefined
  const loadSdk = (): Promise<Sdk> => (sdk ??= import('@modelcontextprotocol/server'))
  const door = createHttpDoor({
    loadSdk,
    serverFor: (loaded, principal, source) => sdkServer(loaded, toolbox, { principal, source }, options),
    admit: options.admit,
    clock,
    log,
    ...(options.limits ? { limits: options.limits } : {}),
  })

  const serve = async (wire: Wire, transport: WireTransport, asker: Asker): Promise<void> => {
    const [loaded, { serveStdio }] = await Promise.all([loadSdk(), import('@modelcontextprotocol/server/stdio')])
    serveStdio(() => sdkServer(loaded, toolbox, asker, options), {
      transport,
      maxSubscriptions: 16,
      onerror: (error) => log.debug('mcp.refused', { error }),
    })
    await wire.ended
  }

  return {
    handle: (request, response) => door.handle(request, response),
    overWire: (wire, principal) => serve(wire, new WireTransport(wire), { principal, source: onWire }),
    async overStdio(input, output, principal, signal) {
      // The end of the input is held back until all that came before it is answered: `printf … | server` gets its answers
      const held = new Transform({
        transform: (chunk, _encoding, done) => done(null, chunk),
        flush(done) {
          this.push('\n') // a last line may lack its line feed
          const late = new Promise<void>((resolve) => void clock.after(drainMs, resolve))
          const drained = async (): Promise<void> => {
            do await (transport.pending > 0 ? transport.answered() : new Promise((resolve) => setImmediate(resolve)))
            while (transport.pending > 0 || this.readableLength > 0)
          }
          void Promise.race([drained(), late]).then(() => done())
        },
      })
      const wire = linesWire(input.pipe(held), output, {
        onBadLine(problem) {
          const code = problem.code === 'wire.not_json' ? -32700 : -32600
          const id = typeof problem.details.id === 'string' ? problem.details.id : 'null'
          output.write(`{"jsonrpc":"2.0","id":${id},"error":{"code":${code},"message":${JSON.stringify(problem.message)}}}\n`)
          return 'skip'
        },
      })
      const transport = new WireTransport(wire)
      const stop = (): void => void wire.close()
      signal.addEventListener('abort', stop, { once: true })
      if (signal.aborted) stop()
      await serve(wire, transport, { principal, source: onStdio })
      signal.removeEventListener('abort', stop)
      input.destroy() // else an open stdin keeps the process alive
    },
    get state() {
      return { sessions: door.sessions, running: toolbox.running, problem: toolbox.problem }
    },
    close: () => door.close(),
  }
}
