// Asks for a WebSocket: directly, or through an HTTP proxy that is asked to CONNECT first; over TLS whose certificate is verified, always.
import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { type Socket, connect, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { randomBytes } from '../../../kernel/random.ts'
import { reasonOf } from '../../../kernel/fault.ts'
import type { WebTarget } from '../address.ts'
import type { Proxy } from '../proxy.ts'
import { acceptOf } from './negotiation.ts'
import { WebSocketStream } from './stream.ts'

/** Opens a WebSocket; the signal ends the attempt, and means nothing afterwards. Rejects with a plain error that says who would not. */
export async function openWebSocket(target: WebTarget, proxy: Proxy | undefined, signal: AbortSignal): Promise<WebSocketStream> {
  signal.throwIfAborted()
  const below = proxy ? await throughProxy(proxy, target, signal) : undefined
  const socket = target.isTls
    ? await overTls(target, below, signal)
    : (below ?? connect({ host: target.host, port: target.port, noDelay: true }))
  return upgraded(target, socket, signal)
}

/** `host:port` as HTTP writes it. */
function authorityOf({ host, port }: Pick<WebTarget, 'host' | 'port'>): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
}

/** The name is resolved by the proxy: inside a strict network it may mean nothing. */
function throughProxy(proxy: Proxy, target: WebTarget, signal: AbortSignal): Promise<Socket> {
  const { name, host, port, isTls, variable, authorization } = proxy
  const authority = authorityOf(target)
  const headers = { host: authority, ...(authorization ? { 'proxy-authorization': authorization.reveal() } : {}) }
  const asked = (isTls ? tlsRequest : plainRequest)({ host, port, method: 'CONNECT', path: authority, headers, agent: false })
  return answered(asked, signal, {
    event: 'connect',
    failed: (problem) => `the proxy ${name} (${variable}) cannot be used: ${problem}`,
    take({ statusCode = 0 }, socket, early) {
      if (statusCode === 407) throw new Error(`the proxy ${name} asks for a name and password: ${variable}=http://NAME:PASSWORD@${name}`)
      if (statusCode < 200 || statusCode > 299)
        throw new Error(`the proxy ${name} does not let us to ${authority}: it answered ${statusCode}`)
      if (early.length > 0) socket.unshift(early)
      return socket
    },
  })
}

function overTls({ host, port }: WebTarget, below: Socket | undefined, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      ...(below ? { socket: below } : { host, port }),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      host,
      ALPNProtocols: ['http/1.1'],
    })
    const stop = (): void => void socket.destroy(signal.reason as Error)
    signal.addEventListener('abort', stop, { once: true })
    socket.once('secureConnect', () => {
      signal.removeEventListener('abort', stop)
      resolve(socket)
    })
    socket.once('error', (error) => {
      signal.removeEventListener('abort', stop)
      below?.destroy()
      reject(signal.aborted ? error : tlsError(host, error))
    })
  })
}

/** What OpenSSL and Node say of certificates: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const aboutCertificate = /CERT|SIGNATURE|ALTNAME|_CRL|ISSUER/

function tlsError(host: string, error: NodeJS.ErrnoException): Error {
  const { code = '' } = error
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return new Error(`the certificate that ${host} shows is somebody else's`, { cause: error })
  if (/^(?:ERR_SSL|EPROTO)/.test(code))
    return new Error(`what answers at ${host} does not speak TLS as it should (${code})`, { cause: error })
  if (!aboutCertificate.test(code)) return error
  const problem = `the certificate that ${host} shows is not trusted here (${code}); NODE_EXTRA_CA_CERTS=FILE names an authority of your own`
  return new Error(problem, { cause: error })
}

function upgraded(target: WebTarget, socket: Socket, signal: AbortSignal): Promise<WebSocketStream> {
  const key = Buffer.from(randomBytes(16)).toString('base64')
  const isUsual = target.port === (target.isTls ? 443 : 80)
  const host = isUsual ? authorityOf(target).replace(/:\d+$/, '') : authorityOf(target)
  const asked = plainRequest({
    createConnection: () => socket,
    path: '/',
    headers: { host, connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': key },
  })
  return answered(asked, signal, {
    event: 'upgrade',
    failed: (problem) => problem,
    take({ headers }, raw, early) {
      const isOurs = headers.upgrade?.toLowerCase() === 'websocket' && headers['sec-websocket-accept'] === acceptOf(key)
      if (!isOurs || headers['sec-websocket-extensions'] !== undefined || headers['sec-websocket-protocol'] !== undefined)
        throw new Error(`${authorityOf(target)} does not answer as a WebSocket should`)
      return new WebSocketStream(raw, 'client', early)
    },
  })
}

type Taken<Result> = {
  readonly event: 'connect' | 'upgrade'
  /** How to tell what the system said. */
  readonly failed: (problem: string) => string
  readonly take: (response: IncomingMessage, socket: Socket, early: Buffer) => Result
}

/** What comes of a request whose answer hands its socket over. Any other answer is a refusal. */
function answered<Result>(request: ClientRequest, signal: AbortSignal, { event, failed, take }: Taken<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stop = (): void => void request.destroy(signal.reason as Error)
    const over = (): void => signal.removeEventListener('abort', stop)
    signal.addEventListener('abort', stop, { once: true })
    request.once(event, (response: IncomingMessage, socket: Socket, early: Buffer) => {
      over()
      try {
        resolve(take(response, socket, early))
      } catch (error) {
        socket.destroy()
        reject(error)
      }
    })
    request.once('response', (response: IncomingMessage) => {
      over()
      request.destroy()
      reject(new Error(`no WebSocket is there: the web server answered ${response.statusCode ?? 'nothing'}`))
    })
    request.on('error', (error) => {
      over()
      reject(signal.aborted ? error : new Error(failed(problemOf(error)), { cause: error }))
    })
    request.end()
  })
}

function problemOf(error: Error): string {
  return error instanceof AggregateError ? [...new Set(error.errors.map(reasonOf))].join(', ') : reasonOf(error)
}
