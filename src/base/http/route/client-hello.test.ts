// The name that a TLS client asks for, out of what real clients send, however it is cut.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, type Socket, createServer } from 'node:net'
import { connect } from 'node:tls'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { later } from '../../../../test/kit/cleanup.ts'
import { readHello } from './client-hello.ts'

/** The first bytes that a client sends. */
async function helloOf(start: (port: number) => void): Promise<Buffer> {
  const server = createServer()
  later(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const taken = once(server, 'connection') as Promise<[Socket]>
  start((server.address() as AddressInfo).port)
  const [socket] = await taken
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return bytes
}
const nodeHello = (servername: string | undefined): Promise<Buffer> =>
  helloOf((port) => void connect({ port, host: '127.0.0.1', ...(servername === undefined ? {} : { servername }) }).on('error', () => {}))

/** The same handshake message in records of these lengths. */
function inRecords(hello: Buffer, sizes: readonly number[]): Buffer {
  const message = hello.subarray(5)
  const parts: Buffer[] = []
  let at = 0
  for (const size of [...sizes, message.length]) {
    const part = message.subarray(at, at + size)
    if (part.length === 0) break
    parts.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part)
    at += part.length
  }
  return Buffer.concat(parts)
}

test('of Node and of openssl, in any case, and none', async () => {
  expect(readHello(await nodeHello('Web.Example.org'))).toEqual({ is: 'hello', name: 'web.example.org' })
  expect(readHello(await nodeHello(undefined))).toEqual({ is: 'hello', name: undefined })
  const openssl = await helloOf((port) => {
    const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'mail.example.org'], { stdio: 'ignore' })
    later(() => child.kill())
  })
  expect(readHello(openssl)).toEqual({ is: 'hello', name: 'mail.example.org' })
})

test('cut anywhere it is a part, in any records it is the same, and what is no hello is told at once', async () => {
  const hello = await nodeHello('web.example.org')
  for (let end = 0; end < hello.length; end++) expect(readHello(hello.subarray(0, end))).toEqual({ is: 'part' })
  expect(readHello(Buffer.concat([hello, Buffer.from('more')]))).toEqual({ is: 'hello', name: 'web.example.org' })
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 20 }), (sizes) => {
      expect(readHello(inRecords(hello, sizes))).toEqual({ is: 'hello', name: 'web.example.org' })
    }),
  )
  for (const text of ['GET / HTTP/1.1\r\n', '\x16\x02', '\x16\x03\x01\x00\x00', '\x16\x03\x01\x00\x04\x02\x00\x00\x00'])
    expect(readHello(Buffer.from(text, 'latin1'))).toMatchObject({ is: 'other' })
})

test('names that are none, two names, and endless ones are refused', async () => {
  const hello = await nodeHello('web.example.org')
  const at = hello.indexOf('web.example.org')
  const named = (name: string): Buffer => {
    const changed = Buffer.from(hello)
    changed.write(name, at, 'latin1')
    return changed
  }
  for (const name of ['web.example..rg', 'web/example.org', 'web.exam\0le.org', '.eb.example.org'])
    expect(readHello(named(name)), name).toEqual({ is: 'other', problem: 'the name of a server that is none' })
  const length = Buffer.from(hello)
  length.writeUIntBE(1 << 20, 6, 3)
  expect(readHello(length)).toEqual({ is: 'other', problem: 'too long' })
  expect(
    readHello(
      inRecords(
        hello,
        Array.from({ length: hello.length }, () => 1),
      ).subarray(0, 60),
    ),
  ).toEqual({ is: 'part' })
})
