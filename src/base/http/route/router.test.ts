// Connections go where the name leads: bytes of TLS as they are, HTTP with who asked, WebSockets; nobody else gets anywhere, and what is open stays open.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type IncomingMessage, type Server, createServer as createHttp } from 'node:http'
import { request } from 'node:https'
import { type AddressInfo, type Socket, connect as connectTcp, createServer as createTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TLSSocket, connect as connectTls, createServer as createTls } from 'node:tls'
import { expect, test } from 'vitest'
import { makeAuthority, makeCertificate } from '../../../../test/kit/certificates.ts'
import { later } from '../../../../test/kit/cleanup.ts'
import { systemClock as clock } from '../../../kernel/clock.ts'
import { silentLog as log } from '../../../kernel/log.ts'
import { type Route, type RouterSettings, openRouter } from './router.ts'

async function routed(routes: readonly Route[], settings: Partial<RouterSettings> = {}) {
  const router = await openRouter({ clock, log }, { host: '127.0.0.1', port: 0, ...settings })
  later(() => router[Symbol.asyncDispose]())
  router.setRoutes(routes)
  return router
}

async function listening(server: {
  listen(port: number, host: string, done: () => void): unknown
  address(): unknown
  close(): unknown
}): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  later(() => {
    ;(server as Server).closeAllConnections?.()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const tls = (port: number, servername: string, more: object = {}): TLSSocket => {
  const socket = connectTls({ host: '127.0.0.1', port, servername, rejectUnauthorized: false, ...more })
  later(() => socket.destroy())
  return socket.on('error', () => {})
}

async function ended(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (part) => (text += part))
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
  return text
}

const folder = mkdtempSync(join(tmpdir(), 'router-'))
const authority = makeAuthority(folder)
const certificate = makeCertificate(authority, ['DNS:a.example', 'DNS:b.example'])
const other = makeCertificate(authority, ['DNS:c.example'])
rmSync(folder, { recursive: true })

test('l4: the component ends the TLS itself; a long answer comes whole, half-close included', async () => {
  const big = Buffer.alloc(5 << 20, 'x')
  const component = createTls({ cert: certificate.chain, key: certificate.key, allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    let asked = ''
    socket.on('data', (part) => (asked += part)).on('end', () => socket.end(Buffer.concat([Buffer.from(asked), big])))
  })
  const router = await routed([{ name: 'a.example', port: await listening(component), mode: 'l4' }])
  const socket = tls(router.port, 'A.example', { allowHalfOpen: true })
  await once(socket, 'secureConnect')
  expect(socket.getPeerX509Certificate()!.subjectAltName).toContain('a.example')
  socket.end('hello')
  const answer = await ended(socket)
  expect(answer.length).toBe(5 + big.length)
  expect(answer.startsWith('hellox')).toBe(true)
})

test('a name that leads nowhere, none, no TLS, silence, and a component that is away: closed', async () => {
  const router = await routed(
    [
      { name: 'a.example', port: 1, mode: 'l4' },
      { name: 'b.example', port: 1, mode: 'l7' },
    ],
    { helloMs: 300 },
  )
  for (const name of ['x.example', 'a.example', 'b.example', '']) expect(await ended(tls(router.port, name)), name).toBe('')
  const plain = connectTcp(router.port, '127.0.0.1')
  plain.write('GET / HTTP/1.1\r\nhost: a.example\r\n\r\n')
  expect(await ended(plain)).toBe('')
  const silent = connectTcp(router.port, '127.0.0.1')
  silent.write('\x16\x03\x01')
  expect(await ended(silent)).toBe('')
})

type Answer = { readonly status: number | undefined; readonly headers: IncomingMessage['headers']; readonly text: string }

function ask(
  port: number,
  name: string,
  options: { path?: string; method?: string; headers?: Record<string, string>; body?: Buffer } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, headers, ...rest } = options
    const sent = request(
      { host: '127.0.0.1', port, servername: name, rejectUnauthorized: false, agent: false, headers: { host: name, ...headers }, ...rest },
      (response) => {
        let text = ''
        response
          .on('data', (part) => (text += part))
          .on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }))
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

