// What the tests of the tunnel stand on: links in memory that can be cut at any byte, a server with its clients, and greetings by hand.
import { Duplex } from 'node:stream'
import { type Clock, systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import type { Frame } from '../../wire/frame.ts'
import { scan } from '../../wire/scan.ts'
import type { Sink } from '../../wire/wire.ts'
import type { PeerStream } from '../host/host.ts'
import { type Message, MessageReader, messageBytes, types } from './message.ts'
import { connectTunnel } from './client.ts'
import { type AcceptTunnelsSettings, acceptTunnels } from './server.ts'
import { type Tunnel, type TunnelSettings, tunnelProtocol } from './tunnel.ts'

/** As a network has it: what is written as one arrives in pieces. */
const pieceBytes = 16 << 10

/** One end of a link in memory, with the back-pressure of a socket. */
export class End extends Duplex {
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
    let hasRoom = true
    for (let at = 0; at < passed.length; at += pieceBytes) hasRoom = this.other.push(passed.subarray(at, at + pieceBytes))
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

export type Link = {
  readonly client: PeerStream
  readonly server: PeerStream
  readonly ends: readonly [End, End]
  cut(cleanly: boolean): void
}

export function link(clientId = 'client', serverId = 'server'): Link {
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

export type World = {
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

export function world({
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

export const frame = (n: number, pad = 0): Frame =>
  scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', method: 'n', params: { n, pad: 'x'.repeat(pad) } })))
export const numberOf = (got: Frame): number => (JSON.parse(Buffer.from(got.bytes).toString()) as { params: { n: number } }).params.n

export function collector(): Sink & { readonly frames: Frame[] } {
  const frames: Frame[] = []
  return { frames, write: (got) => frames.push(got) > 0, room: () => Promise.resolve() }
}

export async function send(wire: Tunnel, from: number, to: number, pad: (n: number) => number = () => 0): Promise<void> {
  for (let n = from; n < to; n++) if (!wire.write(frame(n, pad(n)))) await wire.room()
}

/** A small generator of numbers that the printed seed replays. */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** A greeting by hand. */
export function hello(members: Record<string, unknown> = {}, seq = 0): Buffer {
  return messageBytes(types.hello, seq, seq, Buffer.from(JSON.stringify({ version: 1, maxFrameBytes: 8 << 20, ...members })))
}

/** Greets by hand and gives the first answer. */
export async function greet(
  made: World,
  members: Record<string, unknown>,
  from = 'client',
  seq = 0,
): Promise<{ message: Message; link: Link }> {
  const next = link(from)
  made.serve(next.server)
  const answer = new Promise<Message>((resolve) => {
    const reader = new MessageReader()
    next.client.duplex.on('data', (chunk: Buffer) => reader.feed(chunk, (message) => (resolve(message), false)))
  })
  next.client.duplex.write(hello(members, seq))
  return { message: await answer, link: next }
}
export const told = ({ body }: Message): Record<string, unknown> => JSON.parse(body.toString()) as Record<string, unknown>
