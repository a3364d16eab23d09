// WebSockets over real sockets, against Node's own client, raw bytes, and servers and proxies that misbehave.
import { once } from 'node:events'
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import { createServer as createHttpServer } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { proxiesOf } from '../proxy.ts'
import { openWebSocket } from './dial.ts'
import { frameHead, mask, opcodes } from './frame.ts'
import { type Far, listenForWebSockets } from './listen.ts'
import { acceptOf } from './negotiation.ts'
import type { WebSocketStream } from './stream.ts'

const host = '127.0.0.1'
const soon = (): AbortSignal => AbortSignal.timeout(10_000)
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

async function listen(accept: (stream: WebSocketStream, from: Far) => void): Promise<number> {
  const listener = await listenForWebSockets({ host, port: 0 }, (stream, from) => {
    stream.on('error', () => {})
    accept(stream, from)
  })
  open.push(listener)
  return listener.port
}

const echo = (stream: WebSocketStream): void => void stream.pipe(stream)

async function dial(port: number): Promise<WebSocketStream> {
  const stream = await openWebSocket({ host, port, isTls: false }, undefined, soon())
  stream.on('error', () => {})
  open.push({ close: () => stream.destroy() })
  return stream
}

function raw(port: number): Socket {
  const socket = connect(port, host)
  socket.on('error', () => {})
  open.push({ close: () => socket.destroy() })
  return socket
}

const key = Buffer.alloc(16, 7).toString('base64')
const question = (...headers: string[]): string => `GET / HTTP/1.1\r\nhost: x\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`
const usual = ['connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13', `sec-websocket-key: ${key}`]

/** The first line of what comes back. */
async function firstLine(socket: Socket): Promise<string> {
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  return bytes.toString().split('\r\n')[0]!
}

test('Node’s own client, which offers compression, is understood and gets none', async () => {
  const port = await listen(echo)
  const socket = new WebSocket(`ws://${host}:${port}/any/path`)
  socket.binaryType = 'arraybuffer'
  await once(socket, 'open')
  expect([socket.extensions, socket.protocol]).toEqual(['', ''])
  socket.send(Buffer.alloc(100_000, 5))
  let heard = 0
  while (heard < 100_000) heard += ((await once(socket, 'message')) as [MessageEvent<ArrayBuffer>])[0].data.byteLength
  const closed = once(socket, 'close') as Promise<[CloseEvent]>
  socket.close(1000)
  expect((await closed)[0]).toMatchObject({ code: 1000, wasClean: true })
})

test('text is refused by the code that says so', async () => {
  const port = await listen(echo)
  const socket = new WebSocket(`ws://${host}:${port}/`)
  await once(socket, 'open')
  const closed = once(socket, 'close') as Promise<[CloseEvent]>
  socket.send('text')
  expect((await closed)[0].code).toBe(1003)
})

describe('who asks wrongly', () => {
  test.each([
    ['a page in a browser', [...usual, 'origin: https://evil.example'], 403],
    ['a page that hides where it is from', [...usual, 'origin: null'], 403],
    ['an older WebSocket', usual.map((line) => line.replace('13', '8')), 426],
    ['without a key', usual.slice(0, 3), 400],
    ['with a short key', [...usual.slice(0, 3), 'sec-websocket-key: abcd'], 400],
    ['another protocol', usual.map((line) => line.replace('upgrade: websocket', 'upgrade: h2c')), 426],
    ['plain HTTP', [], 426],
  ])('%s', async (_what, headers, status) => {
    let accepted = 0
    const port = await listen(() => accepted++)
    const socket = raw(port)
    socket.write(question(...headers))
    expect(await firstLine(socket)).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    await once(socket, 'close')
    expect(accepted).toBe(0)
  })

  test(
    'a head that never ends is given up, and one that is too long at once; others are served meanwhile',
    { timeout: 20_000 },
    async () => {
      const port = await listen(echo)
      const silent = raw(port)
      const endless = raw(port)
      endless.write('GET / HTTP/1.1\r\nhost: x\r\n')
      const drip = setInterval(() => endless.write('a: b\r\n'), 100)
      open.push({ close: () => clearInterval(drip) })
      const long = raw(port)
      long.write(question(`x: ${'x'.repeat(20_000)}`))
      await once(long, 'close')
      const stream = await dial(port)
      stream.write('still there')
      expect(String((await once(stream, 'data'))[0])).toBe('still there')
      await Promise.all([once(silent, 'close'), once(endless, 'close')])
    },
  )

  test('one address has no more than 128 connections that ask for nothing', async () => {
    const port = await listen(echo)
    const sockets = Array.from({ length: 140 }, () => raw(port))
    let closed = 0
    for (const socket of sockets) socket.on('close', () => closed++)
    await expect.poll(() => closed, { timeout: 4_000 }).toBe(12)
  })
})

