// The relay over real TCP on loopback: who is reached through it and how, its bounds, what becomes of it when it or a path dies; and the pitfalls of libp2p's own one.
import { once } from 'node:events'
import { type Socket, connect, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { afterEach, describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { type Identity, createIdentity } from '../../identity/identity.ts'
import { scan } from '../../wire/scan.ts'
import { isRelayed } from '../address.ts'
import { throughRelay } from '../address.ts'
import { type OwnHost, type PeerHost, type PeerStream, createPeerHost } from '../host/host.ts'
import type { RelayRules } from './server.ts'
import { connectTunnel } from '../tunnel/client.ts'
import { acceptTunnels } from '../tunnel/server.ts'
import { type Tunnel, tunnelProtocol } from '../tunnel/tunnel.ts'

const loopback = '/ip4/127.0.0.1/tcp/0'
const protocol = '/fairlead/test/1'
const everyone: RelayRules = { mayReserve: () => true }
const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function host(listen: readonly string[] = [], identity = createIdentity(), clock: Clock = systemClock): Promise<OwnHost> {
  const made = await createPeerHost({ identity, log: silentLog, clock }, { listen })
  open.push(() => made.close())
  return made
}

async function relayAt(address = loopback, rules = everyone, identity?: Identity): Promise<OwnHost> {
  const relay = await host([address], identity)
  await relay.relay(rules)
  return relay
}

/** A host that listens nowhere, echoes, and has a place at the relay. */
async function hidden(relay: PeerHost, address = relay.addresses()[0]!): Promise<OwnHost> {
  const box = await host()
  box.handle(protocol, (stream) => void stream.duplex.pipe(stream.duplex))
  box.keepPlace(relay.peerId, address)
  await reachable(box)
  return box
}

const reachable = ({ addresses }: PeerHost): Promise<void> => expect.poll(() => addresses().length, { timeout: 15_000 }).toBeGreaterThan(0)

async function ask(stream: PeerStream, question: string): Promise<string> {
  stream.duplex.end(question)
  return text(stream.duplex)
}

/** A way to a host that can be cut: what passes it stays in it while it is closed, as on a path that swallows packets. */
async function gateTo(to: PeerHost): Promise<{ address: string; isClosed: boolean }> {
  const sockets: Socket[] = []
  const gate = { address: '', isClosed: false }
  const server = createServer((near) => {
    const far = connect(Number(/\/tcp\/(\d+)/.exec(to.addresses()[0]!)![1]), '127.0.0.1')
    sockets.push(near, far)
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk: Buffer) => gate.isClosed || into.write(chunk))
      from.on('error', () => {})
      from.on('close', () => into.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  gate.address = `/ip4/127.0.0.1/tcp/${(server.address() as { port: number }).port}`
  return gate
}

test('who listens nowhere is reached through a relay, its key proved end to end; a stream says that it is relayed', async () => {
  const box = await hidden(await relayAt())
  const from: [string, boolean][] = []
  box.handle('/fairlead/who/1', (stream) => {
    from.push([stream.remotePeer, stream.isRelayed])
    stream.duplex.pipe(stream.duplex)
  })
  expect(box.addresses().every(isRelayed)).toBe(true)
  const mac = await host()
  const stream = await mac.dial(box.peerId, box.addresses(), '/fairlead/who/1')
  expect([stream.remotePeer, stream.isRelayed]).toEqual([box.peerId, true])
  expect(await ask(stream, 'hello')).toBe('hello')
  expect(from).toEqual([[mac.peerId, true]])
})

describe('which way', () => {
  test('the direct one when there is one, although the relay is known; with relayed addresses alone the relay, with direct ones alone no relay', async () => {
    const relay = await relayAt()
    const box = await host([loopback])
    box.handle(protocol, (stream) => void stream.duplex.pipe(stream.duplex))
    box.keepPlace(relay.peerId, relay.addresses()[0]!)
    await expect.poll(() => box.addresses().filter(isRelayed).length, { timeout: 15_000 }).toBe(1)
    const [direct, relayed] = [box.addresses().filter((each) => !isRelayed(each)), box.addresses().filter(isRelayed)]
    const mac = await host()
    const forced = await mac.dial(box.peerId, relayed, protocol)
    expect(forced.isRelayed).toBe(true)
    expect((await mac.dial(box.peerId, box.addresses(), protocol)).isRelayed).toBe(true) // over the connection that is open
    expect((await mac.dial(box.peerId, direct, protocol)).isRelayed).toBe(false)
    expect((await mac.dial(box.peerId, box.addresses(), protocol)).isRelayed).toBe(false) // by now there are two, and the direct one is better
    expect((await mac.dial(box.peerId, relayed, protocol)).isRelayed).toBe(true)
    expect((await (await host()).dial(box.peerId, box.addresses(), protocol)).isRelayed).toBe(false)
    expect(await ask(forced, 'it lives on')).toBe('it lives on')
  })

  test('an address that swallows everything does not hold up the relay', async () => {
    const box = await hidden(await relayAt())
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    open.push(() => silent.close())
    const { port } = silent.address() as { port: number }
    const mac = await host()
    const stream = await mac.dial(box.peerId, [`/ip4/127.0.0.1/tcp/${port}`, ...box.addresses()], protocol)
    expect(stream.isRelayed).toBe(true)
  })

  test('somebody else who has the place under the name asked for is found out', async () => {
    const relay = await relayAt()
    const thief = await hidden(relay)
    const { peerId } = createIdentity()
    const address = thief.addresses()[0]!.replace(thief.peerId, peerId)
    await expect((await host()).dial(peerId, [address], protocol)).rejects.toMatchObject({
      code: 'peer.unreachable',
      message: expect.stringContaining('it has no place at the relay'),
    })
  })
})

test('a session that goes through a relay moves to the direct way when there is one, with all that is under way: nothing is lost, doubled or reordered; its circuit is given back', async () => {
  const relay = await relayAt(loopback, { ...everyone, maxCircuits: 1 })
  const box = await host([loopback])
  box.keepPlace(relay.peerId, relay.addresses()[0]!)
  await expect.poll(() => box.addresses().filter(isRelayed).length, { timeout: 15_000 }).toBe(1)
  const accepted: Tunnel[] = []
  const needs = { clock: systemClock, log: silentLog }
  acceptTunnels({ ...needs, host: box, authorize: () => undefined, accept: (wire) => void accepted.push(wire) })
  const mac = await host()
  let looks = 0
  const ways: boolean[] = []
  const dial = async (addresses: readonly string[]): Promise<PeerStream> => {
    const stream = await mac.dial(box.peerId, addresses, tunnelProtocol)
    ways.push(stream.isRelayed)
    return stream
  }
  const client = await connectTunnel({
    ...needs,
    open: () => dial(box.addresses().filter(isRelayed)),
    openDirect: () => (looks++ === 0 ? Promise.reject(new Error('not yet')) : dial(box.addresses().filter((each) => !isRelayed(each)))),
  })
  const heard: [string[], string[]] = [[], []]
  const listen = (wire: Tunnel, into: string[]): void =>
    wire.read({ write: ({ bytes }) => into.push(Buffer.from(bytes).toString()) > 0, room: () => Promise.resolve() })
  listen(client, heard[0])
  listen(accepted[0]!, heard[1])
  const sent: string[] = []
  const isMoved = (): boolean => client.stats.cuts === 1 && client.stats.isConnected
  for (let n = 0; !isMoved() || n < 1_000; n++) {
    const text = `{"jsonrpc":"2.0","method":"n","params":{"n":${n}}}`
    sent.push(text)
    for (const wire of [client, accepted[0]!]) if (!wire.write(scan(Buffer.from(text)))) await wire.room()
    if (n % 20 === 0) await systemClock.wait(1)
  }
  await expect.poll(() => heard.map(({ length }) => length), { timeout: 15_000 }).toEqual([sent.length, sent.length])
  expect(heard).toEqual([sent, sent])
  expect([ways, accepted.length]).toEqual([[true, false], 1])
  box.handle(protocol, (stream) => void stream.duplex.pipe(stream.duplex))
  const other = await host()
  const through = box.addresses().filter(isRelayed)
  const echoed = async (): Promise<string> => ask(await other.dial(box.peerId, through, protocol), 'by the only circuit there may be')
  await expect.poll(() => echoed().catch(String), { timeout: 5_000 }).toBe('by the only circuit there may be')
  await client.close()
})

describe('what a relay grants', () => {
  test('no place for who may not have one, and none any more for who may not any longer', async () => {
    let isKnown = true
    const relay = await relayAt(loopback, { mayReserve: () => isKnown })
    const box = await hidden(relay)
    isKnown = false
    await expect.poll(() => box.addresses(), { timeout: 15_000 }).toEqual([])
    isKnown = true
    await reachable(box)
  })

  test('to all who are behind one IP address together no more than half: ids cost nothing', async () => {
    const relay = await relayAt(loopback, { ...everyone, maxPlaces: 4, maxCircuits: 4, maxCircuitsPerPeer: 1 })
    const [box] = [await hidden(relay), await hidden(relay)]
    const late = await host()
    late.keepPlace(relay.peerId, relay.addresses()[0]!)
    for (const each of [await host(), await host()]) await each.dial(box.peerId, box.addresses(), protocol)
    await expect((await host()).dial(box.peerId, box.addresses(), protocol)).rejects.toThrow(/as many circuits as it may/)
    expect(late.addresses()).toEqual([])
  })

  test('as many places and circuits as its rules say; a circuit that ends makes room', async () => {
    const relay = await relayAt(loopback, { ...everyone, maxPlaces: 1, maxCircuits: 2, maxCircuitsPerPeer: 1, maxCircuitsPerAddress: 2 })
    const box = await hidden(relay)
    const late = await host()
    late.keepPlace(relay.peerId, relay.addresses()[0]!)
    const [one, two, three] = [await host(), await host(), await host()]
    const first = await one.dial(box.peerId, box.addresses(), protocol)
    await two.dial(box.peerId, box.addresses(), protocol)
    await expect(three.dial(box.peerId, box.addresses(), protocol)).rejects.toThrow(/as many circuits as it may/)
    first.abort('connection')
    await expect
      .poll(
        () =>
          three.dial(box.peerId, box.addresses(), protocol).then(
            () => 'reached',
            () => 'not',
          ),
        { timeout: 15_000 },
      )
      .toBe('reached')
    expect(late.addresses()).toEqual([])
    await box.close()
    await reachable(late)
  })

  test('whoever says nonsense, half of a message, or nothing is dropped, and others are served', async () => {
    const relay = await relayAt()
    const box = await hidden(relay)
    const rude = await host()
    const hop = '/libp2p/circuit/relay/0.2.0/hop'
    for (const bytes of [[0xff, 0xff, 0xff, 0xff], [2, 0x0a], [2, 8, 9], [3, 8, 1, 0x12], [0], [40, ...Buffer.alloc(40, 0x12)]]) {
      const stream = await rude.dial(relay.peerId, relay.addresses(), hop)
      stream.duplex.end(Buffer.from(bytes))
      await text(stream.duplex).catch(() => {})
    }
    const cut = await rude.dial(relay.peerId, relay.addresses(), hop)
    cut.abort('connection')
    expect(await ask(await (await host()).dial(box.peerId, box.addresses(), protocol), 'still there')).toBe('still there')
  })
})

describe('pitfalls', () => {
  test('libp2p’s limits of 128 KiB and 2 minutes are not ours, and a circuit holds no more than its windows: what one does not read waits at the other', async () => {
    const relay = await relayAt()
    const box = await hidden(relay)
    let held: PeerStream | undefined
    box.handle('/fairlead/slow/1', (stream) => (held = stream))
    const stream = await (await host()).dial(box.peerId, box.addresses(), '/fairlead/slow/1')
    const totalBytes = 64 << 20
    const chunk = Buffer.alloc(64 << 10, 7)
    let written = 0
    const writing = (async () => {
      while (written < totalBytes) {
        written += chunk.length
        if (!stream.duplex.write(chunk)) await once(stream.duplex, 'drain')
      }
      stream.duplex.end()
    })()
    let looks = 0
    let last = -1
    await expect
      .poll(() => ((looks = written === last ? looks + 1 : 0), (last = written), looks), { interval: 25, timeout: 20_000 })
      .toBeGreaterThan(20)
    expect(written).toBeLessThan(24 << 20) // of the inner stream and of two outer ones, and what lies between them
    let read = 0
    held!.duplex.on('data', (piece: Buffer) => (read += piece.length))
    await Promise.all([writing, once(held!.duplex, 'end')])
    expect(read).toBe(totalBytes)
  })

  test('a relay that is restarted is found again, and so is who has a place there (js-libp2p #3601)', async () => {
    const identity = createIdentity()
    const first = await relayAt(loopback, everyone, identity)
    const box = await hidden(first)
    const address = `/ip4/127.0.0.1/tcp/${/\/tcp\/(\d+)/.exec(first.addresses()[0]!)![1]}`
    await first.close()
    await expect.poll(() => box.addresses(), { timeout: 15_000 }).toEqual([])
    await relayAt(address, everyone, identity)
    await reachable(box)
    expect(await ask(await (await host()).dial(box.peerId, box.addresses(), protocol), 'again')).toBe('again')
  })

  test('a path to the relay that swallows everything is noticed, and the place is taken by another one', async () => {
    const relay = await relayAt()
    const gate = await gateTo(relay)
    const box = await hidden(relay, gate.address)
    gate.isClosed = true
    await expect.poll(() => box.addresses(), { timeout: 20_000 }).toEqual([])
    gate.isClosed = false
    await reachable(box)
    const mac = await host()
    expect(
      await ask(
        await mac.dial(
          box.peerId,
          box.addresses().map((each) => each.replace(gate.address, relay.addresses()[0]!.split('/p2p/')[0]!)),
          protocol,
        ),
        'over',
      ),
    ).toBe('over')
  })

  test('circuits over a path that swallows everything end as soon as their owner has a new place and answers there, not after a second', async () => {
    const patient: Clock = { ...systemClock, after: (ms, act) => (ms >= 1_000 ? () => {} : systemClock.after(ms, act)) } // no timer of a second ever runs out
    const relay = await host([loopback], createIdentity(), patient)
    await relay.relay(everyone)
    const gate = await gateTo(relay)
    const identity = createIdentity()
    const before = await host([], identity)
    before.handle(protocol, (stream) => void stream.duplex.pipe(stream.duplex))
    before.keepPlace(relay.peerId, gate.address)
    await reachable(before)
    const stream = await (await host()).dial(identity.peerId, [throughRelay(relay.addresses()[0]!, identity.peerId)], protocol)
    const ended = new Promise((resolve) => stream.duplex.resume().once('end', resolve).once('error', resolve))
    gate.isClosed = true
    const from = performance.now()
    const after = await host([], identity)
    after.keepPlace(relay.peerId, relay.addresses()[0]!)
    await reachable(after)
    await ended
    expect(performance.now() - from).toBeLessThan(2_000) // else the old host itself ends it, after 2.5 s
  })

  test('another process of the same identity at the relay, which keeps no place there, is not taken for the one that does', async () => {
    const relay = await relayAt()
    const identity = createIdentity()
    const other = await host([], identity)
    relay.handle(protocol, () => {})
    await other.dial(relay.peerId, relay.addresses(), protocol) // an older connection of the same id
    const box = await host([], identity)
    box.handle(protocol, (stream) => void stream.duplex.pipe(stream.duplex))
    box.keepPlace(relay.peerId, relay.addresses()[0]!)
    await reachable(box)
    expect(await ask(await (await host()).dial(box.peerId, box.addresses(), protocol), 'the right one')).toBe('the right one')
  })
})

describe('strangers: libp2p’s own circuit relay', () => {
  const stack = () => ({ transports: [tcp(), circuitRelayTransport()], connectionEncrypters: [noise()], streamMuxers: [yamux()] })

  test('its listener takes a place at our relay, and its dialler comes to us through it', async () => {
    const relay = await relayAt()
    const server = multiaddr(relay.addresses()[0])
    const listener = await createLibp2p({
      ...stack(),
      addresses: { listen: [`${server.toString()}/p2p-circuit`] },
      services: { identify: identify() },
    })
    open.push(() => listener.stop())
    await listener.handle(protocol, (stream) => stream.addEventListener('message', ({ data }) => stream.send(data)), {
      runOnLimitedConnection: true,
    })
    await expect.poll(() => listener.getMultiaddrs().length, { timeout: 15_000 }).toBeGreaterThan(0)
    const stream = await (await host()).dial(listener.peerId.toString(), [`${server.toString()}/p2p-circuit`], protocol)
    expect(stream.isRelayed).toBe(true)
    stream.duplex.write('echo')
    expect(String((await once(stream.duplex, 'data'))[0])).toBe('echo')

    const box = await hidden(relay)
    const dialler = await createLibp2p({ ...stack(), services: { identify: identify() } })
    open.push(() => dialler.stop())
    const theirs = await dialler.dialProtocol(multiaddr(box.addresses()[0]), protocol, { runOnLimitedConnection: true })
    const heard = new Promise<string>((resolve) =>
      theirs.addEventListener('message', ({ data }) => resolve(Buffer.from(data.subarray()).toString())),
    )
    theirs.send(Buffer.from('from afar'))
    expect(await heard).toBe('from afar')
  })

  test('we take a place at its relay, limited as that is', async () => {
    const relay = await createLibp2p({
      ...stack(),
      addresses: { listen: [loopback] },
      services: { identify: identify(), relay: circuitRelayServer() },
    })
    open.push(() => relay.stop())
    const address = relay.getMultiaddrs()[0]!.toString()
    const box = await host()
    box.handle(protocol, (stream) => void stream.duplex.pipe(stream.duplex))
    box.keepPlace(relay.peerId.toString(), address)
    await reachable(box)
    expect(await ask(await (await host()).dial(box.peerId, box.addresses(), protocol), 'hello')).toBe('hello')
  })
})
