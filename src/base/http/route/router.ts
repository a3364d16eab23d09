// A listener for TLS that sends each connection to where the name leads that it asks for: its bytes as they are (l4), or read here as HTTP and passed on (l7).
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Clock } from '../../../kernel/clock.ts'
import { faults, reasonOf } from '../../../kernel/fault.ts'
import type { Log } from '../../../kernel/log.ts'
import { maxHelloBytes, readHello } from './client-hello.ts'
import { createRouteProxy } from './proxy.ts'
import { splice } from './splice.ts'

const fault = faults('routes', {
  cannot_listen: (d: { host: string; port: number; reason: string }) => ({
    kind: 'unavailable',
    message: `the routes cannot listen on ${d.host}:${d.port}: ${d.reason}`,
    hint:
      d.reason === 'EACCES'
        ? 'ports below 1024 take a right: AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or choose another one'
        : 'choose another port, or stop the program that holds it',
  }),
})

/** `port`: of this machine. */
export type Route = { readonly name: string; readonly port: number; readonly mode: 'l4' | 'l7' }

export interface Router extends AsyncDisposable {
  readonly port: number
  /** For connections from now on; those that are open go on. Names in lower case, each once. */
  setRoutes(routes: readonly Route[]): void
  /** For the l7 route of that name. PEM. */
  setCertificate(name: string, pem: { readonly chain: string; readonly key: string }): void
}

export type RouterSettings = {
  readonly host: string
  readonly port: number
  /** Connections at once: 4,096 by default, and 512 from one address. */
  readonly maxConnections?: number
  readonly maxPerAddress?: number
  /** How long a client may take to say what it wants; 10 s by default. */
  readonly helloMs?: number
}

type Needs = { readonly clock: Clock; readonly log: Log }

/** Fault `routes.cannot_listen`. */
export async function openRouter(needs: Needs, settings: RouterSettings): Promise<Router> {
  const { host, port, maxConnections = 4_096, maxPerAddress = 512, helloMs = 10_000 } = settings
  let routes: ReadonlyMap<string, Route> = new Map()
  const certificates = new Map<string, SecureContext>()
  const proxy = await createRouteProxy(needs, {
    port: (name) => (routes.get(name)?.mode === 'l7' ? routes.get(name)!.port : undefined),
    certificate: (name) => certificates.get(name),
  })
  const open = new Set<Socket>()
  const perAddress = new Map<string, number>()
  const count = (address: string, more: number): void => {
    const next = (perAddress.get(address) ?? 0) + more
    if (next > 0) perAddress.set(address, next)
    else perAddress.delete(address)
  }
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000, allowHalfOpen: true }, (socket) => {
    const address = socket.remoteAddress ?? ''
    if ((perAddress.get(address) ?? 0) >= maxPerAddress) return void socket.destroy()
    open.add(socket)
    count(address, 1)
    socket.on('error', ignore).once('close', () => {
      open.delete(socket)
      count(address, -1)
    })
    void asked(needs.clock, socket, helloMs).then((hello) => {
      const route = hello && routes.get(hello.name)
      if (!hello || !route || (route.mode === 'l7' && !certificates.has(route.name))) {
        needs.log.debug('routes.nowhere', { name: hello?.name, address })
        return void socket.destroy()
      }
      socket.unshift(hello.bytes)
      if (route.mode === 'l7') proxy.take(socket)
      else passOn(socket, route.port)
    })
  })
  server.maxConnections = maxConnections
  await listening(server, host, port)
  return {
    port: (server.address() as AddressInfo).port,
    setRoutes(next) {
      routes = new Map(next.map((route) => [route.name, route]))
      for (const name of certificates.keys()) if (!routes.has(name)) certificates.delete(name)
    },
    setCertificate(name, { chain, key }) {
      certificates.set(name, createSecureContext({ cert: chain, key, minVersion: 'TLSv1.2' }))
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
      proxy.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

function ignore(): void {}

async function listening(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(fault.cannot_listen({ host, port, reason: reasonOf(error) }, error)))
    server.listen(port, host, resolve)
  })
  server.on('error', ignore) // a connection that could not be taken: the next one can
}

/** What the client asks for, with all that it sent; undefined when that is no name, or does not come in time. Nothing more is read then. */
function asked(clock: Clock, socket: Socket, helloMs: number): Promise<{ readonly name: string; readonly bytes: Buffer } | undefined> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0)
    const done = (name: string | undefined): void => {
      cancel()
      socket.off('readable', look).off('end', gone).off('close', gone)
      resolve(name === undefined ? undefined : { name, bytes })
    }
    const gone = (): void => done(undefined)
    const look = (): void => {
      for (let part = socket.read() as Buffer | null; part; part = socket.read() as Buffer | null) {
        bytes = Buffer.concat([bytes, part])
        const hello = readHello(bytes)
        if (hello.is !== 'part') return done(hello.is === 'hello' ? hello.name : undefined)
        if (bytes.length > maxHelloBytes + maxRecordHeads) return done(undefined)
      }
    }
    const cancel = clock.after(helloMs, gone)
    socket.on('readable', look).once('end', gone).once('close', gone)
  })
}

const maxRecordHeads = 4 << 10

function passOn(socket: Socket, port: number): void {
  const onward = connect({ host: '127.0.0.1', port, noDelay: true, keepAlive: true, allowHalfOpen: true })
  splice(socket, onward)
}