test('who it is: what a web server on this machine says last, if that is an address', async () => {
  const seen: string[] = []
  const port = await listen((_stream, from) => seen.push(from.host))
  for (const told of [
    [],
    ['x-forwarded-for: 203.0.113.9'],
    ['x-forwarded-for: 1.2.3.4, 2001:db8::7'],
    ['x-forwarded-for: nobody'],
    ['x-forwarded-for: a', 'x-forwarded-for: ::ffff:198.51.100.7'],
  ]) {
    const socket = raw(port)
    socket.write(question(...usual, ...told))
    expect(await firstLine(socket)).toContain('101')
  }
  expect(seen).toEqual([host, '203.0.113.9', '2001:db8::7', host, '198.51.100.7'])
})

describe('the stream', () => {
  async function pair(): Promise<[WebSocketStream, WebSocketStream]> {
    const { promise, resolve } = Promise.withResolvers<WebSocketStream>()
    const port = await listen(resolve)
    return [await dial(port), await promise]
  }

  test.each([
    ['the client', 0],
    ['the server', 1],
  ])(
    '%s writes no more than its buffers and the system’s while the other side does not read, then all of it arrives',
    async (_who, writer) => {
      const both = await pair()
      const [from, to] = writer === 0 ? both : [both[1], both[0]]
      const chunk = Buffer.from(Array.from({ length: 64 << 10 }, (_, i) => i & 255))
      const totalBytes = 64 << 20
      let written = 0
      const writing = (async () => {
        while (written < totalBytes) {
          written += chunk.length
          if (!from.write(chunk)) await once(from, 'drain')
        }
        from.end()
      })()
      let last = -1
      let looks = 0
      await expect.poll(() => ((looks = written === last ? looks + 1 : 0), (last = written), looks), { interval: 10 }).toBeGreaterThan(20)
      expect(written).toBeLessThan(24 << 20)
      let read = 0
      let isSame = true
      to.on('data', (piece: Buffer) => {
        isSame &&= piece[0] === (read & 255) && piece.at(-1) === ((read + piece.length - 1) & 255)
        read += piece.length
      })
      await Promise.all([writing, once(to, 'end')])
      expect([read, isSame]).toEqual([totalBytes, true])
    },
  )

  test('an end is told, with what was written before it; a broken one is the end, too', async () => {
    const [ours, theirs] = await pair()
    ours.end('last words')
    const pieces = (await theirs.toArray()) as Buffer[]
    expect(Buffer.concat(pieces).toString()).toBe('last words')
    const [one, other] = await pair()
    other.resume()
    one.destroy()
    await once(other, 'close')
  })

  test('pings are answered, but not without end to one that reads nothing', { timeout: 20_000 }, async () => {
    const port = await listen(echo)
    const socket = raw(port)
    socket.write(question(...usual))
    await firstLine(socket)
    socket.pause()
    const payload = Buffer.alloc(125, 1)
    const maskKey = Uint8Array.of(1, 2, 3, 4)
    mask(payload, maskKey, 0)
    const ping = Buffer.concat([frameHead(opcodes.ping, 125, maskKey), payload])
    const sent = 300_000
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => ping))
    for (let n = 0; n < sent; n += 1_000) if (!socket.write(many)) await once(socket, 'drain')
    let heardBytes = 0
    let last = -1
    let looks = 0
    socket.on('data', (bytes: Buffer) => (heardBytes += bytes.length)).resume()
    await expect
      .poll(() => ((looks = heardBytes === last ? looks + 1 : 0), (last = heardBytes), looks), { interval: 10 })
      .toBeGreaterThan(20)
    expect(heardBytes).toBeGreaterThan(127)
    expect(heardBytes).toBeLessThan((sent * 127) / 2)
    socket.write(ping)
    await expect.poll(() => heardBytes).toBe(last + 127)
  })
})

/** A server that does with each connection what the test wants. */
async function rude(act: (socket: Socket) => void): Promise<{ port: number; closed: () => number }> {
  let closed = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => closed++)
    act(socket)
    socket.resume()
  }).listen(0, host)
  await once(server, 'listening')
  open.push({ close: () => (server.close(), sockets.forEach((socket) => socket.destroy())) })
  return { port: (server.address() as AddressInfo).port, closed: () => closed }
}

const says = (text: string | ((head: string) => string)) => (socket: Socket) =>
  socket.once('data', (head: Buffer) => socket.write(typeof text === 'string' ? text : text(head.toString())))

