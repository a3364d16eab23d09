// Walks JSON text byte by byte, as RFC 8259 has it and no looser: bounded depth and number of values, and nothing is built. Knows nothing of JSON-RPC.
import { faults } from '../../kernel/fault.ts'
import { ByteBudget } from './budget.ts'

export type ScanLimits = {
  readonly maxFrameBytes: number
  readonly maxDepth: number
  readonly maxElements: number
  /** Of all messages in flight; absent: nobody counts them. */
  readonly budget?: ByteBudget
}

/** 8 MiB along the whole line; depth and element count bound what a JSON reader behind us would build from it. */
export const defaultLimits: ScanLimits = { maxFrameBytes: 8 << 20, maxDepth: 128, maxElements: 250_000 }

export type WireLimits = ScanLimits & { readonly budget: ByteBudget }

/** What holds where the largest message is set, with a budget for all that are in flight: one for the process, handed to every hop in it. */
export function limitsOf(maxFrameBytes: number = defaultLimits.maxFrameBytes): WireLimits {
  return { ...defaultLimits, maxFrameBytes, budget: new ByteBudget() }
}

/** JSON-RPC 2.0 §5.1: −32700 for bytes that are not JSON, −32600 for JSON that is no acceptable message. */
export const fault = faults('wire', {
  not_json: (d: { problem: string; offset: number }) => ({ kind: 'usage', message: `not JSON: ${d.problem} at byte ${d.offset}` }),
  not_a_message: (d: { problem: string; offset: number; id: string | undefined }) => ({
    kind: 'usage',
    message: `not an acceptable JSON-RPC message: ${d.problem} at byte ${d.offset}`,
  }),
  /** `answers` as below. */
  two_readings: (d: { problem: string; answers: string | null }) => ({
    kind: 'unavailable',
    message: `the answer can be read in two ways: ${d.problem}`,
    hint: 'that is for the server to mend: until then nobody can say what it means',
  }),
  /** `id`: of the request that it was; `answers`: of the request that it would have answered, null when it is an answer to nobody knows what. */
  too_large: (d: { maxFrameBytes: number; id?: string | undefined; answers?: string | null | undefined }) => ({
    kind: 'limited',
    message: `the message is larger than ${d.maxFrameBytes} bytes`,
    hint: 'raise max_frame_bytes (--max-frame-bytes) at every hop, or ask for less',
  }),
  /** `id` and `answers` as above. */
  no_room: (d: { maxBytes: number; id?: string | undefined; answers?: string | null | undefined }) => ({
    kind: 'limited',
    message: `more than ${d.maxBytes} bytes of messages are on their way already`,
    hint: 'try again',
  }),
})

const quote = 0x22
const backslash = 0x5c
// 1: space and tab, 2: CR and LF; 0 otherwise
const blank = new Uint8Array(256)
blank[0x20] = blank[0x09] = 1
blank[0x0d] = blank[0x0a] = 2
const escapes = new Set(Buffer.from('"\\/bfnrt'))

export class JsonWalker {
  readonly bytes: Buffer
  readonly limits: ScanLimits
  at = 0
  elements = 0
  /** Where line breaks stand outside strings. */
  lineBreaks: number[] | undefined

  constructor(bytes: Buffer, limits: ScanLimits) {
    this.bytes = bytes
    this.limits = limits
  }

  /** The id of the message, as far as it is known: so that a refusal can be told to whom it belongs. */
  protected idToken(): string | undefined {
    return undefined
  }

  refuse(problem: string, offset = this.at): never {
    throw fault.not_a_message({ problem, offset, id: this.idToken() })
  }

  notJson(problem: string): never {
    throw fault.not_json({ problem, offset: this.at })
  }

  skipBlank(): void {
    const { bytes } = this
    for (;;) {
      const kind = blank[bytes[this.at] ?? 0]
      if (!kind || this.at >= bytes.length) return
      if (kind === 2) (this.lineBreaks ??= []).push(this.at)
      this.at++
    }
  }

