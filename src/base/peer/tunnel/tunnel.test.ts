// Proves the tunnel's state machine over links in memory that can be cut at any byte, and over real libp2p with the connection killed.
import { Duplex } from 'node:stream'
import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { createTestClock } from '../../../../test/kit/clock.ts'
import { type Clock, systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { createIdentity } from '../../identity/identity.ts'
import type { Frame } from '../../wire/frame.ts'
import { scan } from '../../wire/scan.ts'
import type { Sink } from '../../wire/wire.ts'
import { type PeerHost, type PeerStream, createPeerHost } from '../host/host.ts'
import { type Message, MessageReader, messageBytes, types, windowBytes, windowFrames } from './message.ts'
import { backoffMs, firstBack } from './come-back.ts'
import { connectTunnel } from './client.ts'
import { type AcceptTunnelsSettings, acceptTunnels } from './server.ts'
import { type Tunnel, type TunnelSettings, tunnelProtocol } from './tunnel.ts'

/** One end of a link in memory, with the back-pressure of a socket. */
class End extends Duplex {
  other!: End
  /** Bytes that may still leave before `onSpent` is called, and everything behind them is lost. */
  budgetBytes = Infinity
  onSpent = (): void => {}
  #onRead: (() => void) | undefined
  #isEnded = false

  constructor() {
    super({ readableHighWaterMark: 16 << 10, writableHighWaterMark: 16 << 10 })
    this.on('error', () => {})
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const passed = Buffer.from(chunk.subarray(0, Math.min(chunk.length, this.budgetBytes)))
    this.budgetBytes -= chunk.length
    if (this.other.destroyed || this.other.#isEnded) return done()
    const hasRoom = passed.length === 0 || this.other.push(passed)
    if (this.budgetBytes < 0) return this.onSpent()
    if (hasRoom) setImmediate(done)
    else this.other.#onRead = done
  }

  override _read(): void {
    const done = this.#onRead
    this.#onRead = undefined
    if (done) setImmediate(done)
  }

  override _final(done: () => void): void {
    this.other.endHere()
    done()
  }

  /** The other end sees no more than an end: which is how libp2p often tells of a path that died. */
  override _destroy(_error: Error | null, done: () => void): void {
    this.other.endHere()
    done()
  }

  endHere(): void {
    if (!this.destroyed && !this.#isEnded) this.push(null)
    this.#isEnded = true
  }
}

type Link = { readonly client: PeerStream; readonly server: PeerStream; readonly ends: readonly [End, End]; cut(cleanly: boolean): void }

function link(clientId = 'client', serverId = 'server'): Link {
  const ends = [new End(), new End()] as const
  ends[0].other = ends[1]
  ends[1].other = ends[0]
  const stream = (duplex: End, remotePeer: string): PeerStream => ({
    remotePeer,
    remoteAddress: '127.0.0.1',
    isRelayed: false,
    protocol: tunnelProtocol,
    duplex,
    close: () =>
      new Promise((resolve) => {
        if (duplex.destroyed) return resolve()
        duplex.end(() => {
          setImmediate(() => duplex.destroy())
          resolve()
        })
        duplex.resume()
      }),
    abort: () => void duplex.destroy(),
  })
  return {
    client: stream(ends[0], serverId),
    server: stream(ends[1], clientId),
    ends,
    cut(cleanly) {
      for (const end of ends) {
        if (cleanly) end.endHere()
        else end.destroy(new Error('cut'))
      }
    },
  }
}

type World = {
  readonly server: ReturnType<typeof acceptTunnels>
  readonly accepted: Tunnel[]
  readonly links: Link[]
  readonly serve: (stream: PeerStream) => void
  readonly connect: (settings?: TunnelSettings, clientId?: string) => Promise<Tunnel>
  /** Set to say what becomes of each new link, or to refuse it. */
  onLink: (link: Link) => void
  /** Leaves new links to `onLink` alone: their server is another one. */
  divert: boolean
}

function world({
  clock = systemClock,
  settings = {},
  authorize = () => undefined as string | undefined,
}: { clock?: Clock; settings?: AcceptTunnelsSettings; authorize?: (peerId: string) => string | undefined } = {}): World {
  let serve: (stream: PeerStream) => void = () => {}
  const accepted: Tunnel[] = []
  const links: Link[] = []
  const host = { handle: (_protocol: string, accept: (stream: PeerStream) => void) => void (serve = accept) }
  const server = acceptTunnels({ host, clock, log: silentLog, authorize, accept: (wire) => void accepted.push(wire) }, settings)
  const made: World = {
    server,
    accepted,
    links,
    serve,
    connect: (of = settings, clientId = 'client') =>
      connectTunnel(
        {
          clock,
          log: silentLog,
          open: async () => {
            const next = link(clientId)
            links.push(next)
            made.onLink(next)
            if (!made.divert) serve(next.server)
            return next.client
          },
        },
        of,
      ),
    onLink() {},
    divert: false,
  }
  return made
}

const frame = (n: number, pad = 0): Frame =>
  scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', method: 'n', params: { n, pad: 'x'.repeat(pad) } })))
const numberOf = (got: Frame): number => (JSON.parse(Buffer.from(got.bytes).toString()) as { params: { n: number } }).params.n

function collector(): Sink & { readonly frames: Frame[] } {
  const frames: Frame[] = []
  return { frames, write: (got) => frames.push(got) > 0, room: () => Promise.resolve() }
}

async function send(wire: Tunnel, from: number, to: number, pad: (n: number) => number = () => 0): Promise<void> {
  for (let n = from; n < to; n++) if (!wire.write(frame(n, pad(n)))) await wire.room()
}

/** A small generator of numbers that the printed seed replays. */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

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

describe('the window', () => {
  test('with a stalled reader: write says false, memory on both sides stays under the window, and the path is not held dead', async () => {
    const clock = createTestClock()
    const { accepted, links, connect } = world({ clock })
    const client = await connect()
    const server = accepted[0]!
    let isOpen: (() => void) | undefined
    const got: number[] = []
    server.read({
      write: (each) => (got.push(numberOf(each)), isOpen !== undefined),
      room: () => new Promise((resolve) => (isOpen = resolve)),
    })
    const pad = 64 << 10
    let sent = 0
    while (client.write(frame(sent++, pad)));
    await expect.poll(async () => (await clock.advance(100), server.stats.waitingBytes)).toBeGreaterThan(windowBytes - pad)
    await clock.advance(30_000)
    expect(got).toEqual([0])
    expect(client.stats.unackedBytes).toBeLessThan(windowBytes + 2 * pad)
    expect(server.stats.waitingBytes).toBeLessThan(windowBytes + 2 * pad)
    while (client.write(frame(sent++, pad))); // one was taken, so there was room for one more
    let hasRoom = false
    void client.room().then(() => (hasRoom = true))
    await clock.advance(60_000)
    expect(hasRoom).toBe(false)
    expect(links).toHaveLength(1) // pings were answered all the time
    isOpen!()
    await expect.poll(async () => (await clock.advance(50), [hasRoom, got.length])).toEqual([true, sent])
    expect(got).toEqual(Array.from({ length: sent }, (_, n) => n))
  })

  test('counts frames too', async () => {
    const { connect } = world()
    const client = await connect()
    let sent = 1
    while (client.write(frame(sent))) sent++
    expect(sent).toBe(windowFrames)
  })

  test('writers that do not wait are taken, but the path gets no more than the window; and an end comes after the last frame', async () => {
    const { accepted, connect } = world()
    const client = await connect()
    const server = accepted[0]!
    const got: number[] = []
    let isOpen: (() => void) | undefined
    server.read({
      write: (each) => (got.push(numberOf(each)), isOpen !== undefined),
      room: () => new Promise((resolve) => (isOpen = resolve)),
    })
    for (let n = 0; n < 200; n++) client.write(frame(n, 64 << 10))
    await expect.poll(() => server.stats.waitingBytes).toBeGreaterThan(windowBytes - (64 << 10))
    isOpen!()
    await expect.poll(() => got.length).toBe(200)
    let isOver = false
    void server.ended.then(() => (isOver = true))
    isOpen = undefined
    for (let n = 200; n < 205; n++) client.write(frame(n))
    await client.close()
    expect([got.length, isOver]).toEqual([201, false])
    isOpen!()
    expect(await server.ended).toEqual({ why: 'eof' })
    expect(got).toEqual(Array.from({ length: 205 }, (_, n) => n))
  })

  test('a sender that ignores it is garbage', async () => {
    const { accepted, serve } = world()
    const { client, server } = link()
    serve(server)
    client.duplex.write(hello())
    await expect.poll(() => accepted.length).toBe(1)
    for (let n = 1; n <= windowFrames + 1; n++) client.duplex.write(messageBytes(types.frame, n, 0, frame(n).bytes))
    client.duplex.resume()
    expect(await accepted[0]!.ended).toMatchObject({ why: 'garbage' })
  })
})

describe('expiry', () => {
  test('a session that nobody comes back to ends as expired on both sides', async () => {
    const clock = createTestClock()
    const made = world({ clock, settings: { keepMs: 60_000 } })
    const client = await made.connect()
    await clock.advance(10)
    made.onLink = () => {
      throw new Error('no path')
    }
    made.links[0]!.cut(true)
    await clock.advance(59_000)
    expect(made.server.count()).toBe(1)
    await clock.advance(2_000)
    expect(await client.ended).toEqual({ why: 'expired' })
    expect(await made.accepted[0]!.ended).toEqual({ why: 'expired' })
    expect(made.server.count()).toBe(0)
    await clock.advance(10_000)
    expect(clock.waiting).toBe(0) // nothing left behind
  })

  test('whoever comes back to a server that forgot the session ends as expired at once', async () => {
    const [made, restarted] = [world(), world()]
    const client = await made.connect()
    made.onLink = ({ server }) => restarted.serve(server)
    made.divert = true
    made.links[0]!.cut(true)
    expect(await client.ended).toEqual({ why: 'expired' })
    expect(restarted.accepted).toHaveLength(0)
  })

  test('a path that is silent is found dead after two pings, and left', async () => {
    const clock = createTestClock()
    const made = world({ clock })
    const client = await made.connect()
    await clock.advance(100)
    const [first, second] = made.links[0]!.ends
    first._write = (_chunk, _encoding, done) => done() // swallowed both ways
    second._write = (_chunk, _encoding, done) => done()
    await clock.advance(4_000)
    expect(client.stats.cuts).toBe(0)
    await clock.advance(12_000)
    expect(client.stats.cuts).toBe(1)
    expect(made.links).toHaveLength(2)
    expect(client.stats.isConnected).toBe(true)
  })
})

/** A greeting by hand. */
function hello(members: Record<string, unknown> = {}, seq = 0): Buffer {
  return messageBytes(types.hello, seq, seq, Buffer.from(JSON.stringify({ version: 1, maxFrameBytes: 8 << 20, ...members })))
}

/** Greets by hand and gives the first answer. */
async function greet(made: World, members: Record<string, unknown>, from = 'client', seq = 0): Promise<{ message: Message; link: Link }> {
  const next = link(from)
  made.serve(next.server)
  const answer = new Promise<Message>((resolve) => {
    const reader = new MessageReader()
    next.client.duplex.on('data', (chunk: Buffer) => reader.feed(chunk, (message) => (resolve(message), false)))
  })
  next.client.duplex.write(hello(members, seq))
  return { message: await answer, link: next }
}
const told = ({ body }: Message): Record<string, unknown> => JSON.parse(body.toString()) as Record<string, unknown>

describe('refusal', () => {
  test('the reason is readable at the client, and final', async () => {
    const made = world({ authorize: () => 'not authorized' })
    await expect(made.connect()).rejects.toThrow(
      expect.objectContaining({ code: 'peer.refused', message: expect.stringContaining('refused: not authorized') }),
    )
    expect(made.links).toHaveLength(1)
    expect(made.accepted).toHaveLength(0)
  })

  test('an unknown version is refused and named', async () => {
    const { message } = await greet(world(), { version: 7 })
    expect(message.type).toBe(types.refused)
    expect(told(message)).toMatchObject({ code: 'version', reason: expect.stringContaining('you asked for 7') })
  })

  test('the resume token of another peer, a wrong one and none at all are refused alike', async () => {
    const made = world()
    const { message } = await greet(made, {})
    expect(message.type).toBe(types.welcome)
    const { session, token } = told(message)
    const answers = [
      await greet(made, { session, token }, 'thief'),
      await greet(made, { session, token: 'wrong' }),
      await greet(made, { session }),
      await greet(made, { session: 'none', token }),
    ]
    for (const { message: answer } of answers)
      expect([answer.type, told(answer)]).toEqual([types.refused, { code: 'expired', reason: 'there is no such session' }])
    const { message: own } = await greet(made, { session, token })
    expect(own.type).toBe(types.welcome)
    expect(made.accepted).toHaveLength(1)
  })

  test('a returning client that claims frames which never were ends its session', async () => {
    const made = world()
    const { session, token } = told((await greet(made, {})).message)
    const next = link()
    made.serve(next.server)
    next.client.duplex.resume()
    next.client.duplex.write(hello({ session, token }, 9))
    expect(await made.accepted[0]!.ended).toMatchObject({ why: 'garbage' })
  })

  test('sessions are bounded, of one peer and in all', async () => {
    const made = world({ settings: { maxSessions: 3, maxSessionsPerPeer: 2 } })
    await greet(made, {}, 'a')
    await greet(made, {}, 'a')
    expect(told((await greet(made, {}, 'a')).message)).toMatchObject({ code: 'busy' })
    await greet(made, {}, 'b')
    expect(told((await greet(made, {}, 'c')).message)).toMatchObject({ code: 'busy' })
    expect(made.server.count()).toBe(3)
  })

  test('a revoked peer loses every session within a second and does not come back', async () => {
    let reason: string | undefined
    const made = world({ authorize: () => reason })
    const [one, two] = [await made.connect(), await made.connect()]
    const other = await made.connect({}, 'other')
    reason = 'not authorized any more'
    const start = performance.now()
    expect(made.server.revoke('client')).toBe(2)
    expect(await one.ended).toEqual({ why: 'cut', problem: 'refused: not authorized any more' })
    expect(await two.ended).toEqual({ why: 'cut', problem: 'refused: not authorized any more' })
    expect(performance.now() - start).toBeLessThan(1_000)
    expect(made.server.count()).toBe(1)
    made.links.at(-1)!.cut(true) // and whoever was only cut is asked again when it comes back
    expect(await other.ended).toEqual({ why: 'cut', problem: 'refused: not authorized any more' })
    expect(made.links).toHaveLength(4)
    expect(made.server.count()).toBe(0)
  })
})

describe('a session by hand', () => {
  async function begun(): Promise<{ made: World; stream: PeerStream; got: ReturnType<typeof collector>; answers: Message[] }> {
    const made = world()
    const { client, server } = link()
    made.serve(server)
    const answers: Message[] = []
    const reader = new MessageReader()
    reader.maxFrameBytes = 1 << 20
    client.duplex.on('data', (chunk: Buffer) => reader.feed(chunk, (message) => answers.push(message) > 0))
    client.duplex.write(hello())
    await expect.poll(() => made.accepted.length).toBe(1)
    const got = collector()
    made.accepted[0]!.read(got)
    return { made, stream: client, got, answers }
  }

  test('a frame that comes twice is delivered once and acknowledged again', async () => {
    const { made, stream, got, answers } = await begun()
    for (const n of [1, 2, 1, 2, 3]) stream.duplex.write(messageBytes(types.frame, n, 0, frame(n).bytes))
    await expect.poll(() => answers.at(-1)?.ack).toBe(3)
    expect(got.frames.map(numberOf)).toEqual([1, 2, 3])
    expect(made.accepted[0]!.stats.duplicates).toBe(2)
  })

  test('a gap, an impossible acknowledgement, an early end, and a second greeting end it as garbage', async () => {
    for (const bad of [
      messageBytes(types.frame, 2, 0, frame(2).bytes),
      messageBytes(types.ack, 0, 99),
      messageBytes(types.close, 5, 0),
      hello(),
      messageBytes(types.frame, 1, 0, Buffer.from('[]')),
      Buffer.alloc(17, 0xff),
    ]) {
      const { made, stream, answers } = await begun()
      stream.duplex.write(bad)
      expect(await made.accepted[0]!.ended).toMatchObject({ why: 'garbage' })
      if (bad[0] !== 0xff) await expect.poll(() => answers.at(-1)?.type).toBe(types.refused)
      expect(made.server.count()).toBe(0)
    }
  })
})

describe('too large', () => {
  const small = { maxFrameBytes: 1_000, maxDepth: 8, maxElements: 100 }

  test('a request over the limit is answered with an error, a result is replaced by one, and the session lives on', async () => {
    const { accepted, connect } = world({ settings: { limits: small } })
    const client = await connect({})
    const [left, right] = [collector(), collector()]
    client.read(left)
    accepted[0]!.read(right)
    const pad = 'x'.repeat(2_000)
    client.write(scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 'q1', method: 'm', params: { pad } }))))
    accepted[0]!.write(scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 7, result: { pad } }))))
    client.write(frame(1))
    await expect.poll(() => [left.frames.length, right.frames.length]).toEqual([2, 1])
    const errors = left.frames.map((each) => JSON.parse(Buffer.from(each.bytes).toString()) as { id: unknown; error: { message: string } })
    expect(errors.map(({ id }) => id).sort()).toEqual([7, 'q1'])
    for (const { error } of errors) expect(error.message).toContain('larger than 1000 bytes')
    await client.close()
  })

  test('one that comes all the same ends the session', async () => {
    const { accepted, serve } = world({ settings: { limits: small } })
    const { client, server } = link()
    serve(server)
    client.duplex.resume()
    client.duplex.write(hello())
    client.duplex.write(messageBytes(types.frame, 1, 0, Buffer.alloc(1_001, 0x20)))
    await expect.poll(() => accepted.length).toBe(1)
    expect(await accepted[0]!.ended).toMatchObject({ why: 'tooLarge', problem: expect.stringContaining('1001') })
  })
})

