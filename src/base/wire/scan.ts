// Scans bytes from outside into a frame: valid UTF-8, exactly one JSON object (RFC 8259), bounded depth and element count, no two ways to read it.
import { isUtf8 } from 'node:buffer'
import { faults } from '../../kernel/fault.ts'
import { type Frame, type Places, type Span, asBuffer } from './frame.ts'

export type ScanLimits = { readonly maxFrameBytes: number; readonly maxDepth: number; readonly maxElements: number }

/** 8 MiB along the whole line; depth and element count bound what a JSON reader behind us would build from it. */
export const defaultLimits: ScanLimits = { maxFrameBytes: 8 << 20, maxDepth: 128, maxElements: 250_000 }

/** JSON-RPC 2.0 §5.1: −32700 for bytes that are not JSON, −32600 for JSON that is no acceptable message. */
export const fault = faults('wire', {
  not_json: (d: { problem: string; offset: number }) => ({ kind: 'usage', message: `not JSON: ${d.problem} at byte ${d.offset}` }),
  not_a_message: (d: { problem: string; offset: number; id: string | undefined }) => ({
    kind: 'usage',
    message: `not an acceptable JSON-RPC message: ${d.problem} at byte ${d.offset}`,
  }),
  too_large: (d: { maxFrameBytes: number }) => ({
    kind: 'limited',
    message: `the message is larger than ${d.maxFrameBytes} bytes`,
    hint: 'raise maxFrameBytes at every hop, or ask for less',
  }),
})

const known = {
  root: ['jsonrpc', 'id', 'method', 'params', 'result', 'error'],
  params: [
    'name',
    'arguments',
    '_meta',
    'uri',
    'taskId',
    'requestId',
    'progressToken',
    'cursor',
    'protocolVersion',
    'capabilities',
    'clientInfo',
    'level',
    'ref',
    'argument',
    'task',
    'inputResponses',
    'requestState',
    'notifications',
  ],
  meta: [
    'progressToken',
    'traceparent',
    'tracestate',
    'baggage',
    'io.modelcontextprotocol/protocolVersion',
    'io.modelcontextprotocol/clientCapabilities',
    'io.modelcontextprotocol/clientInfo',
    'io.modelcontextprotocol/logLevel',
    'io.modelcontextprotocol/subscriptionId',
    'io.modelcontextprotocol/related-task',
  ],
} as const
/** `result` is looked at, but it is the server's own: its names are not compared with ours. */
type Level = 'root' | 'params' | 'meta' | 'arguments' | 'result'

const exact: Record<Level, ReadonlySet<string>> = {
  root: new Set(known.root),
  params: new Set(known.params),
  meta: new Set(known.meta),
  arguments: new Set(),
  result: new Set(['isError', 'resultType', '_meta']),
}
const lowered: Record<Level, ReadonlySet<string>> = {
  root: new Set(known.root), // all lower case already
  params: new Set(known.params.map((key) => key.toLowerCase())),
  meta: new Set(known.meta.map((key) => key.toLowerCase())),
  arguments: new Set(),
  result: new Set(),
}

const watchedInside: Record<Level, Readonly<Record<string, Level>>> = {
  root: { params: 'params', result: 'result' },
  params: { _meta: 'meta', arguments: 'arguments' },
  meta: {},
  arguments: {},
  result: {},
}

const quote = 0x22
const backslash = 0x5c
// 1: space and tab, 2: CR and LF; 0 otherwise
const blank = new Uint8Array(256)
blank[0x20] = blank[0x09] = 1
blank[0x0d] = blank[0x0a] = 2
const escapes = new Set(Buffer.from('"\\/bfnrt'))

class Scanner {
  readonly bytes: Buffer
  readonly limits: ScanLimits
  at = 0
  elements = 0
  lineBreaks: number[] | undefined
  readonly places: Places = {}
  method: Span | undefined
  version: Span | undefined
  paramsProgressToken: Span | undefined
  metaProgressToken: Span | undefined

  constructor(bytes: Buffer, limits: ScanLimits) {
    this.bytes = bytes
    this.limits = limits
  }

  notJson(problem: string): never {
    throw fault.not_json({ problem, offset: this.at })
  }

