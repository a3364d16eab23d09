// Sends one HTTP request with kept-alive connections, streams the answer, and never follows a redirect by itself.
import { Agent, type IncomingMessage, request as plainRequest } from 'node:http'
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
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly signal?: AbortSignal
}

/** An error of `send`. `isSent` false: the request certainly never left, so it may be sent again. */
export class HttpSendError extends Error {
  readonly isSent: boolean

  constructor(cause: Error, isSent: boolean) {
    super(reasonOf(cause), { cause })
    this.isSent = isSent
  }
}

/** A client with a pool of its own. `maxSockets`: connections to one origin; what is above waits for one of them. */
export function createHttpClient(maxSockets = 256): HttpClient {
  const options = { keepAlive: true, maxSockets, scheduling: 'lifo', timeout: 0 } as const
  const plain: Dialler = { agent: new Agent(options), start: plainRequest }
  let secure: Promise<Dialler> | undefined
  const diallerOf = ({ protocol }: URL): Dialler | Promise<Dialler> => (protocol === 'https:' ? (secure ??= secureDialler(options)) : plain)
  const sendBy = ({ agent, start }: Dialler, asked: HttpRequest, isRetry: boolean): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { method, url, headers, body, signal } = asked
      const request = start(url, {
        method,
        agent,
        headers: body ? { ...headers, 'content-length': String(body.length) } : headers,
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
        if (wasStale && method !== 'POST') return resolve(send(asked, true))
        reject(new HttpSendError(error, isConnected))
      })
      request.end(body)
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
