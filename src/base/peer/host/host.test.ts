// Proves the host over real TCP on loopback: proved identities, clear faults, and no limit that an honest crowd would hit.
import { once } from 'node:events'
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { noProxy } from '../proxy.ts'
import { createIdentity } from '../../identity/identity.ts'
import { type PeerHost, type PeerHostNeeds, type PeerHostSettings, type PeerStream, announced, createPeerHost } from './host.ts'

const loopback = '/ip4/127.0.0.1/tcp/0'
const protocol = '/fairlead/test/1'
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

async function host(settings: PeerHostSettings = { listen: [] }, needs: Partial<PeerHostNeeds> = {}): Promise<PeerHost> {
  const made = await createPeerHost({ identity: createIdentity(), log: silentLog, clock: systemClock, ...needs }, settings)
  open.push(made)
  return made
}

const echo = (stream: PeerStream): void => void stream.duplex.pipe(stream.duplex)

async function ask(stream: PeerStream, question: string): Promise<string> {
  stream.duplex.end(question)
  return text(stream.duplex)
}

test('two hosts talk, each knowing the proved id of the other', async () => {
  const server = await host({ listen: [loopback] })
  const seen: string[] = []
  server.handle(protocol, (stream) => {
    seen.push(stream.remotePeer)
    echo(stream)
  })
  const client = await host()
  const stream = await client.dial(server.peerId, server.addresses(), protocol)
  expect(stream.remotePeer).toBe(server.peerId)
  expect(stream.protocol).toBe(protocol)
  expect(await ask(stream, 'hello')).toBe('hello')
  expect(seen).toEqual([client.peerId])
  expect(client.addresses()).toEqual([])
})

describe('faults of dial', () => {
  test('peer.unreachable says which addresses were tried', async () => {
    const client = await host()
    const { peerId } = createIdentity()
    const dead = '/ip4/127.0.0.1/tcp/1'
    await expect(client.dial(peerId, [dead], protocol)).rejects.toThrow(
      expect.objectContaining({ code: 'peer.unreachable', message: expect.stringContaining(`${dead}): ECONNREFUSED`) }),
    )
    await expect(client.dial(peerId, [], protocol)).rejects.toThrow(
      expect.objectContaining({ code: 'peer.unreachable', message: expect.stringContaining('none is known') }),
    )
    await expect(client.dial(peerId, ['nonsense'], protocol)).rejects.toThrow(
      expect.objectContaining({ code: 'peer.unreachable', message: expect.stringContaining('nonsense') }),
    )
    await expect(client.dial('nonsense', [dead], protocol)).rejects.toThrow(expect.objectContaining({ code: 'identity.bad_peer_id' }))
  })

  test('a dial that was given up does not stand in the way of the next one', async () => {
    const server = await host({ listen: [loopback] })
    server.handle(protocol, echo)
    let isSilent = true
    const gate = createServer((near) => {
      if (isSilent) return
      const far = connect(Number(/\/tcp\/(\d+)/.exec(server.addresses()[0]!)![1]), '127.0.0.1')
      near.pipe(far).pipe(near)
      for (const socket of [near, far]) socket.on('error', () => {})
    }).listen(0, '127.0.0.1')
    open.push({ close: () => gate.close() })
    await once(gate, 'listening')
    const address = `/ip4/127.0.0.1/tcp/${(gate.address() as AddressInfo).port}`
    const client = await host()
    const early = AbortSignal.timeout(300)
    await expect(client.dial(server.peerId, [address], protocol, early)).rejects.toMatchObject({ code: 'peer.unreachable' })
    isSilent = false
    expect(await ask(await client.dial(server.peerId, [address], protocol), 'anew')).toBe('anew')
  })

  test('peer.wrong_identity when somebody else answers at that address', async () => {
    const server = await host({ listen: [loopback] })
    const { peerId } = createIdentity()
    const address = server.addresses()[0]!.replace(/\/p2p\/.*/, '')
    await expect((await host()).dial(peerId, [address], protocol)).rejects.toThrow(
      expect.objectContaining({ code: 'peer.wrong_identity', message: expect.stringContaining(address) }),
    )
  })

  test('peer.refused by a host that may not connect us, and for a protocol that is not served', async () => {
    const client = await host()
    const closed = await host({ listen: [loopback] }, { mayConnect: (id) => id !== client.peerId })
    closed.handle(protocol, echo)
    await expect(client.dial(closed.peerId, closed.addresses(), protocol)).rejects.toThrow(
      expect.objectContaining({ code: 'peer.refused' }),
    )
    const other = await host()
    expect(await ask(await other.dial(closed.peerId, closed.addresses(), protocol), 'let in')).toBe('let in')
    await expect(other.dial(closed.peerId, closed.addresses(), '/fairlead/none/1')).rejects.toThrow(
      expect.objectContaining({ code: 'peer.refused', message: expect.stringContaining('/fairlead/none/1') }),
    )
  })

  test('a silent address costs 150 ms when another one answers, and a signal ends the wait', async () => {
    const silent: Server = createServer(() => {})
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    open.push(silent)
    const dead = `/ip4/127.0.0.1/tcp/${(silent.address() as AddressInfo).port}`
    const server = await host({ listen: [loopback] })
    server.handle(protocol, echo)
    const client = await host()
    const start = performance.now()
    const stream = await client.dial(server.peerId, [dead, ...server.addresses()], protocol)
    expect(performance.now() - start).toBeLessThan(3_000) // the silent one alone would take 6 s
    await stream.close()
    const { peerId } = createIdentity()
    await expect(client.dial(peerId, [dead], protocol, AbortSignal.timeout(50))).rejects.toThrow(
      expect.objectContaining({ code: 'peer.unreachable' }),
    )
  })
})

