// One resumable event stream of a legacy session: what was written is kept, within bounds, until the client has surely seen it or comes back for it.
import type { ServerResponse } from 'node:http'
import type { Frame } from '../wire/frame.ts'
import type { Sink } from '../wire/wire.ts'
import { eventOf, keepAliveComment, primingEvent } from './sse.ts'

const maxKeptEvents = 256
const maxKeptBytes = 1 << 20
const maxStreams = 32
/** How long a slow reader may hold up the writer before its connection is cut; the kept events stay fetchable. */
const patienceMs = 30_000

export const streamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
} as const

/** Resolves when the response can take more, is gone, or has been cut for being slower than `patienceMs`. */
export function roomIn(response: ServerResponse): Promise<void> {
  if (!response.writableNeedDrain || response.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(() => response.destroy(), patienceMs)
    const done = (): void => {
      clearTimeout(timer)
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}

export class EventStream implements Sink {
  readonly id: string
  readonly retryMs: number
  #kept: { readonly seq: number; readonly frame: Frame }[] = []
  keptBytes = 0
  #seq = 0
  #response: ServerResponse | undefined
  isEnded = false

  constructor(id: string, retryMs = 1_000) {
    this.id = id
    this.retryMs = retryMs
  }

  get isAttached(): boolean {
    return this.#response !== undefined
  }

  write(frame: Frame): boolean {
    const seq = ++this.#seq
    this.#kept.push({ seq, frame })
    this.keptBytes += frame.bytes.length
    while (this.#kept.length > 1 && (this.#kept.length > maxKeptEvents || this.keptBytes > maxKeptBytes))
      this.keptBytes -= this.#kept.shift()!.frame.bytes.length
    return this.#response?.write(eventOf(frame.bytes, `${this.id}-${seq}`)) ?? true
  }

  room(): Promise<void> {
    return this.#response ? roomIn(this.#response) : Promise.resolve()
  }

  /** Writes the head and everything kept after `afterSeq` to the response, and from then on what comes. */
  attach(response: ServerResponse, afterSeq: number, headers: Record<string, string>): void {
    response.writeHead(200, { ...streamHeaders, ...headers })
    response.write(primingEvent(`${this.id}-${afterSeq}`, this.retryMs))
    for (const { seq, frame } of this.#kept) if (seq > afterSeq) response.write(eventOf(frame.bytes, `${this.id}-${seq}`))
    if (this.isEnded) return void response.end()
    this.#response = response
    const keepAlive = setInterval(() => response.write(keepAliveComment), 15_000).unref()
    response.on('close', () => {
      clearInterval(keepAlive)
      if (this.#response === response) this.#response = undefined
    })
  }

  /** Ends the response but not the stream: the client comes back for the rest. */
  hangUp(retryMs: number): void {
    this.#response?.write(`retry: ${retryMs}\n\n`)
    this.#response?.end()
    this.#response = undefined
  }

  end(): void {
    this.isEnded = true
    this.#response?.end()
  }
}

/** The streams of one session: the side stream `0` for what belongs to no request, and one per request that needed a stream. */
export class SessionStreams {
  readonly side = new EventStream('0')
  readonly #streams = new Map<string, EventStream>([['0', this.side]])
  #next = 1

  create(): EventStream {
    const stream = new EventStream(String(this.#next++))
    this.#streams.set(stream.id, stream)
    if (this.#streams.size > maxStreams) this.#forgetOldest()
    return stream
  }

  /** The stream that an event id belongs to, and the sequence number in it. */
  find(eventId: string): { stream: EventStream; seq: number } | undefined {
    const [, id, seq] = /^(\d{1,12})-(\d{1,12})$/.exec(eventId) ?? []
    const stream = id === undefined ? undefined : this.#streams.get(id)
    return stream && { stream, seq: Number(seq) }
  }

  endAll(): void {
    for (const stream of this.#streams.values()) stream.end()
  }

  #forgetOldest(): void {
    for (const stream of this.#streams.values()) {
      if (!stream.isEnded) continue
      this.#streams.delete(stream.id)
      return
    }
  }
}