describe('hostile bytes', () => {
  const settled = async (made: World): Promise<void> => {
    await made.server.close()
    expect(made.server.count()).toBe(0)
  }
  const message = fc.record({
    type: fc.integer({ min: 0, max: 10 }),
    seq: fc.oneof(fc.nat(4), fc.integer({ min: 0, max: 2 ** 48 - 1 })),
    ack: fc.oneof(fc.nat(4), fc.nat()),
    body: fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.json().map((text) => Buffer.from(text)),
    ),
  })
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc
      .array(message, { maxLength: 8 })
      .map((all) => Buffer.concat(all.map(({ type, seq, ack, body }) => messageBytes(type, seq, ack, body)))),
  )

  test('at the greeting and in mid-session, at the server: refused or ended, never a crash or a session left', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, fc.boolean(), async (hostile, isGreeted) => {
        const made = world({ settings: { closeWaitMs: 20 } })
        const { client, server } = link()
        made.serve(server)
        client.duplex.resume()
        if (isGreeted) client.duplex.write(hello())
        client.duplex.write(hostile)
        for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
        made.accepted[0]?.read(collector())
        client.duplex.destroy()
        await settled(made)
      }),
      { numRuns: 150 },
    )
  })

  test('at the client: connect fails or the wire ends, never a crash', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, fc.boolean(), async (hostile, isGreeted) => {
        const { client, server } = link()
        server.duplex.resume()
        const welcome = messageBytes(
          types.welcome,
          0,
          0,
          Buffer.from(JSON.stringify({ session: 's', token: 't', keepMs: 1, maxFrameBytes: 100 })),
        )
        let opened = 0
        const open = async (): Promise<PeerStream> => {
          if (opened++ > 0) throw new Error('gone')
          return client
        }
        const connecting = connectTunnel({ open, clock: systemClock, log: silentLog }, { closeWaitMs: 5, keepMs: 5 })
        server.duplex.write(isGreeted ? Buffer.concat([welcome, hostile]) : hostile)
        setImmediate(() => server.duplex.destroy())
        const wire = await connecting.catch((error: { code?: string }) => {
          expect(error.code).toMatch(/^(peer|tunnel)\./)
          return undefined
        })
        if (!wire) return
        wire.read(collector())
        await wire.ended
      }),
      { numRuns: 150 },
    )
  })

  test('a reader of messages gives the same ones however they are cut into chunks', () => {
    const good = fc.record({
      type: fc.constantFrom(...Object.values(types)),
      seq: fc.nat(),
      ack: fc.nat(),
      body: fc.uint8Array({ maxLength: 200 }),
    })
    fc.assert(
      fc.property(fc.array(good, { maxLength: 10 }), fc.infiniteStream(fc.integer({ min: 1, max: 90 })), (all, sizes) => {
        const whole = Buffer.concat(all.map(({ type, seq, ack, body }) => messageBytes(type, seq, ack, body)))
        const reader = new MessageReader()
        reader.maxFrameBytes = 200
        const got: Message[] = []
        for (let at = 0; at < whole.length;) {
          const size = sizes.next().value as number
          reader.feed(whole.subarray(at, at + size), (each) => got.push(each) > 0)
          at += size
        }
        expect(got.map(({ body, ...rest }) => ({ ...rest, body: [...body] }))).toEqual(
          all.map(({ body, ...rest }) => ({ ...rest, body: [...body] })),
        )
      }),
    )
  })
})

test('the wait before each attempt grows from 25 ms to 400 ms, and only when no session would wait any more, to 5 s', () => {
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
