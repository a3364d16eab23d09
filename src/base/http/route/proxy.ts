// Passes HTTP/1.1 requests that came over TLS on to a port of this machine: with who asked in X-Forwarded-*, streamed both ways, upgrades (WebSockets) too.
import { Agent, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse, request } from 'node:http'
import type { Server } from 'node:https'
import type { Duplex } from 'node:stream'
import type { SecureContext } from 'node:tls'
import type { Clock } from '../../../kernel/clock.ts'
import { splice } from './splice.ts'

/** Of one connection, and meant for the other end of that alone (RFC 9110 §7.6.1). */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
/** What a client says of itself in these would be believed. */
const forwarded = /^(?:forwarded|x-forwarded-.*|x-real-ip)$/
const maxUpstreamSockets = 1_024
const maxHeaderSize = 32 << 10
/** How long a component may take to begin its answer. */
const answerMs = 120_000

export type HttpRoutes = {
  /** The port that answers for a name; undefined: nobody. */
  port(name: string): number | undefined
  /** The certificate for a name; undefined: there is none (yet). */
  certificate(name: string): SecureContext | undefined
}

export interface RouteProxy {
  /** Takes a connection from which nothing was read that is not put back. */
  take(socket: Duplex): void
  close(): void
}

type Asked = { readonly name: string; readonly port: number; readonly headers: OutgoingHttpHeaders }

/** A proxy that listens nowhere. */
export async function createRouteProxy({ clock }: { readonly clock: Clock }, routes: HttpRoutes): Promise<RouteProxy> {
  const { createServer } = await import('node:https')
  const agent = new Agent({ keepAlive: true, maxSockets: maxUpstreamSockets, scheduling: 'lifo' })
  const server: Server = createServer(
    {
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: 10_000,
      headersTimeout: 20_000,
      requestTimeout: 0,
      keepAliveTimeout: 65_000,
      maxHeaderSize,
      SNICallback: (name, done) => {
        const context = routes.certificate(name.toLowerCase())
        done(context ? null : new Error('no certificate for that name'), context)
      },
    },
    (incoming, response) => {
      incoming.on('error', ignore)
      response.on('error', ignore)
      const asked = askedBy(routes, incoming)
      if (typeof asked === 'number') return refuse(response, asked)
      pass({ clock, agent }, asked, incoming, response)
    },
  )
  server.on('upgrade', (incoming, socket, head) => {
    socket.on('error', ignore)
    const asked = askedBy(routes, incoming)
    if (typeof asked === 'number') return void socket.end(`HTTP/1.1 ${asked} ${asked}\r\nconnection: close\r\n\r\n`)
    upgrade(asked, incoming, socket, head)
  })
  server.on('tlsClientError', ignore).on('clientError', (_error, socket) => void socket.destroy())
  return {
    take: (socket) => void server.emit('connection', socket),
    close() {
      server.closeAllConnections()
      agent.destroy()
    },
  }
}

function ignore(): void {}

/** The status of a refusal, or where to. The name is the one of the handshake: a `Host` that says otherwise is another's (RFC 9110 §15.5.20). */
function askedBy(routes: HttpRoutes, incoming: IncomingMessage): Asked | number {
  const name = ((incoming.socket as { readonly servername?: string | false }).servername || '').toLowerCase()
  const { host = '' } = incoming.headers
  if (host.replace(/:\d+$/, '').toLowerCase() !== name) return 421
  const port = routes.port(name)
  return port === undefined ? 404 : { name, port, headers: headersOf(incoming, host) }
}

function headersOf({ rawHeaders, headers, socket }: IncomingMessage, host: string): OutgoingHttpHeaders {
  const passed: Record<string, string[]> = {}
  const named = new Set((headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()))
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase()
    if (!hopByHop.has(name) && !named.has(name) && !forwarded.test(name)) (passed[name] ??= []).push(rawHeaders[at + 1]!)
  }
  const single = Object.entries(passed).map(([name, values]) => [name, values.length === 1 ? values[0]! : values] as const)
  const isChunked = headers['transfer-encoding'] !== undefined
  return {
    ...Object.fromEntries(single),
    ...(isChunked ? { 'transfer-encoding': 'chunked' } : {}),
    'x-forwarded-for': socket.remoteAddress ?? '',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': host,
  }
}

function pass(
  { clock, agent }: { readonly clock: Clock; readonly agent: Agent },
  { port, headers }: Asked,
  incoming: IncomingMessage,
  response: ServerResponse,
): void {
  const { method, url } = incoming
  const onward = request({ host: '127.0.0.1', port, method, path: url, headers, agent, setHost: false, maxHeaderSize })
  const cancel = clock.after(answerMs, () => onward.destroy(new Error('late')))
  const stop = (): void => void onward.destroy()
  response.once('close', stop)
  onward.on('error', ({ message }) => {
    cancel()
    if (response.headersSent) response.destroy()
    else refuse(response, message === 'late' ? 504 : 502)
  })
  onward.once('response', (answer) => {
    cancel()
    answer.on('error', () => response.destroy())
    answer.once('aborted', () => response.destroy())
    response.writeHead(answer.statusCode!, answer.statusMessage, answerHeaders(answer))
    answer.pipe(response)
  })
  incoming.pipe(onward)
}

function upgrade({ port, headers }: Asked, incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url } = incoming
  const onward = request({
    host: '127.0.0.1',
    port,
    method,
    path: url,
    headers: { ...headers, connection: 'Upgrade', upgrade: incoming.headers.upgrade },
    setHost: false,
    maxHeaderSize,
  })
  onward.on('error', () => void socket.end('HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n'))
  onward.once('response', (answer) => {
    answer.resume() // it does not want to
    socket.end(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\nconnection: close\r\n\r\n`)
  })
  onward.once('upgrade', (answer, upstream, first) => {
    const lines = pairs(answer.rawHeaders).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`)
    socket.write(first)
    upstream.write(head)
    splice(socket, upstream)
  })
  onward.end()
}

function answerHeaders({ rawHeaders, headers }: IncomingMessage): string[] {
  const named = new Set((headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()))
  return pairs(rawHeaders)
    .filter(([name]) => !hopByHop.has(name.toLowerCase()) && !named.has(name.toLowerCase()))
    .flat()
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at]!, raw[2 * at + 1]!])
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' })
  response.end(`${status}\n`)
}
