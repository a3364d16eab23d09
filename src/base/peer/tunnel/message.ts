// The messages of a tunnel as bytes, and a channel that sends and reads them over one stream.
//
// Every message is a header of 17 bytes, big-endian, and a body:
//
//   offset  size  field
//   0       1     type: see `types`
//   1       6     seq: the number of this frame, from 1; in HELLO, WELCOME and CLOSE the number of the last frame (see there)
//   7       6     ack: every frame of the other side up to this number was handed to its reader, and counts no more against the window
//   13      4     length of the body
//
//   1 HELLO    first message of the client. seq: the last frame it has received. Body: JSON `Hello`
//   2 WELCOME  the answer. seq: the last frame the server has received. Body: JSON `Welcome`. Each side goes on after the other's seq
//   3 REFUSED  the other answer, and at any later time the end of the session. Body: JSON `Refusal`. Final
//   4 FRAME    body: one JSON-RPC message, 1 to maxFrameBytes
//   5 ACK      carries ack alone
//   6 PING     carries ack alone. Each side sends one after the greeting and every 5 s (0.5 s while frames move): a path on which nothing came for two of the long ones is dead
//   7 CLOSE    the sender is done. seq: its last frame. Answered with CLOSE. A stream that ends without it was cut, and the session waits
//
// Unacknowledged frames of one side stay under 4 MiB and 1,024, but for one frame that may begin below and end above.
import { faults } from '../../../kernel/fault.ts'
import { Share } from '../../wire/budget.ts'
import { keptBytes } from '../../wire/cut-line.ts'
import type { ScanLimits } from '../../wire/walk.ts'
import type { Dropped, PeerStream } from '../host/host.ts'

export const types = { hello: 1, welcome: 2, refused: 3, frame: 4, ack: 5, ping: 6, close: 7 } as const
export const version = 1
export const windowBytes = 4 << 20
export const windowFrames = 1_024
const headerBytes = 17
const maxControlBytes = 4 << 10

export const fault = faults('tunnel', {
  garbage: (d: { problem: string }) => ({ kind: 'usage', message: `the other end does not speak the tunnel protocol: ${d.problem}` }),
  too_large: (d: { sizeBytes: number; maxBytes: number }) => ({
    kind: 'limited',
    message: `a frame of ${d.sizeBytes} bytes came, where ${d.maxBytes} are allowed`,
  }),
})

export type Message = {
  readonly type: number
  readonly seq: number
  readonly ack: number
  readonly body: Buffer
  /** A frame that there was no room for: its first and last bytes are all that was kept. */
  readonly cut?: { readonly head: Buffer; readonly tail: Buffer }
}
/** `session` and `token` are there when the client comes back. */
export type Hello = { readonly version: number; readonly maxFrameBytes: number; readonly session?: string; readonly token?: string }
export type Welcome = {
  readonly session: string
  readonly token: string
  readonly keepMs: number
  readonly maxFrameBytes: number
  /** The protocol at which this very server is found, where several serve under one peer id. */
  readonly at?: string
}
/** `expired`: no such session (any more); the others say in `reason` what a person should read. */
export type Refusal = { readonly code: 'denied' | 'version' | 'busy' | 'expired' | 'garbage'; readonly reason: string }

/** A frame that is read past: its ends are kept. */
type Past = { readonly seq: number; readonly ack: number; leftBytes: number; head: Buffer; tail: Buffer }

/** Cuts a stream of bytes into messages. Holds no more than has arrived. */
export class MessageReader {
  /** 0 until both sides have greeted: who has not is not listened to for megabytes. */
  maxFrameBytes = 0
  #chunks: Buffer[] = []
  #sizeBytes = 0
  #wantedBytes = headerBytes
  /** What a frame that has begun takes of the budget. */
  #share = new Share(undefined)
  /** A frame that is read past. */
  #past: Past | undefined

  /** What frames may come, once both sides have greeted. */
  set limits({ maxFrameBytes, budget }: Pick<ScanLimits, 'maxFrameBytes' | 'budget'>) {
    this.maxFrameBytes = maxFrameBytes
    this.#share = new Share(budget)
  }

