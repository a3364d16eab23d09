// Reads JSON as editors write it (RFC 8259, with comments and trailing commas) and tells where in the text each value stands, so that a change can leave the rest alone.
import { faults } from '../../kernel/fault.ts'

/** Lists and objects within each other. */
const maxDepth = 128

export const fault = faults('json', {
  invalid: (d: { file: string; line: number; column: number; problem: string }) => ({
    kind: 'conflict',
    message: `${d.file}:${d.line}:${d.column} is not valid JSON: ${d.problem}`,
    hint: 'mend the file by hand and try again; it was not touched',
  }),
})

type Place = { readonly start: number; readonly end: number }
export type JsonMember = Place & { readonly key: string; readonly value: JsonNode }
/** A value and its place: `start` and `end` are UTF-16 offsets; the text between them is the value and nothing else. A member starts with its key. */
export type JsonNode = Place &
  (
    | { readonly is: 'object'; readonly members: readonly JsonMember[] }
    | { readonly is: 'list'; readonly items: readonly JsonNode[] }
    | { readonly is: 'plain'; readonly value: string | number | boolean | null }
  )
export type JsonObject = Extract<JsonNode, { is: 'object' }>

/** What stands between two tokens: where it ends, and where its last comment does. `problem`: a comment that does not end. */
type Gap = { readonly end: number; readonly commentEnd: number | undefined; readonly problem?: string }

/** Goes over spaces, line ends and comments from `at` on; with `isLine` not past the end of the line. */
export function gapAt(text: string, at: number, isLine = false): Gap {
  let end = at
  let commentEnd: number | undefined
  for (;;) {
    const letter = text[end]
    if (letter === ' ' || letter === '\t' || (!isLine && (letter === '\n' || letter === '\r'))) end++
    else if (text.startsWith('//', end)) {
      const rest = /[\r\n]/g
      rest.lastIndex = end
      commentEnd = end = rest.exec(text)?.index ?? text.length
    } else if (text.startsWith('/*', end)) {
      const close = text.indexOf('*/', end + 2)
      if (close < 0) return { end, commentEnd, problem: 'a comment that does not end' }
      commentEnd = end = close + 2
    } else return { end, commentEnd }
  }
}

const numberAt = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const wordAt = /true|false|null/y

/** Reads the whole text. Fault `json.invalid` with the line and column (from 1) in `file`; no part of the text is repeated, for it may be secret. */
export function readJsonc(text: string, file: string): JsonNode {
  const wrong = (at: number, problem: string): Error => {
    const lines = text.slice(0, at).split(/\r\n|\r|\n/)
    return fault.invalid({ file, line: lines.length, column: lines.at(-1)!.length + 1, problem })
  }
  let at = text.startsWith('\uFEFF') ? 1 : 0

  const skip = (): string | undefined => {
    const gap = gapAt(text, at)
    at = gap.end
    if (gap.problem !== undefined) throw wrong(at, gap.problem)
    return text[at]
  }
  const plain = (pattern: RegExp, problem: string): JsonNode & { is: 'plain' } => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found === undefined) throw wrong(at, problem)
    const start = at
    at += found.length
    return { is: 'plain', start, end: at, value: JSON.parse(found) as string | number | boolean | null }
  }
  const string = (): JsonNode & { is: 'plain'; value: string } => {
    const stop = /["\\\n]/g // not one expression for it all: a long string would overflow its stack
    stop.lastIndex = at + 1
    let found = stop.exec(text)
    for (; found?.[0] === '\\'; found = stop.exec(text)) stop.lastIndex++
    if (found?.[0] !== '"') throw wrong(at, 'a string that does not end')
    const start = at
    const end = stop.lastIndex
    try {
      const value = JSON.parse(text.slice(start, end)) as string
      at = end
      return { is: 'plain', start, end, value }
    } catch {
      throw wrong(start, 'a string with a letter that must be escaped, or an escape that means nothing')
    }
  }

  /** What stands between two brackets, `at` being behind the first: the parts, and a comma after each but perhaps the last. */
  const parts = <Part>(close: ']' | '}', part: () => Part): Part[] => {
    const found: Part[] = []
    for (let letter = skip(); letter !== close; letter = skip()) {
      found.push(part())
      const next = skip()
      if (next === ',') at++
      else if (next !== close) throw wrong(at, `a comma or ${close} was expected here`)
    }
    at++
    return found
  }
  const member = (depth: number): JsonMember => {
    if (text[at] !== '"') throw wrong(at, 'a name in double quotes was expected here')
    const { start, value: key } = string()
    if (skip() !== ':') throw wrong(at, 'a colon was expected here')
    at++
    skip()
    const value = node(depth)
    return { start, end: value.end, key, value }
  }
  const node = (depth: number): JsonNode => {
    if (depth > maxDepth) throw wrong(at, `nested deeper than ${maxDepth}`)
    const start = at
    const letter = text[at]
    if (letter === '{') {
      at++
      const members = parts('}', () => member(depth + 1))
      return { is: 'object', start, end: at, members }
    }
    if (letter === '[') {
      at++
      const items = parts(']', () => node(depth + 1))
      return { is: 'list', start, end: at, items }
    }
    if (letter === '"') return string()
    if (letter === undefined) throw wrong(at, 'it ends where a value was expected')
    return letter === '-' || /\d/.test(letter) ? plain(numberAt, 'this is no number') : plain(wordAt, 'a value was expected here')
  }

  skip()
  const root = node(0)
  if (skip() !== undefined) throw wrong(at, 'something follows after the end of the value')
  return root
}

/** What the text says; of a key that is there twice, the last counts, as for JSON.parse. */
export function valueOf(node: JsonNode): unknown {
  if (node.is === 'plain') return node.value
  if (node.is === 'list') return node.items.map(valueOf)
  return Object.fromEntries(node.members.map(({ key, value }) => [key, valueOf(value)]))
}

/** The member of that name; undefined also when the node is no object. */
export function memberOf(node: JsonNode | undefined, key: string): JsonMember | undefined {
  return node?.is === 'object' ? node.members.findLast((member) => member.key === key) : undefined
}
