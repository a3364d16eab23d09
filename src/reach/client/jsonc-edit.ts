// Puts one member into JSON text, or takes one out, in the style of the text around it; every other byte, comments included, stays as it is.
import { faults } from '../../kernel/fault.ts'
import { type JsonMember, type JsonNode, type JsonObject, gapAt, memberOf, readJsonc } from './jsonc.ts'

export const fault = faults('json', {
  not_object: (d: { file: string; path: readonly string[] }) => ({
    kind: 'conflict',
    message: `${d.path.length === 0 ? 'the whole' : `"${d.path.join('.')}"`} in ${d.file} is no object, so nothing can be put into it`,
    hint: 'is it the right file? it was not touched',
  }),
})

/** `cut` UTF-16 units at `at` make way for `put`. */
export type Edit = { readonly at: number; readonly cut: number; readonly put: string }

/** The text with the edits made; each `at` is in the text as it was, and they do not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let done = ''
  let from = 0
  for (const { at, cut, put } of edits.toSorted((a, b) => a.at - b.at)) {
    done += text.slice(from, at) + put
    from = at + cut
  }
  return done + text.slice(from)
}

/** Sets the member at `path`, with the objects on the way where they are missing. Faults: `json.invalid`, `json.not_object`. */
export function setMember(text: string, file: string, path: readonly [string, ...string[]], value: unknown): Edit[] {
  const root = readJsonc(text, file)
  let node = root
  for (const [depth, key] of path.entries()) {
    if (node.is !== 'object') throw fault.not_object({ file, path: path.slice(0, depth) })
    const member = memberOf(node, key)
    const rest = path.slice(depth + 1).reduceRight<unknown>((inner, name) => ({ [name]: inner }), value)
    if (!member) return inserted(text, root, node, key, rest)
    node = member.value
  }
  const put = isCompact(text, root) ? JSON.stringify(value) : prettyText(text, root, value, indentAt(text, node.start))
  return [{ at: node.start, cut: node.end - node.start, put }]
}

/** Takes the member at `path` out, its comma and what would be an empty line included; no edits when it is not there. Fault: `json.invalid`. */
export function removeMember(text: string, file: string, path: readonly [string, ...string[]]): Edit[] {
  let holder: JsonNode | undefined
  let member: JsonMember | undefined
  let node: JsonNode | undefined = readJsonc(text, file)
  for (const key of path) {
    holder = node
    member = memberOf(node, key)
    node = member?.value
  }
  if (holder?.is !== 'object' || !member) return []
  const { members } = holder
  const comma = commaAfter(text, member)
  const before = members[members.indexOf(member) - 1]
  const edits = [wholeLine(text, member.start, comma === undefined ? member.end : comma + 1)]
  if (comma === undefined && before) edits.unshift({ at: commaAfter(text, before)!, cut: 1, put: '' })
  return edits
}

function inserted(text: string, root: JsonNode, object: JsonObject, key: string, value: unknown): Edit[] {
  const last = object.members.at(-1)
  const comma = last && commaAfter(text, last)
  const from = comma !== undefined ? comma + 1 : last ? last.end : object.start + 1
  const at = gapAt(text, from, last !== undefined).commentEnd ?? from // what is said of the last member stays beside it
  const edits: Edit[] = last && comma === undefined ? [{ at: last.end, cut: 0, put: ',' }] : []
  const end = comma === undefined ? '' : ','
  const isInline = last ? !text.slice(object.start, object.end).includes('\n') : isCompact(text, root)
  if (isInline) {
    const space = last && /\s/.test(text[last.value.start - 1]!) ? ' ' : ''
    return [...edits, { at, cut: 0, put: `${space}${JSON.stringify(key)}:${space}${JSON.stringify(value)}${end}` }]
  }
  const eol = lineEndOf(text)
  const outer = indentAt(text, object.start)
  const indent = last && isFirstOnLine(text, last.start) ? indentAt(text, last.start) : outer + unitOf(text, root)
  const hasBreak = text.slice(at, object.end).includes('\n')
  const member = `${JSON.stringify(key)}: ${prettyText(text, root, value, indent)}${end}`
  return [...edits, { at, cut: 0, put: `${eol}${indent}${member}${hasBreak ? '' : eol + outer}` }]
}

/** Whether the file is all on one line, and says something. */
function isCompact(text: string, root: JsonNode): boolean {
  return root.is === 'object' && root.members.length > 0 && !text.slice(root.start, root.end).includes('\n')
}

function commaAfter(text: string, member: JsonMember): number | undefined {
  const { end } = gapAt(text, member.end)
  return text[end] === ',' ? end : undefined
}

/** Cuts from `start` to `end`, and the whole line when nothing else is on it. */
function wholeLine(text: string, start: number, end: number): Edit {
  const rest = /^[ \t]*(?:\r\n|\n)/.exec(text.slice(end))?.[0]
  if (rest === undefined || !isFirstOnLine(text, start)) return { at: start, cut: end - start, put: '' }
  const at = lineStart(text, start)
  return { at, cut: end + rest.length - at, put: '' }
}

function prettyText(text: string, root: JsonNode, value: unknown, indent: string): string {
  return JSON.stringify(value, undefined, unitOf(text, root)).replaceAll('\n', lineEndOf(text) + indent)
}

function lineEndOf(text: string): string {
  return /\r?\n/.exec(text)?.[0] ?? '\n'
}

function lineStart(text: string, at: number): number {
  return text.lastIndexOf('\n', at - 1) + 1
}

function isFirstOnLine(text: string, at: number): boolean {
  return /^[ \t]*$/.test(text.slice(lineStart(text, at), at))
}

function indentAt(text: string, at: number): string {
  return /^[ \t]*/.exec(text.slice(lineStart(text, at), at))![0]
}

/** By how much the text goes in: told by the first member of the root. */
function unitOf(text: string, root: JsonNode): string {
  const first = root.is === 'object' ? root.members[0] : undefined
  return (first && isFirstOnLine(text, first.start) && indentAt(text, first.start)) || '  '
}
