// What many requests hold together is bounded, and given back when each is over.
import { type IncomingMessage, createServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { Bodies } from './body.ts'

const size = 100_000

test('bodies that are not over count together; one too many is refused, and when one is over there is room again', async () => {
  const bodies = new Bodies(2.5 * size)
  const open: (() => void)[] = []
  const server = createServer((request: IncomingMessage, response) => {
    void bodies.read(request, 2 * size).then(
      (body) => {
        if (typeof body === 'string') return void response.writeHead(503, { connection: 'close' }).end(body)
        open.push(() => {
          body.release()
          response.end('done')
        })
        server.emit('read')
      },
      () => server.emit('gone'),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const post = (bytes: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const posted = send({ port, method: 'POST', agent: false }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => (text += part))
        response.on('end', () => resolve(text))
      })
      posted.on('error', reject)
      posted.end(Buffer.alloc(bytes))
    })
  const read = (): Promise<void> => new Promise((resolve) => server.once('read', resolve))
  try {
    let isRead = read()
    const first = post(size)
    await isRead
    isRead = read()
    const second = post(size)
    await isRead
    expect(await post(size)).toBe('noRoom')
    open.shift()!()
    expect(await first).toBe('done')
    isRead = read()
    const third = post(size)
    await isRead
    for (const end of open.splice(0)) end()
    expect([await second, await third]).toEqual(['done', 'done'])

    // one that goes away half-way gives back what it held
    const gone = new Promise((resolve) => server.once('gone', resolve))
    const broken = send({ port, method: 'POST', agent: false, headers: { 'content-length': String(2 * size) } })
    broken.on('error', () => {})
    broken.write(Buffer.alloc(size), () => broken.destroy())
    await gone
    isRead = read()
    const again = [post(size), post(size)]
    await isRead
    if (open.length < 2) await read()
    for (const end of open.splice(0)) end()
    expect(await Promise.all(again)).toEqual(['done', 'done'])
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
