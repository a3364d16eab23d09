// The light load generator, a process of its own: raw sockets, no SDK, both protocol eras and the legacy HTTP+SSE transport.
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { Connection, type ResponseHead } from './http1.ts'
import { type Client, type EchoAnswer, drive, verify } from './loop.ts'
import { SseReader } from './sse.ts'

export type Era = 'legacy' | 'modern'
export type Transport = 'http' | 'sse' | 'stdio'

type Target = { readonly url: URL; readonly era: Era; readonly token: string | undefined; readonly sizeBytes: number }

const clientInfo = { name: 'fairlead-bench', version: '1.0.0' }
const legacyVersion = '2025-11-25'
const modernVersion = '2026-07-28'
const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': modernVersion,
  'io.modelcontextprotocol/clientInfo': clientInfo,
  'io.modelcontextprotocol/clientCapabilities': {},
}
const initializeParams = { protocolVersion: legacyVersion, capabilities: {}, clientInfo }

type Tools = { readonly result?: { readonly tools?: readonly { readonly name: string }[] }; readonly error?: unknown }

/** The echo tool's name there: a gateway may have put a prefix before it. */
function echoName(answer: Tools): string {
  const name = answer.result?.tools?.find((tool) => /(^|[^a-z])echo$/.test(tool.name))?.name
  if (name === undefined) throw new Error(`no echo tool is offered: ${JSON.stringify(answer).slice(0, 200)}`)
  return name
}

/** What the messages of all transports have in common: ids, the call's parameters, the check of its answer. */
abstract class RawClient implements Client {
  protected readonly target: Target
  #id = 0
  #tool = 'echo'

  constructor(target: Target) {
    this.target = target
  }

  abstract open(): Promise<void>
  abstract close(): Promise<void>
  protected abstract exchange(message: string, id: number, method: string, name?: string): Promise<EchoAnswer>

  async call(text: string): Promise<void> {
    const { sizeBytes } = this.target
    verify(await this.request('tools/call', { name: this.#tool, arguments: { text, size: sizeBytes } }, this.#tool), text, sizeBytes)
  }

  protected async request(method: string, params: object, name?: string): Promise<EchoAnswer> {
    const id = ++this.#id
    const sent = this.target.era === 'modern' ? { ...params, _meta: modernMeta } : params
    const answer = await this.exchange(JSON.stringify({ jsonrpc: '2.0', id, method, params: sent }), id, method, name)
    if (answer.id !== id) throw new Error(`an answer to ${JSON.stringify(answer.id)} instead of ${id}`)
    return answer
  }

  protected async findTool(): Promise<void> {
    this.#tool = echoName((await this.request('tools/list', {})) as Tools)
  }
}

function postTo(url: URL, headers: string, message: string): string {
  return (
    `POST ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n` +
    `${headers}Content-Length: ${Buffer.byteLength(message)}\r\n\r\n${message}`
  )
}

function authorization(token: string | undefined): string {
  return token === undefined ? '' : `Authorization: Bearer ${token}\r\n`
}

/** Streamable HTTP in either era; answers as JSON or as events. */
class HttpClient extends RawClient {
  readonly #connection: Connection
  #session = ''

  constructor(target: Target) {
    super(target)
    this.#connection = new Connection(target.url)
  }

  async open(): Promise<void> {
    if (this.target.era === 'legacy') {
      const answer = await this.request('initialize', initializeParams)
      if (!answer.result) throw new Error(`initialize was refused: ${JSON.stringify(answer).slice(0, 200)}`)
      await this.#post('{"jsonrpc":"2.0","method":"notifications/initialized"}', this.#headers('notifications/initialized'))
    }
    await this.findTool()
  }

  protected async exchange(message: string, id: number, method: string, name?: string): Promise<EchoAnswer> {
    const answer = await this.#post(message, this.#headers(method, name), id)
    if (!answer) throw new Error(`no answer to ${method}`)
    return answer
  }

  close(): Promise<void> {
    if (this.#session === '') return Promise.resolve(this.#connection.close())
    const { url } = this.target
    return new Promise((resolve) => {
      const done = (): void => {
        this.#connection.close()
        resolve()
      }
      const head = `DELETE ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\n${this.#headers('')}\r\n`
      this.#connection.send(head, { onEnd: done, onFail: done })
    })
  }

  #headers(method: string, name?: string): string {
    const auth = authorization(this.target.token)
    if (this.target.era === 'modern') {
      return `${auth}MCP-Protocol-Version: ${modernVersion}\r\nMcp-Method: ${method}\r\n${name === undefined ? '' : `Mcp-Name: ${name}\r\n`}`
    }
    if (method === 'initialize') return auth
    return `${auth}MCP-Protocol-Version: ${legacyVersion}\r\n${this.#session}`
  }

  #post(message: string, headers: string, id?: number): Promise<EchoAnswer | undefined> {
    return new Promise((resolve, reject) => {
      let answer: EchoAnswer | undefined
      let events: SseReader | undefined
      const body: Buffer[] = []
      const read = (json: string): void => {
        const got = JSON.parse(json) as EchoAnswer
        if (got.method === undefined) answer = got
      }
      const onHead = (head: ResponseHead): void => {
        const session = head.headers.get('mcp-session-id')
        if (session !== undefined) this.#session = `Mcp-Session-Id: ${session}\r\n`
        if (head.headers.get('content-type')?.startsWith('text/event-stream')) events = new SseReader((event) => read(event.data))
      }
      const onEnd = (head: ResponseHead): void => {
        try {
          if (!events && id !== undefined && head.status === 200) read(Buffer.concat(body).toString('utf8'))
          if (head.status >= 300) throw new Error(`HTTP ${head.status}: ${Buffer.concat(body).toString('utf8').slice(0, 200)}`)
          resolve(answer)
        } catch (error) {
          reject(error)
        }
      }
      const onBody = (chunk: Buffer): void => (events ? events.push(chunk) : void body.push(chunk))
      this.#connection.send(postTo(this.target.url, headers, message), { onHead, onBody, onEnd, onFail: reject })
    })
  }
}

type Waiting = { readonly id: number; readonly resolve: (answer: EchoAnswer) => void; readonly reject: (reason: Error) => void }

/** The legacy HTTP+SSE transport (2024-11-05): answers come on a stream that was opened before. */
class SseClient extends RawClient {
  readonly #stream: Connection
  readonly #connection: Connection
  #endpoint: URL | undefined
  #waiting: Waiting | undefined

  constructor(target: Target) {
    super(target)
    this.#stream = new Connection(target.url)
    this.#connection = new Connection(target.url)
  }

  async open(): Promise<void> {
    const { url, token } = this.target
    await new Promise<void>((resolve, reject) => {
      const events = new SseReader(({ event, data }) => {
        if (event !== 'endpoint') return this.#take(JSON.parse(data) as EchoAnswer)
        this.#endpoint = new URL(data, url)
        resolve()
      })
      const fail = (reason: Error): void => {
        reject(reason)
        this.#waiting?.reject(reason)
      }
      const head = `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nAccept: text/event-stream\r\n${authorization(token)}\r\n`
      this.#stream.send(head, {
        onBody: (chunk) => events.push(chunk),
        onEnd: ({ status }) => fail(new Error(`the stream ended, HTTP ${status}`)),
        onFail: fail,
      })
    })
    await this.request('initialize', initializeParams)
    await this.#post('{"jsonrpc":"2.0","method":"notifications/initialized"}')
    await this.findTool()
  }