async function web() {
  const component = createHttp((incoming, response) => {
    let sizeBytes = 0
    incoming
      .on('data', (part: Buffer) => (sizeBytes += part.length))
      .on('end', () => {
        response.writeHead(201, { 'set-cookie': ['a=1', 'b=2'], 'x-own': 'yes', connection: 'close, x-own' })
        response.end(JSON.stringify({ url: incoming.url, method: incoming.method, sizeBytes, headers: incoming.headers }))
      })
  })
  component.on('upgrade', (incoming, socket: Socket, head: Buffer) => {
    socket.on('error', () => {})
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nx-for: ${String(incoming.headers['x-forwarded-for'])}\r\n\r\nfirst `,
    )
    if (head.length > 0) socket.write(head)
    socket.on('data', (part) => socket.write(part))
  })
  return listening(component)
}

test('l7: TLS ends here, the component learns who asked, and nobody can say so in its place', async () => {
  const router = await routed([{ name: 'a.example', port: await web(), mode: 'l7' }])
  router.setCertificate('a.example', certificate)
  const headers = {
    'x-forwarded-for': '6.6.6.6',
    forwarded: 'for=6.6.6.6',
    'x-real-ip': '6.6.6.6',
    connection: 'keep-alive, x-secret',
    'x-secret': 's',
    'x-mine': 'm',
  }
  const answer = await ask(router.port, 'a.example', { path: '/x?y=1', method: 'POST', body: Buffer.alloc(3 << 20), headers })
  expect(answer).toMatchObject({ status: 201, headers: { 'set-cookie': ['a=1', 'b=2'] } })
  expect(answer.headers).not.toHaveProperty('x-own')
  const seen = JSON.parse(answer.text) as { headers: Record<string, string> }
  expect(seen).toMatchObject({ url: '/x?y=1', method: 'POST', sizeBytes: 3 << 20 })
  expect(seen.headers).toMatchObject({
    host: 'a.example',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'a.example',
    'x-mine': 'm',
  })
  for (const name of ['forwarded', 'x-real-ip', 'x-secret']) expect(seen.headers).not.toHaveProperty(name)
  expect(await ask(router.port, 'a.example', { headers: { host: 'b.example' } })).toMatchObject({ status: 421 })
  const chunked = await ask(router.port, 'a.example', {
    method: 'GET',
    headers: { 'transfer-encoding': 'chunked' },
    body: Buffer.from('abc'),
  })
  expect(JSON.parse(chunked.text)).toMatchObject({ method: 'GET', sizeBytes: 3 })
  router.setRoutes([{ name: 'a.example', port: 1, mode: 'l7' }])
  expect(await ask(router.port, 'a.example')).toMatchObject({ status: 502 })
})

test('l7: a WebSocket passes, and stays open when routes and certificates change', async () => {
  const port = await web()
  const router = await routed([{ name: 'a.example', port, mode: 'l7' }])
  router.setCertificate('a.example', certificate)
  const socket = tls(router.port, 'a.example')
  let seen = ''
  socket.on('data', (part) => (seen += part))
  socket.write('GET /chat HTTP/1.1\r\nhost: a.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nearly ')
  await expect.poll(() => seen).toMatch(/^HTTP\/1.1 101 [^]*x-for: 127.0.0.1[^]*first early $/)
  router.setCertificate('a.example', other)
  router.setRoutes([{ name: 'b.example', port, mode: 'l4' }])
  socket.write('still here')
  await expect.poll(() => seen).toMatch(/still here$/)
  expect(await ended(tls(router.port, 'a.example'))).toBe('')
  router.setRoutes([{ name: 'a.example', port, mode: 'l7' }])
  router.setCertificate('a.example', other)
  const fresh = tls(router.port, 'a.example')
  await once(fresh, 'secureConnect')
  expect(fresh.getPeerX509Certificate()!.subjectAltName).toContain('c.example')
})

test('connections are bounded, in all and from one address; headers too', async () => {
  const component = createTcp((socket) => void socket.on('error', () => {}))
  const router = await routed([{ name: 'a.example', port: await listening(component), mode: 'l4' }], { maxPerAddress: 3 })
  const sockets = Array.from({ length: 5 }, () => connectTcp(router.port, '127.0.0.1').on('error', () => {}))
  later(() => sockets.forEach((socket) => socket.destroy()))
  await expect.poll(() => sockets.filter((socket) => socket.destroyed || socket.readableEnded).length).toBe(2)
  sockets.forEach((socket) => socket.destroy())
  const web7 = await routed([{ name: 'a.example', port: await web(), mode: 'l7' }])
  web7.setCertificate('a.example', certificate)
  await expect(ask(web7.port, 'a.example', { headers: { 'x-big': 'x'.repeat(64 << 10) } })).rejects.toThrow(/hang up|RESET/)
})