test('an address that refused is tried again while another one keeps silent: who comes back is found before that one is given up', async () => {
  const silent: Server = createServer(() => {})
  await once(silent.listen(0, '127.0.0.1'), 'listening')
  open.push(silent)
  const identity = createIdentity()
  const place = await host({ listen: [loopback] }, { identity })
  const address = place.addresses()[0]!.split('/p2p/')[0]!
  await place.close()
  const client = await host()
  const silentOne = `/ip4/127.0.0.1/tcp/${(silent.address() as AddressInfo).port}`
  const dialled = client.dial(identity.peerId, [address, silentOne], protocol, AbortSignal.timeout(5_000)) // the silent one alone would take 6 s
  await once(silent, 'connection')
  const back = await host({ listen: [address] }, { identity })
  back.handle(protocol, echo)
  expect(await ask(await dialled, 'back')).toBe('back')
})

test('what strangers speak is not kept once they are gone', async () => {
  const { createNetwork } = await import('../libp2p.ts')
  const gater = {}
  const made = await Promise.all(
    [[loopback], []].map((listen) =>
      createNetwork({ identity: createIdentity(), listen, announce: [], gater, clock: systemClock, proxyFor: noProxy }),
    ),
  )
  for (const { node } of made) open.push({ close: () => node.stop() })
  const [server, client] = made as [(typeof made)[0], (typeof made)[0]]
  await server.node.handle(protocol, () => {})
  const connection = await client.connect(
    server.address(`${String(server.listening()[0])}/p2p/${server.node.peerId.toString()}`),
    AbortSignal.timeout(5_000),
  )
  await connection.newStream(protocol)
  expect([await server.node.peerStore.all(), await client.node.peerStore.all()]).toEqual([[], []])
})

test('a connection that died is replaced by the next dial', async () => {
  const server = await host({ listen: [loopback] })
  server.handle(protocol, echo)
  const client = await host()
  const first = await client.dial(server.peerId, server.addresses(), protocol)
  first.abort('connection')
  expect(await ask(await client.dial(server.peerId, server.addresses(), protocol), 'again')).toBe('again')
})

test('bad listen addresses and a taken port are faults', async () => {
  await expect(host({ listen: ['127.0.0.1:80'] })).rejects.toThrow(expect.objectContaining({ code: 'peer.bad_address' }))
  const server = await host({ listen: [loopback] })
  const taken = server.addresses()[0]!.replace(/\/p2p\/.*/, '')
  await expect(host({ listen: [taken] })).rejects.toThrow(expect.objectContaining({ code: 'peer.cannot_listen' }))
})

