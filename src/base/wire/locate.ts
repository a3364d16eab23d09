// Finds a value inside a frame that was scanned already: by names, or the elements of a list. No parsing, no copies.
import type { Span } from './frame.ts'

const quote = 0x22
const backslash = 0x5c
const colon = 0x3a

function skipBlank(bytes: Uint8Array, at: number): number {
  while (bytes[at] === 0x20 || bytes[at] === 0x09 || bytes[at] === 0x0a || bytes[at] === 0x0d) at++
  return at
}

function skipString(bytes: Uint8Array, at: number): number {
  for (at++; bytes[at] !== quote; at++) if (bytes[at] === backslash) at++
  return at + 1
}

/** The end of the value that starts at `at`. */
function skipValue(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  if (first === quote) return skipString(bytes, at)
  if (first !== 0x7b && first !== 0x5b) {
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!
      if (byte === 0x2c || byte === 0x7d || byte === 0x5d || byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return at
    }
    return at
  }
  let depth = 0
  for (;;) {
    const byte = bytes[at]
    if (byte === quote) {
      at = skipString(bytes, at)
      continue
    }
    if (byte === 0x7b || byte === 0x5b) depth++
    else if ((byte === 0x7d || byte === 0x5d) && --depth === 0) return at + 1
    at++
  }
}

function nameOf(bytes: Uint8Array, start: number, end: number): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8')
  return text.includes('\\') ? (JSON.parse(text) as string) : text.slice(1, -1)
}

/** Hands over every member of the object at `span`: its name, the span of its value, and where the member itself starts. */
export function* members(bytes: Uint8Array, span: Span): Generator<{ name: string; value: Span; start: number }> {
  let at = skipBlank(bytes, span[0] + 1)
  while (bytes[at] !== 0x7d) {
    const start = at
    const nameEnd = skipString(bytes, at)
    const name = nameOf(bytes, at, nameEnd)
    const valueStart = skipBlank(bytes, skipBlank(bytes, nameEnd) + 1)
    const valueEnd = skipValue(bytes, valueStart)
    yield { name, value: [valueStart, valueEnd], start }
    at = skipBlank(bytes, valueEnd)
    if (bytes[at] === 0x2c) at = skipBlank(bytes, at + 1)
  }
}

/** The span of the value that the names lead to from the object at `span`, or undefined. */
export function locate(bytes: Uint8Array, span: Span | undefined, ...names: readonly string[]): Span | undefined {
  let found = span
  for (const wanted of names) {
    if (!found || bytes[found[0]] !== 0x7b) return undefined
    let inner: Span | undefined
    for (const { name, value } of members(bytes, found)) {
      if (name !== wanted) continue
      inner = value
      break
    }
    found = inner
  }
  return found
}

/** The spans of the elements of the list at `span`. */
export function elements(bytes: Uint8Array, span: Span): Span[] {
  const found: Span[] = []
  let at = skipBlank(bytes, span[0] + 1)
  while (bytes[at] !== 0x5d) {
    const end = skipValue(bytes, at)
    found.push([at, end])
    at = skipBlank(bytes, end)
    if (bytes[at] === 0x2c) at = skipBlank(bytes, at + 1)
  }
  return found
}

/**
 * A name that readers may understand in several ways, in the object at `span` or in any object inside of it: one that stands twice, or `__proto__`. Undefined
 * when there is none. For messages whose every member is acted on. `value` is what `JSON.parse` made of the span: of two members of one name it keeps one, so
 * where as many names stand as it has, none stands twice, and no name has to be looked at.
 */
export function unclearName(bytes: Uint8Array, span: Span, value: unknown): string | undefined {
  return namesAt(bytes, span) === namesIn(value) ? undefined : unclearAt(bytes, span)
}

function namesAt(bytes: Uint8Array, [start, end]: Span): number {
  let count = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at]
    if (byte === quote) at = skipString(bytes, at) - 1
    else if (byte === colon) count++
  }
  return count
}

function namesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) {
    for (const inner of value) count += namesIn(inner)
    return count
  }
  for (const [name, inner] of Object.entries(value)) {
    if (name === '__proto__') return Number.NaN
    count += 1 + namesIn(inner)
  }
  return count
}

function unclearAt(bytes: Uint8Array, span: Span): string | undefined {
  const first = bytes[span[0]]
  if (first === 0x5b) {
    for (const element of elements(bytes, span)) {
      const found = unclearAt(bytes, element)
      if (found !== undefined) return found
    }
  }
  if (first !== 0x7b) return undefined
  const seen = new Set<string>()
  for (const { name, value } of members(bytes, span)) {
    if (seen.has(name) || name === '__proto__') return name
    seen.add(name)
    const found = unclearAt(bytes, value)
    if (found !== undefined) return found
  }
  return undefined
}