describe('whom we ask', () => {
  const switching = (head: string): string =>
    `HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${acceptOf(/sec-websocket-key: (\S+)/i.exec(head)![1]!)}\r\n`

  test.each<[string, (socket: Socket) => unknown, RegExp]>([
    ['a web server without one', says('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'), /the web server answered 404/],
    ['one that redirects', says('HTTP/1.1 302 x\r\nlocation: ws://evil.example/\r\ncontent-length: 0\r\n\r\n'), /answered 302/],
    [
      'one that repeats an answer',
      says((head) => `${switching(head).replace(/accept: .*/, 'accept: c3RhbGU=')}\r\n\r\n`),
      /does not answer as a WebSocket should/,
    ],
    [
      'one that compresses',
      says((head) => `${switching(head)}sec-websocket-extensions: permessage-deflate\r\n\r\n`),
      /does not answer as a WebSocket should/,
    ],
    ['one that speaks something else', says('SSH-2.0-OpenSSH_9.2\r\n'), /HPE_/],
    ['one that hangs up', (socket) => socket.end(), /ECONNRESET/],
  ])('%s', async (_what, act, problem) => {
    const { port, closed } = await rude(act)
    await expect(openWebSocket({ host, port, isTls: false }, undefined, soon())).rejects.toThrow(problem)
    await expect.poll(closed).toBe(1)
  })

  test('one that says nothing, or something without end, is given up when the time is over, and the socket with it', async () => {
    const informing = says('HTTP/1.1 100 Continue\r\n\r\n'.repeat(100))
    for (const act of [() => {}, informing]) {
      const { port, closed } = await rude(act)
      for (const isTls of [false, true]) {
        const early = AbortSignal.timeout(300)
        await expect(openWebSocket({ host, port, isTls }, undefined, early)).rejects.toThrow(/timeout|does not speak TLS/)
      }
      await expect.poll(closed).toBe(2)
    }
  })

  test('the signal means nothing to a WebSocket that is open', async () => {
    const port = await listen(echo)
    const attempt = new AbortController()
    const stream = await openWebSocket({ host, port, isTls: false }, undefined, attempt.signal)
    open.push({ close: () => stream.destroy() })
    attempt.abort()
    stream.write('alive')
    expect(String((await once(stream, 'data'))[0])).toBe('alive')
  })
})

describe('through a proxy', () => {
  const target = (port: number) => ({ host: 'only-the-proxy.knows', port, isTls: false })
  const proxyAt = (port: number, who = '') =>
    proxiesOf({ HTTP_PROXY: `http://${who}${host}:${port}` })({ host: 'x.example', port: 80, isTls: false })

  test('CONNECT says name, port and password; the proxy finds out what the name means', async () => {
    const port = await listen(echo)
    const asked: unknown[] = []
    const proxy = createHttpServer().listen(0, host)
    open.push({ close: () => (proxy.closeAllConnections(), proxy.close()) })
    proxy.on('connect', (request, socket) => {
      asked.push([request.url, request.headers['proxy-authorization'], request.headers.host])
      const far = connect(port, host, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
      far.pipe(socket).pipe(far)
      for (const each of [far, socket]) each.on('error', () => {})
      open.push({ close: () => far.destroy() })
    })
    await once(proxy, 'listening')
    const stream = await openWebSocket(target(port), proxyAt((proxy.address() as AddressInfo).port, 'me:pw@'), soon())
    open.push({ close: () => stream.destroy() })
    stream.write('through')
    expect(String((await once(stream, 'data'))[0])).toBe('through')
    const name = `only-the-proxy.knows:${port}`
    expect(asked).toEqual([[name, `Basic ${btoa('me:pw')}`, name]])
  })

  test.each<[string, (socket: Socket) => unknown, RegExp]>([
    ['forbids', says('HTTP/1.1 403 Filtered\r\n\r\n'), /does not let us to only-the-proxy.knows:80: it answered 403/],
    ['wants a password', says('HTTP/1.1 407 x\r\n\r\n'), /asks for a name and password: HTTP_PROXY=http:\/\/NAME:PASSWORD@127/],
    ['hangs up', (socket) => socket.end(), /the proxy 127.0.0.1:\d+ \(HTTP_PROXY\) cannot be used: ECONNRESET/],
  ])('a proxy that %s', async (_what, act, problem) => {
    const { port, closed } = await rude(act)
    const refused = openWebSocket(target(80), proxyAt(port, 'me:hush@'), soon())
    await expect(refused).rejects.toThrow(problem)
    await expect(refused).rejects.not.toThrow(/hush|bWU6/)
    await expect.poll(closed).toBe(1)
  })

  test('one that is not there, and one that says nothing', async () => {
    await expect(openWebSocket(target(80), proxyAt(1), soon())).rejects.toThrow(
      /the proxy 127.0.0.1:1 \(HTTP_PROXY\) cannot be used: ECONNREFUSED/,
    )
    const { port, closed } = await rude(() => {})
    await expect(openWebSocket(target(80), proxyAt(port), AbortSignal.timeout(200))).rejects.toThrow(/timeout/)
    await expect.poll(closed).toBe(1)
  })
})
