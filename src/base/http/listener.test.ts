// What the HTTP doors refuse before anything else looks at a request, and what must not end the process.
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { isLoopback } from './host.ts'
import { type Listener, type ListenerOptions, openListener } from './listener.ts'

const open: Listener[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close(0)))
})

async function listen(options: Partial<ListenerOptions> = {}): Promise<Listener> {
  const handle: ListenerOptions['handle'] = (_request, response) => void response.end('taken')
  const listener = await openListener({ clock, name: 'a test', host: '127.0.0.1', port: 0, handle, ...options })
  open.push(listener)
  return listener
}

/** The whole answer to these exact bytes. */
async function said(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.end(text)
  const chunks = (await socket.toArray()) as Buffer[]
  return Buffer.concat(chunks).toString('latin1')
}

const get = (...headers: string[]): string => `GET / HTTP/1.1\r\nconnection: close\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`

test.each([
  ['Host', ['host: localhost', 'Host: evil.example']],
  ['Host, the same twice', ['host: localhost', 'host: localhost']],
  ['Authorization', ['host: localhost', 'authorization: Bearer a', 'AUTHORIZATION: Bearer b']],
])('two headers of a kind that must be one: %s', async (_what, headers) => {
  const { port } = await listen()
  expect(await said(port, get(...headers))).toMatch(/^HTTP\/1\.1 400 /)
  expect(await said(port, get('host: localhost', 'authorization: Bearer a', 'accept: a', 'accept: b'))).toMatch(/^HTTP\/1\.1 200 /)
})

test('a host in capitals is its own', async () => {
  const { port } = await listen({ host: 'LOCALHOST' })
  expect(await said(port, get('host: localhost'))).toMatch(/ 200 /)
  expect(await said(port, get('host: other.example'))).toMatch(/ 403 /)
})

test.each([
  ['127.0.0.1', true],
  ['127.255.3.4', true],
  ['::1', true],
  ['localhost', true],
  ['127.x.example', false],
  ['127.0.0.1.example', false],
  ['127.1', false],
  ['128.0.0.1', false],
  ['0.0.0.0', false],
])('%s is loopback: %s', (host, is) => {
  expect(isLoopback(host)).toBe(is)
})

test('a handler that throws, a request that is none and a client that resets cost nobody else anything', async () => {
  const { port } = await listen({
    handle(request, response) {
      if (request.url === '/bad') throw new Error('a defect')
      response.end('taken')
    },
  })
  expect(await said(port, get('host: localhost').replace('/ ', '/bad '))).toMatch(/^HTTP\/1\.1 500 /)
  expect(await said(port, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nhalf')
  socket.resetAndDestroy()
  expect(await said(port, get('host: localhost'))).toMatch(/ 200 /)
})
