// The two streams of a process as podman sends them over one connection, taken apart into bytes, and into lines with their time.
import { StringDecoder } from 'node:string_decoder'
import type { LogLine } from '../runtime.ts'

type Stream = 'stdout' | 'stderr'
export type Piece = { readonly stream: Stream; readonly bytes: Buffer }

const headBytes = 8
const maxLineLength = 16 << 10

/**
 * Takes frames apart: one byte for the stream (2 is stderr), three of nothing, four for the length, then so many bytes. What is cut off at the end is given as it is. The
 * memory that it takes is that of one chunk: a frame is never gathered whole.
 */
export async function* piecesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Piece> {
  let head = Buffer.alloc(0)
  let leftBytes = 0
  let stream: Stream = 'stdout'
  for await (let chunk of chunks) {
    while (chunk.length > 0) {
      if (leftBytes === 0) {
        const taken = chunk.subarray(0, headBytes - head.length)
        head = Buffer.concat([head, taken])
        chunk = chunk.subarray(taken.length)
        if (head.length < headBytes) break
        stream = head[0] === 2 ? 'stderr' : 'stdout'
        leftBytes = head.readUInt32BE(4)
        head = Buffer.alloc(0)
      } else {
        const bytes = chunk.subarray(0, leftBytes)
        leftBytes -= bytes.length
        chunk = chunk.subarray(bytes.length)
        yield { stream, bytes }
      }
    }
  }
}

/** Lines that begin with an RFC 3339 time and a blank. A line is cut at 16 Ki characters; one without a time has that of the line before it. */
export async function* linesOf(pieces: AsyncIterable<Piece>): AsyncGenerator<LogLine> {
  const open = { stdout: new OpenLine(), stderr: new OpenLine() }
  let time = 0
  const lineOf = (stream: Stream, line: string): LogLine => {
    const blank = line.indexOf(' ')
    const said = Date.parse(blank < 0 ? line : line.slice(0, blank))
    if (Number.isNaN(said)) return { time, stream, text: line }
    time = said
    return { time, stream, text: blank < 0 ? '' : line.slice(blank + 1) }
  }
  for await (const { stream, bytes } of pieces) for (const line of open[stream].take(bytes)) yield lineOf(stream, line)
  for (const stream of ['stdout', 'stderr'] as const) {
    const rest = open[stream].rest()
    if (rest !== '') yield lineOf(stream, rest)
  }
}

class OpenLine {
  readonly #decoder = new StringDecoder('utf8')
  #text = ''
  #isCut = false

  /** The lines that these bytes end. */
  take(bytes: Buffer): readonly string[] {
    const parts = this.#decoder.write(bytes).split('\n')
    const last = parts.pop()!
    const lines = parts.map((part) => {
      this.#add(part)
      return this.rest()
    })
    this.#add(last)
    return lines
  }

  rest(): string {
    const text = this.#text.replace(/\r$/, '')
    this.#text = ''
    this.#isCut = false
    return text
  }

  #add(part: string): void {
    if (this.#isCut) return
    const room = maxLineLength - this.#text.length
    this.#isCut = part.length > room
    this.#text += this.#isCut ? `${part.slice(0, room)}…` : part
  }
}

/** Whole lines of text that comes in chunks; one longer than `maxLength` is dropped. */
export async function* textLines(chunks: AsyncIterable<Buffer>, maxLength = 64 << 10): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  let open = ''
  let isTooLong = false
  for await (const chunk of chunks) {
    const parts = (open + decoder.write(chunk)).split('\n')
    open = parts.pop()!
    for (const part of parts) {
      if (!isTooLong && part.trim() !== '') yield part
      isTooLong = false
    }
    if (open.length > maxLength) {
      open = ''
      isTooLong = true
    }
  }
  if (!isTooLong && open.trim() !== '') yield open
}