  refuse(problem: string, offset = this.at): never {
    const { id } = this.places
    throw fault.not_a_message({ problem, offset, id: id && this.bytes.toString('utf8', id[0], id[1]) })
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
        at++
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

  /** An object whose members matter: names are read, compared with the known ones, and may not repeat. */
  watched(level: Level, depth: number): void {
    this.deeper(depth)
    const { bytes } = this
    this.at++
    this.skipBlank()
    if (bytes[this.at] === 0x7d) return void this.at++
    const seen = new Set<string>()
    for (;;) {
      if (bytes[this.at] !== quote) this.notJson('an object without a name')
      const from = this.at
      const escaped = this.string()
      const name = escaped ? (JSON.parse(bytes.toString('utf8', from, this.at)) as string) : bytes.toString('utf8', from + 1, this.at - 1)
      if (level !== 'result') {
        if (seen.has(name)) this.refuse(`the member ${shown(name)} stands twice`, from)
        seen.add(name)
      }
      const isKnown = exact[level].has(name)
      if (!isKnown && lowered[level].size > 0 && lowered[level].has(name.toLowerCase())) {
        this.refuse(`the member ${shown(name)} differs from a known one only in letter case`, from)
      }
      this.colon()
      const start = this.at
      this.member(level, name, isKnown, depth)
      if (isKnown) this.note(level, name, [start, this.at])
      if (this.objectEnds()) return
    }
  }

  /** The value of a watched member: some are watched objects themselves. */
  member(level: Level, name: string, isKnown: boolean, depth: number): void {
    const inner = isKnown && this.bytes[this.at] === 0x7b ? watchedInside[level][name] : undefined
    if (!inner) return this.value(depth + 1)
    if (++this.elements > this.limits.maxElements) this.refuse(`more than ${this.limits.maxElements} values`)
    this.watched(inner, depth + 1)
  }

  note(level: Level, name: string, span: Span): void {
    const { places } = this
    if (level === 'root') {
      if (name === 'jsonrpc') this.version = span
      else if (name === 'method') this.method = span
      else places[name as 'id' | 'params' | 'result' | 'error'] = span
    } else if (level === 'params') {
      if (name === '_meta') places.meta = span
      else if (name === 'progressToken') this.paramsProgressToken = span
      else if (
        name === 'name' ||
        name === 'uri' ||
        name === 'taskId' ||
        name === 'arguments' ||
        name === 'requestId' ||
        name === 'protocolVersion'
      )
        places[name] = span
    } else if (level === 'result') {
      if (name === '_meta') places.resultMeta = span
      else places[name as 'isError' | 'resultType'] = span
    } else {
      if (name === 'progressToken') this.metaProgressToken = span
      ;(places.inMeta ??= {})[name] = span
    }
  }
}

function shown(name: string): string {
  return JSON.stringify(name.length > 40 ? `${name.slice(0, 40)}…` : name)
}

const integer = /^(?:0|-?[1-9][0-9]{0,19})$/ // −0 comes back as 0, which no map finds
const maxIdBytes = 512

/** Scans one message. The frame keeps `bytes` (line breaks outside strings are turned into spaces in place). Faults: `wire.not_json`, `wire.not_a_message`, `wire.too_large`. */
export function scan(bytes: Uint8Array, limits: ScanLimits = defaultLimits): Frame {
  const buffer = asBuffer(bytes)
  if (buffer.length > limits.maxFrameBytes) throw fault.too_large({ maxFrameBytes: limits.maxFrameBytes })
  if (!isUtf8(buffer)) throw fault.not_json({ problem: 'bytes that are not UTF-8', offset: 0 })
  const scanner = new Scanner(buffer, limits)
  scanner.skipBlank()
  if (buffer[scanner.at] !== 0x7b) {
    scanner.value(1)
    scanner.skipBlank()
    if (scanner.at < buffer.length) scanner.notJson('more than one value')
    scanner.refuse('the message is not an object', 0)
  }
  scanner.watched('root', 1)
  scanner.skipBlank()
  if (scanner.at < buffer.length) scanner.notJson('more than one value')
  for (const offset of scanner.lineBreaks ?? []) buffer[offset] = 0x20
  return classify(scanner, buffer)
}

function classify(scanner: Scanner, bytes: Buffer): Frame {
  const { places, method, version } = scanner
  if (!version || bytes.toString('latin1', version[0], version[1]) !== '"2.0"') scanner.refuse('"jsonrpc" is not "2.0"', 0)
  let kind: Frame['kind']
  let methodName: string | undefined
  if (method) {
    if (places.result || places.error) scanner.refuse('a request with a result', method[0])
    if (bytes[method[0]] !== quote) scanner.refuse('"method" is not a string', method[0])
    methodName = JSON.parse(bytes.toString('utf8', method[0], method[1])) as string
    if (places.params && bytes[places.params[0]] !== 0x7b) scanner.refuse('"params" is not an object', places.params[0])
    kind = places.id ? 'request' : 'notification'
  } else if (places.result) {
    if (places.error) scanner.refuse('both a result and an error', places.error[0])
    if (!places.id) scanner.refuse('a result without an id', 0)
    kind = 'result'
  } else if (places.error) kind = 'error'
  else scanner.refuse('neither a method, a result nor an error', 0)
  if (places.id) checkId(scanner, bytes, places.id, kind)
  const progressToken = kind === 'notification' ? scanner.paramsProgressToken : scanner.metaProgressToken
  if (progressToken) places.progressToken = progressToken
  return { bytes, kind, method: methodName, at: places }
}

/** MCP: an id is a string or an integer, never null; only an error that answers unreadable bytes has the id null. */
function checkId(scanner: Scanner, bytes: Buffer, span: Span, kind: Frame['kind']): void {
  const [start, end] = span
  if (end - start > maxIdBytes) scanner.refuse(`an id of more than ${maxIdBytes} bytes`, start)
  if (bytes[start] === quote) return
  const text = bytes.toString('latin1', start, end)
  if (integer.test(text) || (kind === 'error' && text === 'null')) return
  delete scanner.places.id
  scanner.refuse('an id that is neither a string nor an integer', start)
}
