// Proves that frames go through a tunnel in order and once, over links in memory that are cut at any byte, and over real libp2p with the connection killed.
import { afterEach, expect, test } from 'vitest'
import { createTestClock } from '../../../../test/kit/clock.ts'
import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { createIdentity } from '../../identity/identity.ts'
import { type PeerHost, type PeerStream, createPeerHost } from '../host/host.ts'
import { backoffMs, firstBack } from './come-back.ts'
import { connectTunnel } from './client.ts'
import { acceptTunnels } from './server.ts'
import { type Tunnel, tunnelProtocol } from './tunnel.ts'
import { world, frame, numberOf, collector, send, random } from './tunnel.fixture.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

test('frames go both ways in order, and an orderly close is an eof for the other side', async () => {
  const { server, accepted, connect } = world()
  const client = await connect()
  const [left, right] = [collector(), collector()]
  client.read(left)
  accepted[0]!.read(right)
  await Promise.all([send(client, 0, 500), send(accepted[0]!, 0, 500)])
  await expect.poll(() => [left.frames.length, right.frames.length]).toEqual([500, 500])
  expect(left.frames.map(numberOf)).toEqual(Array.from({ length: 500 }, (_, n) => n))
  client.write(frame(500))
  await client.close()
  expect(await client.ended).toEqual({ why: 'closed' })
  expect(await accepted[0]!.ended).toEqual({ why: 'eof' })
  expect(numberOf(right.frames.at(-1)!)).toBe(500)
  expect(server.count()).toBe(0)
})

test('100 cuts at random bytes over 2,000 frames each way: nothing is lost, doubled or reordered', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9)
  console.info(`tunnel cuts: SEED=${seed}`)
  const next = random(seed)
  const made = world()
  let cuts = 0
  made.onLink = (each) => {
    const { ends } = each
    if (cuts >= 100) return
    const cleanly = next() < 0.5
    const end = ends[next() < 0.5 ? 0 : 1]
    end.budgetBytes = next() < 0.1 ? Math.floor(next() * 60) : Math.floor(next() * 30_000)
    end.onSpent = () => {
      cuts++
      each.cut(cleanly)
    }
  }
  const connected = (): Promise<Tunnel> => made.connect().catch(() => connected()) // the first greeting may be cut too
  const client = await connected()
  const server = made.accepted.at(-1)!
  const [left, right] = [collector(), collector()]
  client.read(left)
  server.read(right)
  const pad = (n: number): number => (n % 50 === 0 ? 20_000 : n % 7 === 0 ? 1_500 : 100)
  await Promise.all([send(client, 0, 2_000, pad), send(server, 0, 2_000, pad)])
  await expect.poll(() => [left.frames.length, right.frames.length], { timeout: 25_000 }).toEqual([2_000, 2_000])
  const all = Array.from({ length: 2_000 }, (_, n) => n)
  expect(left.frames.map(numberOf)).toEqual(all)
  expect(right.frames.map(numberOf)).toEqual(all)
  expect(cuts).toBeGreaterThan(20)
  await client.close()
})

test('a path that falls silent is left for another one, long before it counts as dead', async () => {
  const { links, accepted, connect } = world({ settings: { busyPingMs: 50 } })
  const client = await connect()
  const [left, right] = [collector(), collector()]
  client.read(left)
  accepted[0]!.read(right)
  const heard = (): number[][] => [left.frames.map(numberOf), right.frames.map(numberOf)]
  await Promise.all([send(client, 0, 1), send(accepted[0]!, 0, 1)])
  await expect.poll(heard).toEqual([[0], [0]])
  for (const end of links[0]!.ends) end.budgetBytes = 0 // what is written from now on goes nowhere
  await Promise.all([send(client, 1, 2), send(accepted[0]!, 1, 2)])
  await expect.poll(heard, { timeout: 8_000 }).toEqual([
    [0, 1],
    [0, 1],
  ])
  expect([links.length, client.stats.cuts]).toEqual([2, 1])
  await client.close()
})

test('a stream that ends cleanly is a cut, not an end', async () => {
  const { links, accepted, connect } = world()
  const client = await connect()
  const got = collector()
  accepted[0]!.read(got)
  links[0]!.cut(true)
  client.write(frame(1))
  await expect.poll(() => got.frames.length).toBe(1)
  expect(links).toHaveLength(2)
  expect(client.stats.cuts).toBe(1)
  await client.close()
})

