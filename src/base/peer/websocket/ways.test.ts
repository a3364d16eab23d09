// WebSockets among the ways to a peer: tried after TCP itself and before a relay, listened for beside TCP, as bounded as that; the key decides here, too.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { createIdentity } from '../../identity/identity.ts'
import { isRelayed, kindOf, reachability, webTarget } from '../address.ts'
import { type OwnHost, type PeerHostNeeds, type PeerStream, createPeerHost } from '../host/host.ts'
import { openSharedHost } from '../host/shared-host.ts'

const tcp = '/ip4/127.0.0.1/tcp/0'
const web = `${tcp}/ws`
const protocol = '/fairlead/test/1'
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

async function host(listen: readonly string[] = [], needs: Partial<PeerHostNeeds> = {}): Promise<OwnHost> {
  const made = await createPeerHost({ identity: createIdentity(), log: silentLog, clock, ...needs }, { listen })
  open.push(made)
  return made
}

const echo = (stream: PeerStream): void => void stream.duplex.pipe(stream.duplex)

async function ask(stream: PeerStream, question = 'hello'): Promise<string> {
  stream.duplex.end(question)
  return text(stream.duplex)
}

const portOf = (address: string): number => Number(/\/tcp\/(\d+)/.exec(address)![1])
const ofKind = ({ addresses }: OwnHost, kind: string): string => addresses().find((address) => kindOf(address) === kind)!

/** A way of its own to an address, which counts who comes, and may swallow everything. */
async function gateTo(address: string): Promise<{ address: string; came: number; isSilent: boolean }> {
  const gate = { address: '', came: 0, isSilent: false }
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    gate.came++
    sockets.add(near)
    near.on('error', () => {})
    if (gate.isSilent) return
    const far = connect(portOf(address), '127.0.0.1')
    sockets.add(far)
    far.on('error', () => {})
    near.pipe(far).pipe(near)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({ close: () => (server.close(), sockets.forEach((socket) => socket.destroy())) })
  gate.address = address.replace(/\/tcp\/\d+/, `/tcp/${(server.address() as AddressInfo).port}`)
  return gate
}

test('what an address says: its kind, and where its WebSocket is', () => {
  expect(webTarget('/dns4/a.example/tcp/443/wss/p2p/x')).toEqual({ host: 'a.example', port: 443, isTls: true })
  expect(webTarget('/dns/a.example/tcp/443/tls/ws')).toEqual({ host: 'a.example', port: 443, isTls: true })
  expect(webTarget('/ip6/::1/tcp/80/ws')).toEqual({ host: '::1', port: 80, isTls: false })
  for (const none of ['/ip4/1.2.3.4/tcp/80', '/ip4/1.2.3.4/tcp/80/ws/p2p/r/p2p-circuit/p2p/x', '/ip4/1.2.3.4/udp/80/ws'])
    expect(webTarget(none)).toBe(undefined)
  const [direct, socket, relayed] = [
    '/ip4/1.2.3.4/tcp/1',
    '/ip4/1.2.3.4/tcp/1/ws',
    '/ip4/1.2.3.4/tcp/1/ws/p2p/r/p2p-circuit/p2p/x',
  ] as const
  const all = [relayed, socket, direct]
  expect([reachability(all, [direct, socket]), reachability(all, [socket]), reachability(all, []), reachability([relayed], [])]).toEqual([
    'direct (proved) or websocket (proved) or relayed',
    'websocket (proved) or relayed',
    'relayed',
    'relayed',
  ])
  expect([reachability([socket, direct], []), reachability([socket], []), reachability([], [direct])]).toEqual([
    'direct (not proved) or websocket (not proved)',
    'websocket (not proved)',
    'none',
  ])
})

test('TCP itself first, then a WebSocket, then a relay, however they are listed; a way that is silent does not stop the next', async () => {
  const relay = await host([tcp])
  await relay.relay({ mayReserve: () => true })
  const box = await host([tcp, web])
  box.handle(protocol, echo)
  box.keepPlace(relay.peerId, relay.addresses()[0]!)
  await expect.poll(() => box.addresses().some(isRelayed), { timeout: 15_000 }).toBe(true)
  const [byTcp, byWeb] = await Promise.all([gateTo(ofKind(box, 'direct')), gateTo(ofKind(box, 'websocket'))])
  const byRelay = await gateTo(ofKind(box, 'relayed'))
  const dial = async (): Promise<[number, number, number]> => {
    for (const gate of [byTcp, byWeb, byRelay]) gate.came = 0
    const client = await host()
    expect(await ask(await client.dial(box.peerId, [byRelay.address, byWeb.address, byTcp.address], protocol))).toBe('hello')
    return [byTcp.came, byWeb.came, byRelay.came]
  }
  expect(await dial()).toEqual([1, 0, 0])
  byTcp.isSilent = true
  const [, came] = await dial()
  expect(came).toBe(1)
  byWeb.isSilent = true
  expect(await dial()).toEqual([1, 1, 1])
})