  /** Lets go of what has not come whole. */
  close(): void {
    this.#chunks = []
    this.#sizeBytes = 0
    this.#past = undefined
    this.#share.giveAll()
  }

  /** Hands over each message that is whole, until `take` says false. Faults: `tunnel.garbage`, `tunnel.too_large`. */
  feed(fed: Buffer, take: (message: Message) => boolean): void {
    const chunk = this.#past ? this.#readPast(this.#past, fed, take) : fed
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#sizeBytes += chunk.length
    if (this.#sizeBytes < this.#wantedBytes) {
      if (!this.#share.grow(this.#sizeBytes)) this.#beginPast()
      return
    }
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#sizeBytes)
    let at = 0
    this.#wantedBytes = headerBytes
    while (bytes.length - at >= headerBytes) {
      const length = this.#checked(bytes, at)
      if (bytes.length - at < headerBytes + length) {
        this.#wantedBytes = headerBytes + length
        break
      }
      this.#share.giveAll()
      const body = bytes.subarray(at + headerBytes, at + headerBytes + length)
      const message = {
        type: bytes[at]!,
        seq: bytes.readUIntBE(at + 1, 6),
        ack: bytes.readUIntBE(at + 7, 6),
        body: length * 4 < bytes.length ? Buffer.from(body) : body,
      }
      at += headerBytes + length
      if (!take(message)) break
    }
    this.#chunks = at < bytes.length ? [bytes.subarray(at)] : []
    this.#sizeBytes = bytes.length - at
  }

  /** What has come of a frame is let go, and the rest read past. */
  #beginPast(): void {
    const bytes = Buffer.concat(this.#chunks, this.#sizeBytes)
    const leftBytes = this.#wantedBytes - headerBytes
    this.#past = { seq: bytes.readUIntBE(1, 6), ack: bytes.readUIntBE(7, 6), leftBytes, head: Buffer.alloc(0), tail: Buffer.alloc(0) }
    this.#chunks = []
    this.#sizeBytes = 0
    this.#wantedBytes = headerBytes
    this.#share.giveAll()
    this.#readPast(this.#past, bytes.subarray(headerBytes), () => true) // never to its end
  }

  /** Answers what comes after it. */
  #readPast(past: Past, chunk: Buffer, take: (message: Message) => boolean): Buffer {
    const piece = chunk.subarray(0, past.leftBytes)
    past.leftBytes -= piece.length
    if (past.head.length < keptBytes) past.head = Buffer.concat([past.head, piece.subarray(0, keptBytes - past.head.length)])
    past.tail = Buffer.concat([past.tail, piece.subarray(-keptBytes)]).subarray(-keptBytes)
    if (past.leftBytes > 0) return chunk.subarray(piece.length)
    this.#past = undefined
    const { seq, ack, head, tail } = past
    const isOver = !take({ type: types.frame, seq, ack, body: Buffer.alloc(0), cut: { head, tail } })
    return isOver ? Buffer.alloc(0) : chunk.subarray(piece.length)
  }

  /** The body's length, after a look at what stands in the header: a body that may not be is not waited for. */
  #checked(bytes: Buffer, at: number): number {
    const type = bytes[at]!
    const length = bytes.readUInt32BE(at + 13)
    if (type < types.hello || type > types.close) throw fault.garbage({ problem: `an unknown message type ${type}` })
    if (type === types.frame && length > this.maxFrameBytes) throw fault.too_large({ sizeBytes: length, maxBytes: this.maxFrameBytes })
    if (type !== types.frame && length > maxControlBytes) throw fault.garbage({ problem: `a message of type ${type} with ${length} bytes` })
    return length
  }
}

/** One message, its body copied. */
export function messageBytes(type: number, seq: number, ack: number, body: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.allocUnsafe(headerBytes + body.length)
  writeHeader(bytes, type, seq, ack, body.length)
  bytes.set(body, headerBytes)
  return bytes
}

