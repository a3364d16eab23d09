// The language-neutral cases of spec/vectors/tunnel: messages and streams as bytes, and whole conversations with each end, over sockets, by an other end that is written here from spec/tunnel.md.
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type Socket, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PeerStream } from '../../src/base/peer/host/host.ts'
import { MessageReader, messageBytes, types } from '../../src/base/peer/tunnel/message.ts'
import { connectTunnel } from '../../src/base/peer/tunnel/client.ts'
import { acceptTunnels } from '../../src/base/peer/tunnel/server.ts'
import { type Tunnel, tunnelProtocol } from '../../src/base/peer/tunnel/tunnel.ts'
import { scan } from '../../src/base/wire/scan.ts'
import { defaultLimits } from '../../src/base/wire/walk.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { type Fault, asFault } from '../../src/kernel/fault.ts'
import { silentLog } from '../../src/kernel/log.ts'

type Type = 'HELLO' | 'WELCOME' | 'REFUSED' | 'FRAME' | 'ACK' | 'PING' | 'CLOSE'
type Said = readonly [type: Type, seq: number, ack: number | null, body?: unknown]
type Step =
  | readonly ['open', stream: string, peer: string]
  | readonly ['dialled' | 'cut' | 'dropped', stream: string]
  | readonly ['send' | 'get', stream: string, message: Said]
  | readonly ['write' | 'read' | 'ended' | 'failed', text: string]
  | readonly ['close']
type Conversation = { readonly name: string; readonly steps: readonly Step[] }
type Expected = {
  readonly messages: readonly {
    readonly name: string
    readonly bytes: string
    readonly type: Type
    readonly seq: number
    readonly ack: number
    readonly body: string
  }[]
  readonly streams: readonly {
    readonly name: string
    readonly maxFrameBytes: number
    readonly bytes: string
    readonly read: number
    readonly outcome: string
  }[]
  readonly server: readonly Conversation[]
  readonly client: readonly Conversation[]
}

const expected = JSON.parse(readFileSync(join(import.meta.dirname, '../../spec/vectors/tunnel/expected.json'), 'utf8')) as Expected
const typeNames: readonly string[] = ['', 'HELLO', 'WELCOME', 'REFUSED', 'FRAME', 'ACK', 'PING', 'CLOSE']
const patienceMs = 5_000

test.each(expected.messages)('$name, written and read', ({ bytes, type, seq, ack, body }) => {
  const number = typeNames.indexOf(type)
  expect(number).toBe(types[type.toLowerCase() as keyof typeof types])
  expect(messageBytes(number, seq, ack, Buffer.from(body)).toString('hex')).toBe(bytes)
  const reader = new MessageReader()
  reader.maxFrameBytes = 1_000
  const read: unknown[] = []
  for (const byte of Buffer.from(bytes, 'hex'))
    reader.feed(Buffer.of(byte), (message) => read.push({ ...message, body: message.body.toString() }) > 0)
  expect(read).toEqual([{ type: number, seq, ack, body }])
})

test.each(expected.streams)('a stream with $name: $outcome', ({ maxFrameBytes, bytes: hex, read, outcome }) => {
  const bytes = Buffer.from(hex, 'hex')
  const reader = new MessageReader()
  reader.maxFrameBytes = maxFrameBytes
  let count = 0
  let usedBytes = 0
  let how = ''
  try {
    reader.feed(bytes, ({ body }) => {
      usedBytes += 17 + body.length
      return ++count > 0
    })
  } catch (error) {
    how = asFault(error).code === 'tunnel.too_large' ? 'too large' : 'garbage'
  }
  expect({ read: count, outcome: how || (usedBytes < bytes.length ? 'more' : 'whole') }).toEqual({ read, outcome })
})

const folder = mkdtempSync(join(tmpdir(), 'tunnel-spec-'))
const listener = createServer({ allowHalfOpen: true })
beforeAll(() => new Promise<void>((resolve) => listener.listen(join(folder, 'socket'), resolve)))
afterAll(() => {
  listener.close()
  rmSync(folder, { recursive: true })
})

/** Two ends of a stream: the one for the end that is tested, as a host would give it, and the other, raw. */
async function streamPair(remotePeer: string): Promise<{ readonly tested: PeerStream; readonly ours: Socket }> {
  const ours = connect({ path: join(folder, 'socket'), allowHalfOpen: true })
  const [duplex] = (await once(listener, 'connection')) as [Socket]
  for (const end of [ours, duplex]) end.on('error', () => {})
  const close = (): Promise<void> => new Promise((resolve) => duplex.end(resolve))
  return {
    tested: {
      remotePeer,
      remoteAddress: '127.0.0.1',
      isRelayed: false,
      protocol: tunnelProtocol,
      duplex,
      close,
      abort: () => void duplex.destroy(),
    },
    ours,
  }
}

/** Things that come and are taken in order; `next` waits for the next one. */
class Queue<Item> {
  readonly #items: Item[] = []
  readonly #waiting: ((item: Item) => void)[] = []

  push(item: Item): void {
    const taker = this.#waiting.shift()
    if (taker) taker(item)
    else this.#items.push(item)
  }

  async next(what: string): Promise<Item> {
    if (this.#items.length > 0) return this.#items.shift()!
    const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`${what} did not come`)), patienceMs).unref())
    return Promise.race([new Promise<Item>((resolve) => this.#waiting.push(resolve)), late])
  }
}

type Got = { readonly type: string; readonly seq: number; readonly ack: number; readonly body: string } | 'dropped'

/** The other end, by the prose of §2 alone. */
function rawEnd(socket: Socket): { readonly socket: Socket; readonly got: Queue<Got> } {
  const got = new Queue<Got>()
  let held = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    held = Buffer.concat([held, chunk as Buffer])
    while (held.length >= 17 && held.length >= 17 + held.readUInt32BE(13)) {
      const end = 17 + held.readUInt32BE(13)
      const type = typeNames[held[0]!]!
      if (type !== 'ACK' && type !== 'PING')
        got.push({ type, seq: held.readUIntBE(1, 6), ack: held.readUIntBE(7, 6), body: held.toString('utf8', 17, end) })
      held = held.subarray(end)
    }
  })
  socket.on('end', () => got.push('dropped'))
  return { socket, got }
}

