// Changes one thing in TOML text and leaves every other byte as it is: comments, order, line ends and spacing are the person's.
import type { AST } from 'toml-eslint-parser'

type Body = AST.TOMLProgram['body'][0]['body']

/** The text must be valid TOML. */
async function bodyOf(text: string): Promise<Body> {
  const { parseTOML } = await import('toml-eslint-parser')
  return parseTOML(text, { tomlVersion: '1.1' }).body[0].body
}

function keyIs(entry: AST.TOMLKeyValue, key: string): boolean {
  const [first, ...rest] = entry.key.keys
  return rest.length === 0 && (first!.type === 'TOMLBare' ? first!.name : first!.value) === key
}

function lineEndOf(text: string): string {
  return /\r?\n/.exec(text)?.[0] ?? '\n'
}

/** Sets a key of the root table to `literal`, which is TOML. One that is not there yet becomes the last line before the first table. */
export async function setKey(text: string, key: string, literal: string): Promise<string> {
  if (text.startsWith('\uFEFF')) return `\uFEFF${await setKey(text.slice(1), key, literal)}`
  const body = await bodyOf(text)
  const entry = body.find((node) => node.type === 'TOMLKeyValue' && keyIs(node, key)) as AST.TOMLKeyValue | undefined
  if (entry) {
    const [from, to] = entry.value.range
    return text.slice(0, from) + literal + text.slice(to)
  }
  const lastKey = body.findLast((node) => node.type === 'TOMLKeyValue')
  const end = lineEndOf(text)
  if (!lastKey) return `${key} = ${literal}${end}${text}`
  const lineEnd = text.indexOf('\n', lastKey.range[1])
  const at = lineEnd < 0 ? text.length : lineEnd + 1
  return `${text.slice(0, at)}${lineEnd < 0 ? end : ''}${key} = ${literal}${lineEnd < 0 ? '' : end}${text.slice(at)}`
}

/** Adds a table of the list `name` at the end. `entries` are keys with TOML literals. */
export function addTable(text: string, name: string, entries: Readonly<Record<string, string>>): string {
  const end = lineEndOf(text)
  const lines = [`[[${name}]]`, ...Object.entries(entries).map(([key, literal]) => `${key} = ${literal}`), '']
  const before = text === '' ? '' : text.endsWith('\n') ? end : end + end
  return text + before + lines.join(end)
}

/** Takes the table at `index` of the list `name` away, up to the next table; what stands above it stays. */
export async function removeTable(text: string, name: string, index: number): Promise<string> {
  if (text.startsWith('\uFEFF')) return `\uFEFF${await removeTable(text.slice(1), name, index)}`
  const body = await bodyOf(text)
  const tables = body.filter((node) => node.type === 'TOMLTable')
  const ours = tables.filter(
    ({ kind, resolvedKey }) => kind === 'array' && resolvedKey[0] === name && resolvedKey[1] === index && resolvedKey.length === 2,
  )
  const [table] = ours
  if (!table) return text
  const below = tables.filter(({ resolvedKey }) => resolvedKey[0] === name && resolvedKey[1] === index).at(-1)!
  const lineEnd = text.indexOf('\n', below.range[1])
  let to = lineEnd < 0 ? text.length : lineEnd + 1
  const blank = /^(?:[ \t]*\r?\n)+/.exec(text.slice(to)) // the empty lines that parted it from what follows
  if (blank) to += blank[0].length
  return text.slice(0, table.range[0]) + text.slice(to)
}

/** Text as a TOML string. */
export function tomlString(text: string): string {
  return JSON.stringify(text.toWellFormed()).replaceAll('\u007f', '\\u007f') // but for that, a basic string has the escapes of JSON
}