test('the key decides: whoever else answers at a WebSocket is refused, and whom the host denies is, too', async () => {
  const box = await host([web], { mayConnect: (id) => id !== stranger.peerId })
  box.handle(protocol, echo)
  const stranger = await host()
  const { peerId } = createIdentity()
  const address = box.addresses()[0]!.replace(/\/p2p\/.*/, '')
  await expect(stranger.dial(peerId, [address], protocol)).rejects.toMatchObject({ code: 'peer.wrong_identity' })
  await expect(stranger.dial(box.peerId, [address], protocol)).rejects.toMatchObject({ code: 'peer.refused' })
  const friend = await host()
  const stream = await friend.dial(undefined, [address], protocol)
  expect(stream.remotePeer).toBe(box.peerId)
  expect(await ask(stream)).toBe('hello')
})

test('a WebSocket on which no handshake follows is ended in time', { timeout: 20_000 }, async () => {
  const box = await host([web])
  const socket = connect(portOf(box.addresses()[0]!), '127.0.0.1')
  open.push({ close: () => socket.destroy() })
  const key = Buffer.alloc(16).toString('base64')
  socket.write(
    `GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`,
  )
  const start = performance.now()
  socket.resume()
  await once(socket, 'close')
  expect(performance.now() - start).toBeLessThan(8_000)
})

test('a place to listen at that cannot be is a fault, and leaves nothing behind', async () => {
  await expect(host(['/ip4/127.0.0.1/tcp/0/wss'])).rejects.toMatchObject({
    code: 'peer.bad_address',
    message: expect.stringContaining('TLS is for a web server'),
  })
  await expect(host(['/dns4/localhost/tcp/0/ws'])).rejects.toMatchObject({ code: 'peer.bad_address' })
  const box = await host([web])
  const taken = box.addresses()[0]!.replace(/\/p2p\/.*/, '')
  const before = await host([tcp])
  const free = before.addresses()[0]!.replace(/\/p2p\/.*/, '')
  await before.close()
  await expect(host([free, taken])).rejects.toMatchObject({ code: 'peer.cannot_listen', message: expect.stringContaining('EADDRINUSE') })
  await host([free])
})

test('wildcards are told as this machine’s addresses, each with /ws; an announced one comes first', async () => {
  const announce = ['/dns4/a.example/tcp/443/wss']
  const made = await createPeerHost({ identity: createIdentity(), log: silentLog, clock }, { listen: ['/ip4/0.0.0.0/tcp/0/ws'], announce })
  open.push(made)
  expect(made.addresses()[0]).toBe(`${announce[0]}/p2p/${made.peerId}`)
  expect(made.addresses().at(-1)).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/[1-9]\d*\/ws\/p2p\//)
  expect(made.addresses().join()).not.toContain('0.0.0.0')
})

test('who takes a host’s place listens at the same port for WebSockets, and another process dials them through it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-web-'))
  open.push({ close: () => rmSync(folder, { recursive: true, force: true }) })
  const identity = createIdentity()
  const shared = async (listen: readonly string[]) => {
    const made = await openSharedHost(
      { identity: async () => identity, peerId: identity.peerId, clock, log: silentLog },
      { folder, listen },
    )
    open.push(made)
    return made
  }
  const first = await shared([tcp, web])
  const second = await shared([tcp, web])
  second.handle(protocol, echo)
  const before = first.addresses()
  const other = await host([web])
  other.handle(protocol, echo)
  expect(await ask(await second.dial(other.peerId, other.addresses(), protocol))).toBe('hello')
  await first.close()
  await expect.poll(() => second.role, { timeout: 10_000 }).toBe('host')
  expect(second.addresses()).toEqual(before)
  const client = await host()
  expect(
    await ask(
      await client.dial(
        identity.peerId,
        before.filter((address) => kindOf(address) === 'websocket'),
        protocol,
      ),
    ),
  ).toBe('hello')
})