const limits = { ...defaultLimits, maxFrameBytes: 1_000 }
const settings = { limits, closeWaitMs: 2_000 }

/** One end under test, with those who use it: played through one conversation. */
class Stage {
  readonly #raw = new Map<string, ReturnType<typeof rawEnd>>()
  readonly #names = new Map<string, unknown>()
  readonly #dialled = new Queue<Socket>()
  readonly #read = new Queue<string>()
  readonly #failed = new Queue<string>()
  readonly #wires = new Queue<Tunnel>()
  #wire: Tunnel | undefined
  #serve: (stream: PeerStream) => void = () => {}
  #isOver = false

  serve(): void {
    const host = { handle: (_: string, accept: (stream: PeerStream) => void) => void (this.#serve = accept) }
    const authorize = (peer: string): string | undefined => (peer === 'known' ? undefined : 'not on the list')
    acceptTunnels({ host, clock: systemClock, log: silentLog, authorize, accept: (wire) => this.#use(wire) }, settings)
  }

  dial(): void {
    const open = async (): Promise<PeerStream> => {
      if (this.#isOver) throw new Error('the conversation is over') // a client that was left would go on dialling into the next one
      const { tested, ours } = await streamPair('server')
      this.#dialled.push(ours)
      return tested
    }
    connectTunnel({ open, clock: systemClock, log: silentLog }, settings).then(
      (wire) => this.#use(wire),
      (error: Fault) => this.#failed.push(String(error.details['code'])),
    )
  }

  #use(wire: Tunnel): void {
    this.#wires.push(wire)
    wire.read({ write: (frame) => (this.#read.push(Buffer.from(frame.bytes).toString()), true), room: () => Promise.resolve() })
  }

  async #user(): Promise<Tunnel> {
    return (this.#wire ??= await this.#wires.next('a session'))
  }

  async play(step: Step): Promise<void> {
    switch (step[0]) {
      case 'open': {
        const { tested, ours } = await streamPair(step[2])
        this.#raw.set(step[1], rawEnd(ours))
        return this.#serve(tested)
      }
      case 'dialled':
        return void this.#raw.set(step[1], rawEnd(await this.#dialled.next('a stream')))
      case 'send': {
        const [type, seq, ack, body] = this.#filled(step[2]) as Said
        const bytes = body === undefined ? '' : type === 'FRAME' ? (body as string) : JSON.stringify(body)
        return void this.#raw.get(step[1])!.socket.write(messageBytes(typeNames.indexOf(type), seq, ack!, Buffer.from(bytes)))
      }
      case 'get': {
        const [type, seq, ack, body] = step[2]
        const got = await this.#raw.get(step[1])!.got.next(`${type} ${seq}`)
        if (got === 'dropped') throw new Error(`the stream was dropped where ${type} ${seq} was to come`)
        expect({ type: got.type, seq: got.seq, ack: ack === null ? null : got.ack }).toEqual({ type, seq, ack })
        if (body !== undefined) this.#match(JSON.parse(got.body), type === 'FRAME' ? JSON.parse(body as string) : body)
        return
      }
      case 'cut':
        return void this.#raw.get(step[1])!.socket.end()
      case 'dropped':
        expect(await this.#raw.get(step[1])!.got.next('the end of the stream')).toBe('dropped')
        return
      case 'write':
        return void (await this.#user()).write(scan(Buffer.from(step[1]), defaultLimits))
      case 'close':
        return void (await this.#user()).close()
      case 'read':
        return this.#match(JSON.parse(await this.#read.next('a frame')), JSON.parse(step[1]))
      case 'ended':
        expect((await (await this.#user()).ended).why).toBe(step[1])
        return
      case 'failed':
        expect(await this.#failed.next('a refusal')).toBe(step[1])
        return
    }
  }

  /** A name stands for what came there first. */
  #match(found: unknown, wanted: unknown): void {
    if (typeof wanted === 'string' && wanted.startsWith('$')) {
      if (!this.#names.has(wanted)) this.#names.set(wanted, found)
      expect(found).toBe(this.#names.get(wanted))
    } else if (typeof wanted === 'object' && wanted !== null) {
      for (const [key, inner] of Object.entries(wanted)) this.#match((found as Record<string, unknown>)[key], inner)
    } else expect(found).toBe(wanted)
  }

  #filled(value: unknown): unknown {
    if (typeof value === 'string' && value.startsWith('$')) return this.#names.get(value)
    if (Array.isArray(value)) return value.map((item) => this.#filled(item))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.#filled(inner)]))
  }

  end(): void {
    this.#isOver = true
    for (const { socket } of this.#raw.values()) socket.destroy()
    void this.#wire?.close()
  }
}

describe.each(['server', 'client'] as const)('a conversation with the %s', (which) => {
  test.each(expected[which])('$name', async ({ steps }) => {
    const stage = new Stage()
    if (which === 'server') stage.serve()
    else stage.dial()
    try {
      for (const [at, step] of steps.entries()) {
        await stage.play(step).catch((error: unknown) => {
          throw new Error(`step ${at}, ${JSON.stringify(step)}: ${(error as Error).message}`, { cause: error })
        })
      }
    } finally {
      stage.end()
    }
  })
})
