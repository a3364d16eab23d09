// Names of definitions as the agent routes them: taken over when a definition changes, with certificates of the node's own authority, and nothing that is open is cut.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { type TLSSocket, connect } from 'node:tls'
import { expect, test } from 'vitest'
import { later } from '../kit/cleanup.ts'
import { Bed } from './bed.ts'

const ok = { exitCode: 0 }

test('a route appears with its definition, changes with it, and goes with its service', { timeout: 60_000 }, async () => {
  const bed = new Bed()
  const agent = await bed.agent('rift', '[routes]\nlisten = "127.0.0.1:0"\n')
  const { routesPort } = agent.told as unknown as { routesPort: number }
  expect(await bed.mcp(['node', 'add', 'rift', `unix:${agent.socket}`])).toMatchObject(ok)
  const component = (said: string): Promise<number> => {
    const server = createServer((incoming, response) => response.end(`${said} for ${String(incoming.headers['x-forwarded-for'])}`))
    later(() => {
      server.closeAllConnections()
      server.close()
    })
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
  }
  const [first, second] = await Promise.all([component('first'), component('second')])
  const authority = (): string => readFileSync(join(agent.folder, 'certs/ca.pem'), 'utf8')
  const open = (name: string): TLSSocket => {
    const socket = connect({ host: '127.0.0.1', port: routesPort, servername: name, ca: authority() }) // believed by the authority, for that name
    later(() => socket.destroy())
    return socket.on('error', () => {})
  }
  const say = async (socket: TLSSocket, name: string): Promise<string> => {
    let text = ''
    socket.on('data', (part) => (text += part))
    socket.write(`GET / HTTP/1.1\r\nhost: ${name}\r\n\r\n`)
    await new Promise<void>((resolve) => {
      const look = (): void => void (/for 127.0.0.1/.test(text) && resolve())
      socket.on('data', look).once('close', () => resolve())
    })
    socket.removeAllListeners('data')
    return text
  }
  const route = (port: number, hostname = 'web.rift.example'): string =>
    `network = "host"\n[[components.routes]]\nport = ${port}\nmode = "l7"\nhostname = "${hostname}"\n`

  bed.define('web', 'rift', 'r/web:v1', route(first, 'Web.Rift.example'))
  expect(await bed.mcp(['deploy', 'web'])).toMatchObject(ok)
  let kept!: TLSSocket
  await expect
    .poll(
      async () => {
        kept = open('web.rift.example')
        return say(kept, 'web.rift.example')
      },
      { timeout: 20_000 },
    )
    .toMatch(/^HTTP\/1.1 200 [^]*first for 127.0.0.1/)
  expect(kept.authorized).toBe(true)
  expect(await say(kept, 'web.rift.example')).toContain('first') // the connection goes on

  // An update that goes back leaves the name where it was.
  bed.define('web', 'rift', 'r/web:v2', `${route(second)}[components.health]\ntcp = "127.0.0.1:1"\nwithin = "700ms"\n`)
  expect(await bed.mcp(['deploy', 'web'])).toMatchObject({ exitCode: 1 })
  expect(await say(open('web.rift.example'), 'web.rift.example')).toContain('first')

  bed.define('web', 'rift', 'r/web:v1', route(second))
  expect(await bed.mcp(['sync'])).toMatchObject(ok)
  await expect.poll(() => say(open('web.rift.example'), 'web.rift.example')).toContain('second')
  expect(await say(kept, 'web.rift.example')).toContain('second')

  bed.define('other', 'rift', 'r/web:v1', route(first))
  expect(await bed.mcp(['sync'])).toMatchObject(ok)
  await expect
    .poll(async () => (await bed.mcp(['events', '--json'])).stdout)
    .toContain('web.rift.example: another route has that name already')

  expect(await say(open('web.rift.example'), 'web.rift.example')).toContain('second') // it stays with whoever has it
  for (const name of ['web', 'other']) await expect.poll(async () => (await bed.mcp(['stop', name])).exitCode, { timeout: 20_000 }).toBe(0) // not while it is made
  await expect.poll(() => say(open('web.rift.example'), 'web.rift.example')).toBe('')
  expect(kept.destroyed).toBe(false)

  const plain = connectTcp(routesPort, '127.0.0.1')
  plain.write('GET / HTTP/1.1\r\n\r\n')
  await once(plain, 'close')
  bed.define('bad', 'rift', 'r/web:v1', route(first, 'no_host'))
  expect(await bed.mcp(['service', 'check', 'bad'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('hostname: must be a host name'),
  })
})
