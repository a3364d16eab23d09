// A Node Duplex over a libp2p stream, with true back-pressure and half-close both ways. The numbers below are the pitfalls of
// js-libp2p 3.3 that were measured before this was written; stream.test.ts has a regression test under each number.
import { Duplex } from 'node:stream'
import type { Connection, Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import type { Clock } from '../../kernel/clock.ts'
import { ipOf, isCircuit } from './address.ts'
import type { PeerStream } from './host/host.ts'
import { sliceBytes, straightStream } from './savings.ts'

const bufferBytes = 64 << 10
/** How long `close()` waits for the other end before it drops the stream. */
const closeWaitMs = 2_000

class StreamDuplex extends Duplex {
  readonly #stream: Stream
  #wantsPause = false
  #isSettling = false
  /** The write that waits for room, if there is one. */
  #onRoom: ((error?: Error) => void) | undefined

  readonly #onBytes: (sizeBytes: number) => void

  constructor(stream: Stream, onBytes: (sizeBytes: number) => void) {
    super({ allowHalfOpen: true, readableHighWaterMark: bufferBytes, writableHighWaterMark: bufferBytes })
    this.#stream = stream
    this.#onBytes = onBytes
    straightStream(stream)
    stream.addEventListener('message', this.#onMessage) // 4: events, for `for await` knows no back-pressure; at once, for without a listener 4 MiB reset the stream
    stream.addEventListener('drain', this.#onDrain)
    stream.addEventListener('end', this.#onEnd)
    stream.addEventListener('close', this.#onClose)
    this.#endIfOver()
  }

  readonly #onMessage = (event: StreamMessageEvent): void => {
    if (this.destroyed || this.readableEnded) return
    this.#onBytes(event.data.byteLength)
    const pieces = event.data instanceof Uint8Array ? [event.data] : [...event.data]
    for (const piece of pieces) if (!this.push(piece)) this.#pauseOrResume(true)
    this.#endIfOver()
  }

  /** 8: what comes together with the end of the negotiation is put back after 'end' was said: there is no other sign that all of it has been read. */
  #endIfOver(): void {
    if (this.#stream.readableEnded && this.#stream.readBufferLength === 0) this.#onEnd()
  }

  readonly #onEnd = (): void => {
    const { status } = this.#stream
    if (status !== 'aborted' && status !== 'reset') this.push(null) // an abort says 'end' before it says 'close': only that has the reason
  }

  readonly #onClose = (event: StreamCloseEvent): void => {
    if (event.error) return void this.destroy(event.error)
    this.#onRoom?.(new Error('the stream ended before this was written'))
  }

  /** 3: whoever resumes gets its data, and may ask for a pause, inside resume(), which would then undo it. So one microtask later. */
  #pauseOrResume(wantsPause: boolean): void {
    this.#wantsPause = wantsPause
    if (this.#isSettling) return
    this.#isSettling = true
    queueMicrotask(() => {
      this.#isSettling = false
      const { readStatus } = this.#stream
      try {
        if (this.#wantsPause && readStatus === 'readable') this.#stream.pause()
        else if (!this.#wantsPause && readStatus === 'paused') this.#stream.resume()
      } catch {
        // it closed in the meantime: what it had was handed over before
      }
    })
  }

  override _read(): void {
    if (this.#wantsPause) this.#pauseOrResume(false)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(chunk, done)
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
    let sizeBytes = 0
    let count = 0
    while (count < chunks.length && sizeBytes + chunks[count]!.chunk.length <= sliceBytes) sizeBytes += chunks[count++]!.chunk.length
    const pieces = chunks.slice(0, Math.max(count, 1)).map(({ chunk }) => chunk)
    const rest = chunks.slice(pieces.length)
    this.#send(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, sizeBytes), (error) => {
      if (error || rest.length === 0) done(error)
      else this._writev(rest, done)
    })
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    const rest = bytes.subarray(sliceBytes)
    const next = (error?: Error): void => {
      this.#onRoom = undefined
      if (error) done(error)
      else if (rest.length > 0) this.#send(rest, done)
      else done()
    }
    try {
      this.#stream.send(bytes.subarray(0, sliceBytes))
    } catch (error) {
      return done(error as Error)
    }
    if (!this.#isFull()) return next()
    if (this.#stream.writeStatus === 'closed') return next(new Error('the stream ended before this was written'))
    this.#onRoom = next
  }

  #isFull(): boolean {
    return this.#stream.writableNeedsDrain || this.#stream.writeBufferLength > 0
  }

  /** 1: onDrain() is broken from its second call on; the event is right, but libp2p refills what it holds itself one microtask after it. */
  readonly #onDrain = (): void => {
    queueMicrotask(() => {
      if (!this.#isFull()) this.#onRoom?.()
    })
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.close().then(() => done(), done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#stream.removeEventListener('message', this.#onMessage)
    const isDone = this.#stream.status === 'closed' || this.#stream.status === 'aborted' || this.#stream.status === 'reset'
    if (!isDone) this.#stream.abort(error ?? new Error('dropped'))
    this.#onRoom?.(error ?? new Error('dropped'))
    done(error)
  }
}

/** Wraps a libp2p stream. From here on nobody else may touch it. `onBytes` is told how many arrive. */
export function peerStream(
  stream: Stream,
  connection: Connection,
  clock: Clock,
  onBytes: (sizeBytes: number) => void = () => {},
): PeerStream {
  const duplex = new StreamDuplex(stream, onBytes)
  duplex.on('error', () => {}) // who reads or writes sees it there; a stream that nobody holds any more must not end the process
  return {
    remotePeer: connection.remotePeer.toString(),
    remoteAddress: ipOf(connection.remoteAddr),
    isRelayed: isCircuit(connection),
    protocol: stream.protocol,
    duplex,
    close: () => closeBoth(duplex, clock),
    abort(what = 'stream') {
      duplex.destroy()
      const isIdle = (): boolean => !connection.streams.some((other) => other !== stream && other.status === 'open')
      if (what === 'connection' || (what === 'idle' && isIdle())) connection.abort(new Error('not needed any more, or found dead'))
    },
  }
}

/** 7: a stream that is closed on one side only still counts against the limit. */
export function closeBoth(duplex: Duplex, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    if (duplex.destroyed) return resolve()
    const cancel = clock.after(closeWaitMs, () => duplex.destroy())
    duplex.once('close', () => {
      cancel()
      resolve()
    })
    duplex.end()
    duplex.resume() // what still comes is nobody's
  })
}
