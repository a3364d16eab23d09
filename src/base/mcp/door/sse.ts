// Server-sent events (WHATWG HTML §9.2), both directions: reads a byte stream into events, and writes a frame as one.
import { asBuffer } from '../../wire/frame.ts'

export type SseEvent = {
  readonly id: string | undefined
  readonly event: string
  readonly data: Buffer
  readonly retryMs: number | undefined
}

/** Of one event: each costs a multiple of its bytes, and a message needs but one. */
const maxDataLines = 1 << 16

const lineFeed = 0x0a
const carriageReturn = 0x0d

/**
 * Feeds chunks in, hands whole events out. `data` lines are joined as bytes, so that what a server sent in one line arrives unchanged.
 * Returns false from `take` when an event grew over `maxBytes`, or over `maxDataLines`: the stream is then unusable.
 */
export class SseReader {
  readonly #onEvent: (event: SseEvent) => void
  readonly #maxBytes: number
  #partial: Buffer[] = []
  #partialBytes = 0
  #skipLineFeed = false
  #data: Buffer[] = []
  #dataBytes = 0
  #hasFields = false
  #event = ''
  #id: string | undefined
  #retryMs: number | undefined

  constructor(maxBytes: number, onEvent: (event: SseEvent) => void) {
    this.#maxBytes = maxBytes
    this.#onEvent = onEvent
  }

  take(chunk: Buffer): boolean {
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]
      if (byte !== lineFeed && byte !== carriageReturn) {
        this.#skipLineFeed = false
        const next = nextBreak(chunk, at)
        at = next - 1
        continue
      }
      if (byte === lineFeed && this.#skipLineFeed) {
        this.#skipLineFeed = false
        from = at + 1
        continue
      }
      const piece = chunk.subarray(from, at)
      this.#line(this.#partialBytes > 0 ? Buffer.concat([...this.#partial, piece]) : piece)
      this.#partial = []
      this.#partialBytes = 0
      from = at + 1
      this.#skipLineFeed = byte === carriageReturn
    }
    if (from < chunk.length) {
      this.#partial.push(chunk.subarray(from))
      this.#partialBytes += chunk.length - from
    }
    return this.heldBytes <= this.#maxBytes
  }

  /** Bytes of the event that has begun. */
  get heldBytes(): number {
    return this.#partialBytes + this.#dataBytes
  }

  #line(line: Buffer): void {
    if (line.length === 0) return this.#dispatch()
    const colon = line.indexOf(0x3a)
    if (colon === 0) return
    const name = line.toString('latin1', 0, colon < 0 ? line.length : colon)
    const start = colon < 0 ? line.length : line[colon + 1] === 0x20 ? colon + 2 : colon + 1
    const value = line.subarray(start)
    if (name === 'data') {
      this.#dataBytes += value.length + (this.#data.length > 0 ? 1 : 0) // with the line break between two
      if (this.#data.length >= maxDataLines) this.#dataBytes = Infinity
      else this.#data.push(value)
      this.#hasFields = true
    } else if (name === 'event') this.#event = value.toString('utf8')
    else if (name === 'id') {
      if (!value.includes(0)) this.#id = value.toString('utf8')
      this.#hasFields = true
    } else if (name === 'retry' && /^\d{1,9}$/.test(value.toString('latin1'))) {
      this.#retryMs = Number(value.toString('latin1'))
      this.#hasFields = true
    }
  }

  #dispatch(): void {
    const data =
      this.#data.length === 1
        ? this.#data[0]!
        : Buffer.concat(this.#data.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from('\n'), part])))
    const event: SseEvent = { id: this.#id, event: this.#event || 'message', data, retryMs: this.#retryMs }
    const hasFields = this.#hasFields
    this.#data = []
    this.#dataBytes = 0
    this.#event = ''
    this.#id = undefined
    this.#retryMs = undefined
    this.#hasFields = false
    if (hasFields) this.#onEvent(event)
  }
}

function nextBreak(chunk: Buffer, from: number): number {
  const feed = chunk.indexOf(lineFeed, from)
  const end = feed < 0 ? chunk.length : feed
  const back = chunk.subarray(from, end).indexOf(carriageReturn)
  return back < 0 ? end : from + back
}

/** A frame as one event. The frame holds no line break outside strings, and strings hold none raw, so one `data` line is enough. */
export function eventOf(bytes: Uint8Array, id?: string): Buffer {
  const head = id === undefined ? 'event: message\ndata: ' : `id: ${id}\nevent: message\ndata: `
  return Buffer.concat([Buffer.from(head), asBuffer(bytes), Buffer.from('\n\n')])
}

/** An event without content that gives the client an id to come back with, and how long to wait before (SEP-1699). */
export function primingEvent(id: string, retryMs: number): Buffer {
  return Buffer.from(`id: ${id}\nretry: ${retryMs}\ndata: \n\n`)
}

/** A line that readers ignore: keeps the connection from looking dead. */
export const keepAliveComment = Buffer.from(': keep-alive\n\n')