function writeHeader(into: Buffer, type: number, seq: number, ack: number, length: number): void {
  into[0] = type
  into.writeUIntBE(seq, 1, 6)
  into.writeUIntBE(ack, 7, 6)
  into.writeUInt32BE(length, 13)
}

/** The body of a control message. */
export function jsonBytes(value: Hello | Welcome | Refusal): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** Reads the JSON body of a control message, whose members the caller checks; fault `tunnel.garbage`. */
export function bodyOf(message: Message): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(message.body.toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // told below
  }
  throw fault.garbage({ problem: 'a control message whose body is no JSON object' })
}

const maxReasonLength = 500

/** What a REFUSED says; a refusal that cannot be read is one all the same. */
export function refusalOf(message: Message): { readonly code: string; readonly reason: string } {
  let body: Readonly<Record<string, unknown>> = {}
  try {
    body = bodyOf(message)
  } catch {
    // nothing to read
  }
  const { code, reason } = body
  return {
    code: typeof code === 'string' ? code : 'denied',
    reason: typeof reason === 'string' ? reason.slice(0, maxReasonLength) : 'it gave no reason',
  }
}

export type Listener = {
  message(message: Message): void
  /** Once: the stream ended, broke, or (with an error that is ours) brought something that is no message. */
  lost(problem: string, error?: unknown): void
  /** There is room again after `isFull`. */
  drained(): void
}

const copyBytes = 16 << 10

/** One stream of a tunnel. Who listens may change between two messages. */
export class Channel {
  readonly stream: PeerStream
  /** Bytes that came, whole messages or not: a sign of life. */
  bytesIn = 0
  readonly #reader = new MessageReader()
  #listener: Listener | undefined
  #isLost = false
  readonly #uncork = (): void => this.stream.duplex.uncork()

  constructor(stream: PeerStream, greeter: Listener) {
    this.stream = stream
    this.#listener = greeter
    const { duplex } = stream
    const take = (message: Message): boolean => {
      this.#listener?.message(message)
      return !this.#isLost
    }
    duplex.on('data', (chunk: Buffer) => {
      this.bytesIn += chunk.length
      if (this.#isLost) return
      try {
        this.#reader.feed(chunk, take)
      } catch (error) {
        this.#lose((error as Error).message, error)
      }
    })
    duplex.on('drain', () => this.#listener?.drained())
    duplex.on('end', () => this.#lose('the stream ended'))
    duplex.on('error', (error: Error) => this.#lose(error.message))
    duplex.on('close', () => this.#lose('the stream was dropped'))
  }

  /** After the greeting: frames within the limits may come, and go to `listener`. */
  listen(listener: Listener, limits: Pick<ScanLimits, 'maxFrameBytes' | 'budget'>): void {
    this.#listener = listener
    this.#reader.limits = limits
  }

  get isFull(): boolean {
    return this.stream.duplex.writableNeedDrain
  }

  /** What is sent in one tick leaves together. */
  send(type: number, seq: number, ack: number, body?: Uint8Array): void {
    const { duplex } = this.stream
    if (this.#isLost || duplex.destroyed || duplex.writableEnded) return
    if (duplex.writableCorked === 0) {
      duplex.cork()
      process.nextTick(this.#uncork)
    }
    if (!body || body.length <= copyBytes) return void duplex.write(messageBytes(type, seq, ack, body))
    const header = Buffer.allocUnsafe(headerBytes)
    writeHeader(header, type, seq, ack, body.length)
    duplex.write(header)
    duplex.write(body)
  }

  /** Lets what was sent leave, then ends the stream. Nothing is heard of it any more. */
  end(): void {
    this.#forget()
    void this.stream.close()
  }

  /** Drops the stream at once, and what `PeerStream.abort` says with it. Nothing is heard of it any more. */
  drop(what: Dropped = 'stream'): void {
    this.#forget()
    this.stream.abort(what)
  }

  #forget(): void {
    this.#isLost = true
    this.#listener = undefined
    this.#reader.close()
  }

  #lose(problem: string, error?: unknown): void {
    if (this.#isLost) return
    const listener = this.#listener
    this.#forget()
    listener?.lost(problem, error)
  }
}
