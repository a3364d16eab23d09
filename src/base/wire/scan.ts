// Scans bytes from outside into a frame: valid UTF-8, exactly one JSON object, no two ways to read it, and where the parts are that a relay must know.
import { isUtf8 } from 'node:buffer'
import type { Fault } from '../../kernel/fault.ts'
import { type Frame, type Places, type Span, asBuffer } from './frame.ts'
import { type Level, exact, lowered, watchedInside } from './known-names.ts'
import { cutMessage, keptBytes } from './cut-line.ts'
import { JsonWalker, type ScanLimits, defaultLimits, fault } from './walk.ts'

const quote = 0x22

class Scanner extends JsonWalker {
  readonly places: Places = {}
  method: Span | undefined
  version: Span | undefined
  paramsProgressToken: Span | undefined
  metaProgressToken: Span | undefined

  protected override idToken(): string | undefined {
    const { id } = this.places
    return id && this.bytes.toString('utf8', id[0], id[1])
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
      const isKnown = exact[level].has(name)
      if (level !== 'result' || isKnown) {
        if (seen.has(name)) this.twoReadings(level, `the member ${shown(name)} stands twice`, from)
        seen.add(name)
      }
      if (!isKnown && lowered[level].size > 0 && lowered[level].has(name.toLowerCase())) {
        this.twoReadings(level, `the member ${shown(name)} differs from a known one only in letter case`, from)
      }
      this.colon()
      const start = this.at
      this.member(level, name, isKnown, depth)
      if (isKnown) this.note(level, name, [start, this.at])
      if (this.objectEnds()) return
    }
  }

  /** Whoever waits for the answer is told at once: a server has no second one. */
  twoReadings(level: Level, problem: string, offset: number): never {
    if (level === 'result') throw fault.two_readings({ problem, answers: this.idToken() ?? null })
    this.refuse(problem, offset)
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
        name === 'task' ||
        name === 'requestState' ||
        name === 'arguments' ||
        name === 'requestId' ||
        name === 'protocolVersion'
      )
        places[name] = span
    } else if (level === 'result') {
      if (name === '_meta') places.resultMeta = span
      else if (name === 'isError' || name === 'resultType' || name === 'cacheScope') places[name] = span
    } else if (level === 'meta') {
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

type Whose = { readonly id?: string | undefined; readonly answers?: string | null | undefined }

/** Whose a message is, as far as its first and last bytes tell. */
function whose(head: Buffer, tail: Buffer): Whose {
  const { kind, id } = cutMessage(head.toString('utf8', 0, keptBytes), tail.toString('utf8', Math.max(0, tail.length - keptBytes)))
  if (kind === 'request') return { id }
  return { answers: kind === 'answer' ? (id ?? null) : id }
}

/** The fault of a message over the limit, of which the first and last bytes are there. */
export function tooLarge(head: Buffer, tail: Buffer, maxFrameBytes: number): Fault {
  return fault.too_large({ maxFrameBytes, ...whose(head, tail) })
}

/** The fault of one that the budget has no room for. */
export function noRoom(head: Buffer, tail: Buffer, maxBytes: number): Fault {
  return fault.no_room({ maxBytes, ...whose(head, tail) })
}

const noLimits: ScanLimits = { maxFrameBytes: Infinity, maxDepth: Infinity, maxElements: Infinity }

/** Scans a message that we put together ourselves out of scanned ones: only for the places of its parts, so it is as large as they are. */
export function rescan(bytes: Uint8Array): Frame {
  return scan(bytes, noLimits)
}

/** Scans one message. The frame keeps `bytes` (line breaks outside strings are turned into spaces in place). Faults: `wire.not_json`, `wire.not_a_message`, `wire.too_large`. */
export function scan(bytes: Uint8Array, limits: ScanLimits = defaultLimits): Frame {
  const buffer = asBuffer(bytes)
  if (buffer.length > limits.maxFrameBytes) throw tooLarge(buffer, buffer, limits.maxFrameBytes)
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
  if (end - start > maxIdBytes) {
    delete scanner.places.id // no answer could carry it
    scanner.refuse(`an id of more than ${maxIdBytes} bytes`, start)
  }
  if (bytes[start] === quote) return
  const text = bytes.toString('latin1', start, end)
  if (integer.test(text) || (kind === 'error' && text === 'null')) return
  delete scanner.places.id
  scanner.refuse('an id that is neither a string nor an integer', start)
}
