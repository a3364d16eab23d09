// One resumable event stream of a legacy session: what was written is kept, within bounds, until the client has surely seen it or comes back for it.
import type { ServerResponse } from 'node:http'
import type { Clock } from '../../../kernel/clock.ts'
import { randomId } from '../../../kernel/random.ts'
import { type Frame, asBuffer } from '../../wire/frame.ts'
import { defaultLimits } from '../../wire/walk.ts'
import type { Sink } from '../../wire/wire.ts'
import { eventOf, keepAliveComment, primingEvent } from './sse.ts'

const maxKeptEvents = 256
const maxKeptBytes = 1 << 20
const maxStreams = 32
/** How long a slow reader may hold up the writer before its connection is cut; the kept events stay fetchable. */
const patienceMs = 30_000
const awakeMs = 15_000
/** Beyond that patience, whoever takes less of an ended response than this is cut. */
const minBytesPerMs = 64
/** Bodies up to here are copied into a string. */
const maxTextBytes = 8_192
/** How far all readers of a door together may fall behind writers that do not wait for them, and what it keeps of streams that have ended. */
const maxAllBehindBytes = 256 << 20
const maxShelvedBytes = 64 << 20

export const streamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
} as const

/** What all streams of one door hold together, within bounds: bytes that readers are behind, and events of streams that have ended. */
export class StreamBudget {
  readonly #behind = new Map<ServerResponse, number>()
  #behindBytes = 0
  readonly #shelf = new Set<EventStream>()
  #shelvedBytes = 0
  readonly clock: Clock
  /** How far one reader may fall behind: two of the largest messages. */
  readonly #maxBehindBytes: number

  constructor(clock: Clock, maxFrameBytes = defaultLimits.maxFrameBytes) {
    this.clock = clock
    this.#maxBehindBytes = 2 * maxFrameBytes
  }

  /** Resolves when the response can take more, is gone, or has been cut for being slower than `patienceMs`. */
  room(response: ServerResponse): Promise<void> {
    if (!response.writableNeedDrain || isOver(response)) return Promise.resolve()
    return new Promise((resolve) => {
      const calm = this.clock.after(patienceMs, () => cut(response))
      const done = (): void => {
        calm()
        response.off('drain', done)
        response.off('close', done)
        resolve()
      }
      response.on('drain', done)
      response.on('close', done)
    })
  }

  /** Writes a comment now and then for as long as the response is open, so that nothing on the way takes it for dead. */
  keepAwake(response: ServerResponse): void {
    if (isOver(response)) return
    const calm = this.clock.after(awakeMs, () => {
      response.off('close', calm)
      if (isOver(response)) return // ended meanwhile: that is long before its last byte has left
      if (!response.writableNeedDrain) response.write(keepAliveComment)
      this.keepAwake(response)
    })
    response.once('close', calm)
  }

  /** Ends the response, with these last bytes. It stays there until its reader has taken what waits for it: one who takes nothing, or too little, is cut. */
  end(response: ServerResponse, last?: Uint8Array): void {
    if (isOver(response)) return
    // A string leaves in one write with the headers before it, bytes beside them in another.
    if (last && last.length <= maxTextBytes) response.end(asBuffer(last).toString('latin1'), 'latin1')
    else response.end(last)
    if (response.writableFinished || response.socket?.writableLength === 0) return // all of it is the system's
    const calm = this.clock.after(patienceMs + response.writableLength / minBytesPerMs, () => cut(response))
    response.once('finish', calm)
    response.once('close', calm)
  }