test('pitfall 5: public listen addresses and announced ones are told, announced first and loopback last', async () => {
  const announce = ['/ip4/203.0.113.5/tcp/8766']
  const server = await host({ listen: [loopback], announce })
  expect(server.addresses()[0]).toBe(`${announce[0]}/p2p/${server.peerId}`)
  expect(server.addresses().at(-1)).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/[1-9]\d*\/p2p\/12D3/)
  const listening = ['/ip4/127.0.0.1/tcp/9', '/ip4/198.51.100.7/tcp/9', '/ip6/fe80::1/tcp/9']
  expect(announced(listening, [], 'ID')).toEqual(['/ip4/198.51.100.7/tcp/9/p2p/ID', '/ip4/127.0.0.1/tcp/9/p2p/ID'])
})

test('pitfall 6: 30 dials within a second from one IP address all get in', async () => {
  const server = await host({ listen: [loopback] })
  server.handle(protocol, echo)
  const clients = await Promise.all(Array.from({ length: 30 }, () => host()))
  const answers = await Promise.all(
    clients.map(async (client, i) => ask(await client.dial(server.peerId, server.addresses(), protocol), `${i}`)),
  )
  expect(answers).toEqual(clients.map((_, i) => `${i}`))
})

test('pitfall 7: 100 streams at once on one connection, and half-closed streams do not use up the limit', async () => {
  const server = await host({ listen: [loopback] })
  const held: PeerStream[] = []
  server.handle(protocol, (stream) => void held.push(stream))
  const client = await host()
  await client.dial(server.peerId, server.addresses(), protocol)
  const streams = await Promise.all(Array.from({ length: 100 }, () => client.dial(server.peerId, server.addresses(), protocol)))
  await expect.poll(() => held.length).toBe(101)
  for (const stream of held) echo(stream)
  expect(await Promise.all(streams.map((stream, i) => ask(stream, `${i}`)))).toEqual(streams.map((_, i) => `${i}`))
})

test('pitfall 7: 1,200 streams, each ended by one side only and then closed by the other, never fill the table', async () => {
  const server = await host({ listen: [loopback] })
  server.handle(protocol, (stream) => void stream.close()) // ends its side at once
  const client = await host()
  for (let i = 0; i < 24; i++) {
    // the first round is opened before the other side has finished the handshake: 50 streams, where libp2p would reset at more than 10
    const streams = await Promise.all(Array.from({ length: 50 }, () => client.dial(server.peerId, server.addresses(), protocol)))
    await Promise.all(streams.map((stream) => stream.close()))
  }
})

test('silent connections from one address are held to their share: the rest is refused, not queued, and a peer still gets in', async () => {
  let refused = 0
  const log = { ...silentLog, debug: (event: string) => void (event === 'peer.connection_refused' && refused++) }
  const server = await host({ listen: [loopback] }, { log })
  server.handle(protocol, echo)
  const port = Number(/tcp\/(\d+)/.exec(server.addresses()[0]!)![1])
  const sockets: Socket[] = []
  open.push({ close: () => sockets.forEach((socket) => socket.destroy()) })
  for (let i = 0; i < 300; i++) {
    const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.3' })
    socket.on('error', () => {})
    sockets.push(socket)
  }
  await expect.poll(() => refused, { timeout: 10_000 }).toBeGreaterThan(100)
  expect(await ask(await (await host()).dial(server.peerId, server.addresses(), protocol), 'still here')).toBe('still here')
})

test('so many connections from one IP address, whatever ids they have; one that ends makes room', async () => {
  const server = await host({ listen: [loopback], maxPerAddress: 2 })
  server.handle(protocol, echo)
  const [first, second, third] = [await host(), await host(), await host()]
  const from = async (each: PeerHost): Promise<string> => ask(await each.dial(server.peerId, server.addresses(), protocol), 'in')
  expect([await from(first), await from(second)]).toEqual(['in', 'in'])
  await expect(from(third)).rejects.toMatchObject({ code: 'peer.unreachable' })
  expect(await from(second)).toBe('in')
  await first.close()
  await expect.poll(() => from(third).catch(String), { timeout: 5_000 }).toBe('in')
})
