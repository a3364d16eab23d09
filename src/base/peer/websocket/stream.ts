// A WebSocket as a stream of bytes, with back-pressure both ways: where its messages begin and end means nothing.
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { randomBytes } from '../../../kernel/random.ts'
import { FrameError, FrameReader, closeCodes, frameHead, mask, opcodes } from './frame.ts'

/** What a stream holds on each side, as a socket of ours does (libp2p.ts). */
const bufferBytes = 256 << 10
/** Pings are answered while no more than this waits to leave: whoever sends them and reads nothing gets no answer. */
const maxWaitingBytes = 64 << 10

export class WebSocketStream extends Duplex {
  readonly #socket: Socket
  readonly #isClient: boolean
  readonly #reader: FrameReader
  /** The write that waits for room, if there is one. */
  #onRoom: ((error?: Error) => void) | undefined
  #isClosing = false

  /** `early` are the bytes that came with the end of the negotiation. From here on nobody else may touch the socket. */
  constructor(socket: Socket, role: 'client' | 'server', early: Buffer) {
    super({ allowHalfOpen: false, readableHighWaterMark: bufferBytes, writableHighWaterMark: bufferBytes })
    this.#socket = socket
    this.#isClient = role === 'client'
    this.#reader = new FrameReader(this.#isClient ? 'server' : 'client', {
      data: (bytes) => {
        if (!this.push(bytes)) socket.pause()
      },
      control: (opcode, payload) => this.#onControl(opcode, payload),
    })
    socket.setNoDelay(true)
    socket.setKeepAlive(true)
    socket.on('error', (error) => this.destroy(error))
    socket.once('end', () => this.#over())
    socket.once('close', () => this.destroy())
    socket.on('drain', () => this.#roomCame())
    socket.on('data', (chunk: Buffer) => this.#onChunk(chunk))
    if (early.length > 0) this.#onChunk(early)
  }

  /** Of our end, to tell whether this machine still has it. */
  get localAddress(): string | undefined {
    return this.#socket.localAddress
  }

  #onChunk(chunk: Buffer): void {
    if (this.readableEnded || this.destroyed || this.#isClosing) return
    try {
      this.#reader.read(chunk)
    } catch (error) {
      if (error instanceof FrameError) this.#sayClose(error.closeCode)
      this.destroy(error as Error)
    }
  }

  #onControl(opcode: number, payload: Buffer): void {
    if (opcode === opcodes.close) {
      this.#sayClose(payload.length >= 2 ? payload.readUInt16BE(0) : closeCodes.normal)
      this.#over()
    } else if (opcode === opcodes.ping && !this.#isClosing && this.#socket.writableLength < maxWaitingBytes)
      this.#frame(opcodes.pong, [payload])
  }

  /** Nothing more comes. */
  #over(): void {
    this.#isClosing = true
    if (!this.readableEnded && !this.destroyed) this.push(null)
  }

  #sayClose(code: number, done: () => void = () => {}): void {
    if (this.#isClosing || !this.#socket.writable) return done()
    this.#isClosing = true
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(code)
    this.#frame(opcodes.close, [payload])
    this.#socket.end(done)
  }

  override _read(): void {
    if (this.#socket.isPaused()) this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send([chunk], done)
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  #send(pieces: readonly Buffer[], done: (error?: Error) => void): void {
    if (this.#isClosing) return done(new Error('the WebSocket is closed'))
    if (this.#frame(opcodes.binary, pieces)) done()
    else this.#onRoom = done
  }

  /** One whole frame; false when the socket is full. */
  #frame(opcode: number, pieces: readonly Uint8Array[]): boolean {
    const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0)
    if (this.#isClient) {
      const key = randomBytes(4)
      const payload = Buffer.concat(pieces, sizeBytes) // a copy: what is written still belongs to the writer
      mask(payload, key, 0)
      this.#socket.cork()
      this.#socket.write(frameHead(opcode, sizeBytes, key))
      const hasRoom = this.#socket.write(payload)
      this.#socket.uncork()
      return hasRoom
    }
    this.#socket.cork()
    let hasRoom = this.#socket.write(frameHead(opcode, sizeBytes))
    for (const piece of pieces) hasRoom = this.#socket.write(piece)
    this.#socket.uncork()
    return hasRoom
  }

  #roomCame(error?: Error): void {
    const onRoom = this.#onRoom
    this.#onRoom = undefined
    onRoom?.(error)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#sayClose(closeCodes.normal, done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    this.#roomCame(error ?? new Error('the WebSocket is closed'))
    done(error)
  }
}