  /** Stands on a quote; leaves after the closing one. True when the text holds an escape. */
  string(): boolean {
    const { bytes } = this
    const end = bytes.length
    let at = this.at + 1
    let escaped = false
    for (;;) {
      if (at >= end) {
        this.at = end
        this.notJson('a string without an end')
      }
      const byte = bytes[at]!
      if (byte === quote) break
      if (byte < 0x20) {
        this.at = at
        this.notJson('a control character inside a string')
      }
      if (byte !== backslash) {
        at = at - this.at < longAfter ? at + 1 : plainTo(bytes, at + 1)
        continue
      }
      escaped = true
      const next = bytes[at + 1]
      if (next === 0x75) {
        for (let digit = at + 2; digit < at + 6; digit++) {
          const code = bytes[digit] ?? 0
          const isHex = (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66)
          if (!isHex) {
            this.at = digit
            this.notJson('a broken \\u escape')
          }
        }
        at += 6
      } else {
        if (next === undefined || !escapes.has(next)) {
          this.at = at
          this.notJson('an unknown escape')
        }
        at += 2
      }
    }
    this.at = at + 1
    return escaped
  }

  digits(): void {
    const from = this.at
    while (this.bytes[this.at]! >= 0x30 && this.bytes[this.at]! <= 0x39) this.at++
    if (this.at === from) this.notJson('a number without digits')
  }

  number(): void {
    const { bytes } = this
    if (bytes[this.at] === 0x2d) this.at++
    if (bytes[this.at] === 0x30) this.at++
    else this.digits()
    if (bytes[this.at] === 0x2e) {
      this.at++
      this.digits()
    }
    if (bytes[this.at] === 0x65 || bytes[this.at] === 0x45) {
      this.at++
      if (bytes[this.at] === 0x2b || bytes[this.at] === 0x2d) this.at++
      this.digits()
    }
  }

  word(word: string): void {
    for (let i = 0; i < word.length; i++) {
      if (this.bytes[this.at + i] !== word.charCodeAt(i)) this.notJson('an unknown word')
    }
    this.at += word.length
  }

  value(depth: number): void {
    if (++this.elements > this.limits.maxElements) this.refuse(`more than ${this.limits.maxElements} values`)
    switch (this.bytes[this.at]) {
      case quote:
        this.string()
        return
      case 0x7b:
        return this.object(depth)
      case 0x5b:
        return this.array(depth)
      case 0x74:
        return this.word('true')
      case 0x66:
        return this.word('false')
      case 0x6e:
        return this.word('null')
      default:
        return this.number()
    }
  }

  deeper(depth: number): void {
    if (depth > this.limits.maxDepth) this.refuse(`nested deeper than ${this.limits.maxDepth}`)
  }

  array(depth: number): void {
    this.deeper(depth)
    this.at++
    this.skipBlank()
    if (this.bytes[this.at] === 0x5d) return void this.at++
    for (;;) {
      this.value(depth + 1)
      this.skipBlank()
      const byte = this.bytes[this.at]
      if (byte === 0x5d) return void this.at++
      if (byte !== 0x2c) this.notJson('an array without its comma or end')
      this.at++
      this.skipBlank()
    }
  }

  object(depth: number): void {
    this.deeper(depth)
    this.at++
    this.skipBlank()
    if (this.bytes[this.at] === 0x7d) return void this.at++
    for (;;) {
      if (this.bytes[this.at] !== quote) this.notJson('an object without a name')
      this.string()
      this.colon()
      this.value(depth + 1)
      if (this.objectEnds()) return
    }
  }

  colon(): void {
    this.skipBlank()
    if (this.bytes[this.at] !== 0x3a) this.notJson('a name without a colon')
    this.at++
    this.skipBlank()
  }

  objectEnds(): boolean {
    this.skipBlank()
    const byte = this.bytes[this.at++]
    if (byte === 0x7d) return true
    if (byte !== 0x2c) {
      this.at--
      this.notJson('an object without its comma or end')
    }
    this.skipBlank()
    return false
  }
}

/** A string that is longer than this is worth the word-wise skip; most names are not. */
const longAfter = 24

/**
 * Four bytes at a time: where the next one may be that is not plain text inside a string, never behind it. Twice as fast on large texts as byte by byte.
 * The tests for a byte below 0x20, or equal to one, are the well-known ones without a branch: they may stop too early, never too late.
 */
function plainTo(bytes: Buffer, from: number): number {
  const first = bytes.byteOffset + from
  if ((first & 3) !== 0) return from
  const words = new Int32Array(bytes.buffer, first, (bytes.length - from) >> 2)
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    const quotes = word ^ 0x22222222
    const slashes = word ^ 0x5c5c5c5c
    if ((((word - 0x20202020) & ~word) | ((quotes - 0x01010101) & ~quotes) | ((slashes - 0x01010101) & ~slashes)) & 0x80808080)
      return from + at * 4
  }
  return from + words.length * 4
}
