// Opens a loopback or public HTTP door: one place that checks Host and Origin, bounds slow clients and says which port is busy.
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Clock } from '../../kernel/clock.ts'
import { faults, reasonOf } from '../../kernel/fault.ts'
import { isLoopback, localHosts } from './host.ts'

const fault = faults('http', {
  port_busy: (d: { name: string; host: string; port: number }) => ({
    kind: 'unavailable',
    message: `${d.name} cannot listen on ${d.host}:${d.port}: the port is busy`,
    hint: `stop the program that holds it (find it with: ss -ltnp 'sport = :${d.port}'), or choose another port`,
  }),
  cannot_listen: (d: { name: string; host: string; port: number; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.name} cannot listen on ${d.host}:${d.port}: ${d.reason}`,
    hint:
      d.reason === 'EACCES'
        ? 'ports below 1024 take a right: AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or choose another one'
        : 'name an address of this machine, such as 127.0.0.1',
  }),
})

export interface Listener {
  readonly host: string
  readonly port: number
  /** `http://host:port`, without a path. */
  readonly url: string
  /** Stops taking connections, lets running requests end for `graceMs` (2 s), then cuts what is left. */
  close(graceMs?: number): Promise<void>
}

export type ListenerOptions = {
  readonly clock: Clock
  /** Who listens, for faults: `gate`, `machine tools`. */
  readonly name: string
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Further values of `Host` (and hosts of `Origin`) that are ours: a public name, say. Loopback names are always ours on a loopback listener. */
  readonly ownHosts?: readonly string[]
  handle(request: IncomingMessage, response: ServerResponse): void
  /** Told of every request that is refused here and never handled. */
  refused?(reason: string, request: IncomingMessage, status: number): void
}

const host = 'host'
const authorization = 'authorization'

/** Readers differ in which of two they believe, so that one could be checked and the other acted on. */
function doubled({ rawHeaders }: IncomingMessage): string | undefined {
  let hasHost = false
  let hasAuthorization = false
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!
    if (name.length === host.length && name.toLowerCase() === host) {
      if (hasHost) return host
      hasHost = true
    } else if (name.length === authorization.length && name.toLowerCase() === authorization) {
      if (hasAuthorization) return authorization
      hasAuthorization = true
    }
  }
  return undefined
}

function hostOf(header: string): string {
  return header
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase()
}

/**
 * Why a request must be refused before anything else looks at it (DNS rebinding, CVE-2025-66414): a Host that is not ours, or an Origin whose host is not.
 * `undefined` when it may go on.
 */
function foreignReason(request: IncomingMessage, isOwn: (host: string) => boolean): string | undefined {
  const { host, origin } = request.headers
  if (host === undefined || !isOwn(hostOf(host))) return 'the Host header names another host'
  if (origin === undefined) return undefined
  const parsed = URL.canParse(origin) ? new URL(origin) : undefined
  if (!parsed || !isOwn(hostOf(parsed.host))) return 'the Origin header names another site'
  return undefined
}

function ignore(): void {}

function refuse(request: IncomingMessage, response: ServerResponse, status: number, message: string): void {
  request.resume()
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32000, message } }))
}

/**
 * A server that does not listen yet, bounded and checked as every door is. `ownHosts`: all values of `Host`, and hosts of `Origin`, that are ours; 'any' is for
 * sockets that no browser can open.
 */
export function createHttpServer({
  ownHosts,
  handle,
  refused,
}: Pick<ListenerOptions, 'handle' | 'refused'> & { readonly ownHosts: readonly string[] | 'any' }): Server {
  const own = new Set(ownHosts === 'any' ? [] : ownHosts.map((value) => value.toLowerCase()))
  const isOwn = (value: string): boolean => ownHosts === 'any' || own.has(value)
  const server = createServer(
    { keepAliveTimeout: 65_000, headersTimeout: 20_000, requestTimeout: 60_000, maxHeaderSize: 32 << 10, noDelay: true },
    (request, response) => {
      // Who goes away in the middle harms nobody else: the close of the response tells it to whoever needs to know.
      request.on('error', ignore)
      response.on('error', ignore)
      const name = doubled(request)
      const reason = name === undefined ? foreignReason(request, isOwn) : `there are two ${name} headers`
      if (reason !== undefined) {
        const status = name === undefined ? 403 : 400
        refused?.(reason, request, status)
        return refuse(request, response, status, `${name === undefined ? 'forbidden' : 'bad request'}: ${reason}`)
      }
      try {
        handle(request, response)
      } catch {
        if (response.headersSent) response.destroy()
        else refuse(request, response, 500, 'internal error')
      }
    },
  )
  server.maxConnections = 20_000
  return server
}

/** Listens and answers with the listener; faults `http.port_busy`, `http.cannot_listen`. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { name, host, port, ownHosts = [] } = options
  const server = createHttpServer({ ...options, ownHosts: [...ownHosts, host, ...(isLoopback(host) ? localHosts : [])] })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? fault.port_busy({ name, host, port }, error)
          : fault.cannot_listen({ name, host, port, reason: reasonOf(error) }, error),
      )
    })
    server.listen(port, host, resolve)
  })
  server.on('error', ignore) // a connection that could not be taken: the next one can
  const bound = (server.address() as AddressInfo).port
  return {
    host,
    port: bound,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    close: (graceMs = 2_000) => closeServer(server, options.clock, graceMs),
  }
}

/** Takes no more connections, lets running requests end for `graceMs`, then cuts what is left. */
export function closeServer(server: Server, clock: Clock, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(graceMs, () => server.closeAllConnections())
    server.close(() => {
      cancel()
      resolve()
    })
    server.closeIdleConnections()
  })
}