  protected async exchange(message: string, id: number): Promise<EchoAnswer> {
    const answered = new Promise<EchoAnswer>((resolve, reject) => {
      this.#waiting = { id, resolve, reject }
    })
    const [answer] = await Promise.all([answered, this.#post(message)])
    return answer
  }

  close(): Promise<void> {
    this.#stream.close()
    this.#connection.close()
    return Promise.resolve()
  }

  #take(message: EchoAnswer): void {
    if (message.method === undefined) this.#waiting?.resolve(message)
  }

  #post(message: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const onEnd = ({ status }: ResponseHead): void => (status < 300 ? resolve() : reject(new Error(`HTTP ${status}`)))
      this.#connection.send(postTo(this.#endpoint!, authorization(this.target.token), message), { onEnd, onFail: reject })
    })
  }
}

/** No gateway at all: a child per client, the floor under every other figure. */
class StdioClient extends RawClient {
  readonly #command: readonly string[]
  #write: (line: string) => void = () => {}
  #end: () => void = () => {}
  #waiting: Waiting | undefined

  constructor(target: Target, command: readonly string[]) {
    super(target)
    this.#command = command
  }

  async open(): Promise<void> {
    const child = spawn(this.#command[0]!, this.#command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
    let partial = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (partial + text).split('\n')
      partial = lines.pop()!
      for (const line of lines) this.#waiting?.resolve(JSON.parse(line) as EchoAnswer)
    })
    child.on('exit', () => this.#waiting?.reject(new Error('the server ended')))
    this.#write = (line) => void child.stdin.write(line)
    this.#end = () => void child.stdin.end()
    await this.request('initialize', initializeParams)
    this.#write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    await this.findTool()
  }

  protected exchange(message: string, id: number): Promise<EchoAnswer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { id, resolve, reject }
      this.#write(`${message}\n`)
    })
  }

  close(): Promise<void> {
    return Promise.resolve(this.#end())
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:1/' },
    transport: { type: 'string', default: 'http' },
    era: { type: 'string', default: 'legacy' },
    token: { type: 'string' },
    clients: { type: 'string', default: '16' },
    calls: { type: 'string', default: '2000' },
    warmup: { type: 'string', default: '100' },
    size: { type: 'string', default: '1024' },
    limit: { type: 'string', default: '60' },
  },
})
const target: Target = { url: new URL(values.url), era: values.era as Era, token: values.token, sizeBytes: Number(values.size) }
const make = (): Client => {
  if (values.transport === 'stdio') return new StdioClient(target, positionals)
  return values.transport === 'sse' ? new SseClient(target) : new HttpClient(target)
}
await drive(make, {
  clients: Number(values.clients),
  calls: Number(values.calls),
  warmup: Number(values.warmup),
  limitSeconds: Number(values.limit),
})
