// Listens for WebSockets: HTTP as far as the upgrade, then a stream of bytes. TLS is ended by a web server in front of it, if there is one. No page in a browser may use
// it: browsers say where a page came from, and whoever says that is refused.
import { type IncomingMessage, createServer } from 'node:http'
import { type AddressInfo, type Socket, isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { acceptOf } from './negotiation.ts'
import { WebSocketStream } from './stream.ts'

/** How long a request may take to be whole. */
const requestMs = 5_000
const maxHeaderBytes = 8 << 10
const maxConnections = 4_096
/** Connections from one IP address that have asked for nothing yet, as for handshakes (host.ts). Behind a web server they are few: it sends whole requests. */
const maxAsking = 128

export type WebPlace = { readonly host: string; readonly port: number }
/** The IP address and port of who is at the other end, as far as can be told. */
export type Far = { readonly host: string; readonly port: number }

/** What listens until it is closed, and then ends every connection that came to it. */
export interface WebListener {
  readonly port: number
  close(): Promise<void>
}

/** Listens at an IP address, port 0 for any free one; each WebSocket belongs to `accept`. Rejects with what the system says. */
export async function listenForWebSockets(
  { host, port }: WebPlace,
  accept: (stream: WebSocketStream, from: Far) => void,
): Promise<WebListener> {
  /** Each with what to do when it has asked. */
  const sockets = new Map<Duplex, () => void>()
  const asking = new Map<string, number>()
  const server = createServer({
    headersTimeout: requestMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: requestMs / 5,
    maxHeaderSize: maxHeaderBytes,
    keepAlive: true,
    noDelay: true,
  })
  server.maxConnections = maxConnections
  server.on('connection', (socket) => {
    const asked = counted(asking, socket.remoteAddress ?? '')
    if (!asked) return void socket.destroy()
    sockets.set(socket, asked)
    socket.once('close', () => {
      asked()
      sockets.delete(socket)
    })
  })
  server.on('request', (_request, response) => {
    response.writeHead(426, { connection: 'close', upgrade: 'websocket', 'content-type': 'text/plain' })
    response.end('Here are WebSockets of Fairlead, and nothing else.\n')
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  server.on('upgrade', (request, socket, early) => {
    socket.on('error', () => socket.destroy())
    sockets.get(socket)?.()
    const refused = refusalOf(request)
    if (refused) return void socket.end(`HTTP/1.1 ${refused}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy())
    const answer = acceptOf(request.headers['sec-websocket-key']!)
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${answer}\r\n\r\n`)
    accept(new WebSocketStream(socket as Socket, 'server', early), farEnd(request))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, ipv6Only: isIP(host) === 6 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets.keys()) socket.destroy()
      }),
  }
}

/** Counts one more from this address that has asked for nothing yet; the returned function counts it off again. Undefined when there is no room. */
function counted(asking: Map<string, number>, from: string): (() => void) | undefined {
  const before = asking.get(from) ?? 0
  if (before >= maxAsking) return undefined
  asking.set(from, before + 1)
  let isCounted = true
  return () => {
    if (!isCounted) return
    isCounted = false
    const left = asking.get(from)! - 1
    if (left > 0) asking.set(from, left)
    else asking.delete(from)
  }
}

/** The status to refuse with; undefined when it may be. */
function refusalOf({ method, headers }: IncomingMessage): string | undefined {
  if (method !== 'GET' || headers.upgrade?.toLowerCase() !== 'websocket') return '426 Upgrade Required\r\nupgrade: websocket'
  if (headers.origin !== undefined) return '403 Forbidden'
  if (headers['sec-websocket-version'] !== '13') return '426 Upgrade Required\r\nsec-websocket-version: 13'
  return /^[A-Za-z0-9+/]{22}==$/.test(headers['sec-websocket-key'] ?? '') ? undefined : '400 Bad Request'
}

/** A web server on this machine says for whom it asks; anybody else could say what they like. */
function farEnd({ headers, socket }: IncomingMessage): Far {
  const near = plainAddress(socket.remoteAddress ?? '')
  const told = headers['x-forwarded-for']
  const last = (Array.isArray(told) ? told.join() : told)?.split(',').at(-1)?.trim() ?? ''
  const isFromHere = near === '::1' || near.startsWith('127.')
  return { host: isFromHere && isIP(last) !== 0 ? plainAddress(last) : near, port: socket.remotePort ?? 0 }
}

function plainAddress(address: string): string {
  return address.replace(/^::ffff:/, '').replace(/%.*$/, '')
}
