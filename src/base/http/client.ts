// Sends one HTTP request with kept-alive connections, streams the answer, and never follows a redirect by itself.
import { type Agent, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
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
  const agents: Record<string, Agent> = { 'http:': new PlainAgent(options), 'https:': new TlsAgent(options) }
  const send = (asked: HttpRequest, isRetry = false): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { method, url, headers, body, signal } = asked
      const start = url.protocol === 'https:' ? tlsRequest : plainRequest
      const request = start(url, {
        method,
        agent: agents[url.protocol]!,
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
  return {
    send: (request) => send(request),
    close() {
      for (const agent of Object.values(agents)) agent.destroy()
    },
  }
}