  /** Writes, and cuts whoever reads too slowly: this one, or the furthest behind when all together are too far. */
  write(response: ServerResponse, bytes: Uint8Array): boolean {
    if (isOver(response)) return true
    if (response.write(bytes)) return true
    if (!this.#behind.has(response)) {
      const done = (): void => {
        this.#behindBytes -= this.#behind.get(response) ?? 0
        this.#behind.delete(response)
        response.off('drain', done)
        response.off('close', done)
      }
      response.on('drain', done)
      response.on('close', done)
    }
    this.#behindBytes += response.writableLength - (this.#behind.get(response) ?? 0)
    this.#behind.set(response, response.writableLength)
    if (response.writableLength > this.#maxBehindBytes) cut(response)
    else if (this.#behindBytes > maxAllBehindBytes) cut([...this.#behind].reduce((most, one) => (one[1] > most[1] ? one : most))[0])
    return false
  }

  /** Keeps an ended stream for whoever comes back for it, until newer ones need the place. */
  shelve(stream: EventStream): void {
    this.#shelf.add(stream)
    this.#shelvedBytes += stream.keptBytes
    for (const oldest of this.#shelf) {
      if (this.#shelvedBytes <= maxShelvedBytes) return
      this.drop(oldest)
    }
  }

  drop(stream: EventStream): void {
    if (this.#shelf.delete(stream)) this.#shelvedBytes -= stream.keptBytes
    stream.forget()
  }
}

export class EventStream implements Sink {
  readonly id: string
  readonly #budget: StreamBudget
  readonly #retryMs: number
  #kept: { readonly seq: number; readonly event: Buffer }[] = []
  keptBytes = 0
  #lastSeq = 0
  /** The newest event that was written to a connection: a new listener begins behind it. */
  sentSeq = 0
  #response: ServerResponse | undefined
  isEnded = false
  isForgotten = false

  constructor(id: string, budget: StreamBudget, retryMs = 1_000) {
    this.id = id
    this.#budget = budget
    this.#retryMs = retryMs
  }

  get isAttached(): boolean {
    return this.#response !== undefined
  }

  has(seq: number): boolean {
    return seq <= this.#lastSeq && !this.isForgotten
  }

  write(frame: Frame): boolean {
    const seq = ++this.#lastSeq
    const event = eventOf(frame.bytes, `${this.id}-${seq}`)
    this.#kept.push({ seq, event })
    this.keptBytes += event.length
    while (this.#kept.length > 1 && (this.#kept.length > maxKeptEvents || this.keptBytes > maxKeptBytes))
      this.keptBytes -= this.#kept.shift()!.event.length
    if (!this.#response) return true
    this.sentSeq = seq
    return this.#budget.write(this.#response, event)
  }

  room(): Promise<void> {
    return this.#response ? this.#budget.room(this.#response) : Promise.resolve()
  }

  /**
   * Writes the head and everything kept after `afterSeq` to the response, and from then on what comes; an earlier connection is ended. `primes`: the
   * client knows events without data (2025-11-25), which give it an id to come back with before there is anything to say.
   */
  attach(response: ServerResponse, afterSeq: number, headers: Record<string, string>, primes: boolean): void {
    if (this.#response) this.#budget.end(this.#response)
    this.#response = undefined
    if (isOver(response)) return
    response.writeHead(200, { ...streamHeaders, ...headers })
    response.write(primes ? primingEvent(`${this.id}-${afterSeq}`, this.#retryMs) : keepAliveComment)
    for (const { seq, event } of this.#kept) if (seq > afterSeq) this.#budget.write(response, event)
    this.sentSeq = this.#lastSeq
    if (this.isEnded) return this.#budget.end(response)
    this.#response = response
    this.#budget.keepAwake(response)
    response.on('close', () => {
      if (this.#response === response) this.#response = undefined
    })
  }

  /** Ends the response but not the stream: the client comes back for the rest. */
  hangUp(retryMs: number): void {
    if (this.#response) this.#budget.end(this.#response, Buffer.from(`retry: ${retryMs}\n\n`))
    this.#response = undefined
  }

  end(): void {
    if (this.isEnded) return
    this.isEnded = true
    if (this.#response) this.#budget.end(this.#response)
    this.#budget.shelve(this)
  }

  forget(): void {
    this.isForgotten = true
    this.#kept = []
    this.keptBytes = 0
  }
}

/** Nothing more may be written to it: it was ended, or its connection is gone (a response that waits behind another one hears of that only here). */
function isOver(response: ServerResponse): boolean {
  return response.destroyed || response.writableEnded || response.req.socket.destroyed
}

/** With its connection: a response that waits behind another one has none of its own. */
function cut(response: ServerResponse): void {
  response.destroy()
  response.req.socket.destroy()
}

/** The streams of one session: the side stream for what belongs to no request, and one per request that needed a stream. */
export class SessionStreams {
  readonly side: EventStream
  readonly #budget: StreamBudget
  /** Event ids of an earlier life of this session must not be taken for ours. */
  readonly #prefix = randomId(6)
  readonly #streams = new Map<string, EventStream>()
  #next = 0

  constructor(budget: StreamBudget) {
    this.#budget = budget
    this.side = this.create()
  }

  create(): EventStream {
    const stream = new EventStream(`${this.#prefix}${this.#next++}`, this.#budget)
    this.#streams.set(stream.id, stream)
    if (this.#streams.size > maxStreams) this.#forgetOldest()
    return stream
  }

  /**
   * The stream that an event id belongs to, and the sequence number in it; undefined when it is not kept, or never was. The side stream of an earlier life
   * goes on as the one of this life.
   */
  find(eventId: string): { stream: EventStream; seq: number } | undefined {
    const [, prefix, number, seq] = /^([\w-]{8})(\d{1,12})-(\d{1,12})$/.exec(eventId) ?? []
    if (prefix === undefined) return undefined
    if (prefix !== this.#prefix) return number === '0' ? { stream: this.side, seq: this.side.sentSeq } : undefined
    const stream = this.#streams.get(prefix + number!)
    return stream?.has(Number(seq)) ? { stream, seq: Number(seq) } : undefined
  }

  /** Ends every stream and keeps nothing: the session is over. */
  endAll(): void {
    for (const stream of this.#streams.values()) {
      stream.end()
      this.#budget.drop(stream)
    }
  }

  #forgetOldest(): void {
    for (const stream of this.#streams.values()) {
      if (!stream.isEnded) continue
      this.#streams.delete(stream.id)
      return this.#budget.drop(stream)
    }
  }
}
