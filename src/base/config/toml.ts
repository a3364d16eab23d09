// TOML: smol-toml reads the values; a second parser, loaded only when a message must name a line, knows where each key stands.
import { TomlError, parse } from 'smol-toml'
import type { AST } from 'toml-eslint-parser'
import { type Path, type Read, thrown } from './document.ts'

type Lines = ReadonlyMap<string, number>

function noteEntry(into: Map<string, number>, base: Path, entry: AST.TOMLKeyValue): void {
  const path = [...base]
  for (const key of entry.key.keys) {
    path.push(key.type === 'TOMLBare' ? key.name : key.value)
    note(into, path, key.loc.start.line)
  }
  noteContent(into, path, entry.value)
}

function noteContent(into: Map<string, number>, path: Path, content: AST.TOMLContentNode): void {
  if (content.type === 'TOMLInlineTable') for (const entry of content.body) noteEntry(into, path, entry)
  if (content.type !== 'TOMLArray') return
  for (const [at, element] of content.elements.entries()) {
    note(into, [...path, at], element.loc.start.line)
    noteContent(into, [...path, at], element)
  }
}

/** The first line wins: a table may be opened again for its children. */
function note(into: Map<string, number>, path: Path, line: number): void {
  const key = JSON.stringify(path)
  if (!into.has(key)) into.set(key, line)
}

async function linesOf(text: string): Promise<Lines> {
  const lines = new Map<string, number>()
  const { parseTOML } = await import('toml-eslint-parser')
  try {
    for (const node of parseTOML(text, { tomlVersion: '1.1' }).body[0].body) {
      if (node.type === 'TOMLKeyValue') noteEntry(lines, [], node)
      else {
        for (let depth = 1; depth <= node.resolvedKey.length; depth++) note(lines, node.resolvedKey.slice(0, depth), node.loc.start.line)
        for (const entry of node.body) noteEntry(lines, node.resolvedKey, entry)
      }
    }
  } catch {
    // The values were read: a message without its line is better than none.
  }
  return lines
}

/** Reads TOML 1.1 text. */
export function read(text: string): Read {
  let lines: Promise<Lines> | undefined
  try {
    const value = parse(text)
    return {
      value,
      async lineOf(path) {
        const known = await (lines ??= linesOf(text))
        for (let length = path.length; length > 0; length--) {
          const line = known.get(JSON.stringify(path.slice(0, length)))
          if (line !== undefined) return line
        }
        return undefined
      },
    }
  } catch (error) {
    if (!(error instanceof TomlError)) return { problems: [thrown(error)] }
    const problem = error.message.split('\n')[0]!.replace(/^Invalid TOML document: /, '')
    return { problems: [{ line: error.line, path: '', problem: `${problem} (column ${error.column})` }] }
  }
}