test('an acknowledgement rides on the next frame', async () => {
  const { connect, accepted, links } = world()
  const client = await connect()
  const server = accepted[0]!
  let writes = 0
  for (const end of links[0]!.ends) {
    const write = end._write.bind(end)
    end._write = (...args) => (writes++, write(...args))
  }
  server.read({ write: (got) => server.write(got), room: () => server.room() })
  let back = (): void => {}
  client.read({ write: () => (back(), true), room: () => Promise.resolve() })
  for (let n = 0; n < 300; n++) {
    const answered = new Promise<void>((resolve) => (back = resolve))
    client.write(frame(n))
    await answered
  }
  expect(writes).toBeLessThan(900) // 600 frames, and an acknowledgement alone once in a while
})

test('the wait before each attempt grows from 25 ms to 800 ms, then with the time away to 5 s', () => {
  expect([0, 1, 5, 20].map((n) => backoffMs(n, 0, 0.9999999))).toEqual([25, 50, 400, 400].map((ms) => expect.closeTo(ms, 1)))
  expect(backoffMs(999, 299_000, 0)).toBe(200)
  expect(backoffMs(999, 320_000, 0)).toBe(1_000)
  expect(backoffMs(9_999, 1e9, 0.9999999)).toBeCloseTo(5_000, 0)
})

test('an attempt that hangs does not hold up the next one; three at most are under way, and what comes too late is dropped', async () => {
  const clock = createTestClock()
  const begun: { answer(name: string): void; signal: AbortSignal }[] = []
  const dropped: string[] = []
  const open = (signal: AbortSignal): Promise<{ name: string; abort(): void }> =>
    new Promise((resolve, reject) => {
      begun.push({ signal, answer: (name) => resolve({ name, abort: () => dropped.push(name) }) })
      if (begun.length < 3) signal.addEventListener('abort', () => reject(signal.reason as Error))
    })
  const missed: unknown[] = []
  const cut = { from: 0, attempts: 0 }
  const over = new AbortController()
  const first = firstBack({ clock, open, random: () => 0, missed: (error) => missed.push(error) }, cut, over.signal)
  await clock.advance(1_900)
  expect([begun.length, missed.length]).toEqual([3, 0])
  await clock.advance(500) // the first two have taken as long as they may
  expect([begun.length, missed.length]).toEqual([5, 2])
  begun[4]!.answer('fifth')
  expect(await first).toMatchObject({ name: 'fifth' })
  begun[2]!.answer('third')
  await clock.advance(10_000)
  expect([begun.length, cut.attempts]).toEqual([5, 5])
  expect(dropped).toEqual(['third'])
  expect(begun.every(({ signal }) => signal.aborted)).toBe(true)
  const none = firstBack({ clock, open, random: () => 0, missed() {} }, cut, over.signal)
  over.abort(new Error('the session ended'))
  await expect(none).rejects.toThrow('the session ended')
})

test('over real libp2p: the connection is killed again and again, and every frame arrives once and in order', async () => {
  const needs = { log: silentLog, clock: systemClock }
  const hosts: PeerHost[] = []
  cleanups.push(() => Promise.all(hosts.map((host) => host.close())))
  const host = await createPeerHost({ ...needs, identity: createIdentity() }, { listen: ['/ip4/127.0.0.1/tcp/0'] })
  const guest = await createPeerHost({ ...needs, identity: createIdentity() }, { listen: [] })
  hosts.push(host, guest)
  const accepted: Tunnel[] = []
  acceptTunnels({ ...needs, host, authorize: () => undefined, accept: (wire) => void accepted.push(wire) })
  const streams: PeerStream[] = []
  const open = async (signal: AbortSignal): Promise<PeerStream> => {
    const stream = await guest.dial(host.peerId, host.addresses(), tunnelProtocol, signal)
    streams.push(stream)
    return stream
  }
  const client = await connectTunnel({ ...needs, open })
  expect(accepted[0]!.remotePeer).toBe(guest.peerId)
  const [left, right] = [collector(), collector()]
  client.read(left)
  accepted[0]!.read(right)
  const pad = (): number => 4_000
  const sending = Promise.all([send(client, 0, 2_000, pad), send(accepted[0]!, 0, 2_000, pad)])
  for (let kill = 1; kill <= 3; kill++) {
    await expect.poll(() => right.frames.length, { timeout: 20_000 }).toBeGreaterThan(kill * 400)
    streams.at(-1)!.abort('connection')
  }
  await sending
  await expect.poll(() => [left.frames.length, right.frames.length], { timeout: 20_000 }).toEqual([2_000, 2_000])
  const all = Array.from({ length: 2_000 }, (_, n) => n)
  expect(left.frames.map(numberOf)).toEqual(all)
  expect(right.frames.map(numberOf)).toEqual(all)
  expect(client.stats.cuts).toBeGreaterThan(0)
  await client.close()
  expect(await accepted[0]!.ended).toEqual({ why: 'eof' })
})
