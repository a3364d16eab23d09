// Sends one HTTP request with kept-alive connections, streams the answer, and never follows a redirect by itself.
import { Agent, type IncomingMessage, request as plainRequest } from 'node:http'
import type { Readable } from 'node:stream'
import { reasonOf } from '../../kernel/fault.ts'

export interface HttpClient {
  /**
   * Resolves with the response as soon as its head is there. Rejects with a `HttpSendError`, which tells whether the request may have reached
   * the other side.
   */
  send(request: HttpRequest): Promise<IncomingMessage>
  close(): void
}

type HttpRequest = {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string | string[]>>
  /** A stream is sent as it comes, once: chunked, unless the headers tell its length. */
  readonly body?: Uint8Array | Readable
  readonly signal?: AbortSignal
}

/** Twice is as good as once (RFC 9110 §9.2.2). */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

function isStream(body: Uint8Array | Readable | undefined): body is Readable {
  return body !== undefined && !(body instanceof Uint8Array)
}

/** An error of `send`. `isSent` false: the request certainly never left, so it may be sent again. */
export class HttpSendError extends Error {
  readonly isSent: boolean

  constructor(cause: Error, isSent: boolean) {
    super(reasonOf(cause), { cause })
    this.isSent = isSent
  }
}

export type HttpClientOptions = {
  /** Connections to one origin; what is above waits for one of them. 256 by default. */
  readonly maxSockets?: number
  /** Every request goes to that UNIX socket, whatever host its `http:` address names. */
  readonly socketPath?: string
  /** PEM, believed instead of those that the system trusts. */
  readonly authority?: string | undefined
}

/** A client with a pool of its own. */
export function createHttpClient({ maxSockets = 256, socketPath, authority }: HttpClientOptions = {}): HttpClient {
  const options = {
    keepAlive: true,
    maxSockets,
    scheduling: 'lifo',
    timeout: 0,
    ...(socketPath === undefined ? {} : { socketPath }),
    ...(authority === undefined ? {} : { ca: authority }),
  } as const
  const plain: Dialler = { agent: new Agent(options), start: plainRequest }
  let secure: Promise<Dialler> | undefined
  const diallerOf = ({ protocol }: URL): Dialler | Promise<Dialler> => (protocol === 'https:' ? (secure ??= secureDialler(options)) : plain)
  const sendBy = ({ agent, start }: Dialler, asked: HttpRequest, isRetry: boolean): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { method, url, headers, body, signal } = asked
      const request = start(url, {
        method,
        agent,
        headers: body instanceof Uint8Array ? { ...headers, 'content-length': String(body.length) } : headers,
        ...(signal ? { signal } : {}),
      })
      let isConnected = false
      request.on('socket', (socket) => {
        if (!socket.connecting) isConnected = true
        else socket.once('connect', () => (isConnected = true))
      })
      request.on('response', resolve)
      request.on('error', (error: NodeJS.ErrnoException) => {
        // A kept-alive connection that the server closed while it was idle: nothing of this request was read (RFC 9112 §9.3.1 lets us send it again once).
        const wasStale = request.reusedSocket && error.code === 'ECONNRESET' && !isRetry && !signal?.aborted
        if (wasStale && idempotent.has(method) && !isStream(body)) return resolve(send(asked, true))
        reject(new HttpSendError(error, isConnected))
      })
      if (!isStream(body)) return void request.end(body)
      body.once('error', (error) => request.destroy(error))
      request.once('close', () => void body.destroy())
      body.pipe(request)
    })
  const send = async (asked: HttpRequest, isRetry = false): Promise<IncomingMessage> => {
    return sendBy(await diallerOf(asked.url), asked, isRetry)
  }
  return {
    send: (request) => send(request),
    close() {
      plain.agent.destroy()
      void secure?.then(({ agent }) => agent.destroy())
    },
  }
}

type Dialler = { readonly agent: Agent; readonly start: typeof plainRequest }

/** TLS is 5 MB of a process, and most never need it: loaded with the first https address. */
async function secureDialler(options: object): Promise<Dialler> {
  const { Agent: TlsAgent, request } = await import('node:https')
  return { agent: new TlsAgent(options), start: request }
}
