// YAML 1.2, core schema, one document: no custom tags, no doubled keys, and aliases only as many as a person would write.
import { type Document as YamlDocument, LineCounter, type Node, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import { type Path, type Read, thrown } from './document.ts'

const maxAliasCount = 50

function childOf(
  document: YamlDocument,
  node: unknown,
  segment: string | number,
): { readonly at: Node | undefined; readonly value: unknown } | undefined {
  const target = isAlias(node) ? node.resolve(document) : node
  if (isMap(target)) {
    const pair = target.items.find(({ key }) => isScalar(key) && String(key.value) === String(segment))
    return pair && { at: pair.key as Node, value: pair.value }
  }
  if (isSeq(target) && typeof segment === 'number') {
    const item = target.items[segment]
    return item === undefined ? undefined : { at: item as Node, value: item }
  }
  return undefined
}

function offsetOf(document: YamlDocument, path: Path): number | undefined {
  let node: unknown = document.contents
  let offset: number | undefined
  for (const segment of path) {
    const child = childOf(document, node, segment)
    if (!child) break
    offset = child.at?.range?.[0] ?? offset
    node = child.value
  }
  return offset
}

/** Reads YAML text; an empty one is an empty table. */
export function read(text: string): Read {
  const lineCounter = new LineCounter()
  try {
    const document = parseDocument(text, {
      lineCounter,
      version: '1.2',
      schema: 'core',
      uniqueKeys: true,
      strict: true,
      prettyErrors: false,
      logLevel: 'silent',
    })
    const complaints = [...document.errors, ...document.warnings]
    if (complaints.length > 0) {
      return { problems: complaints.map((complaint) => ({ ...thrown(complaint), line: lineCounter.linePos(complaint.pos[0]).line })) }
    }
    const value: unknown = document.toJS({ maxAliasCount })
    return {
      value: value ?? {},
      async lineOf(path) {
        const offset = offsetOf(document, path)
        return offset === undefined ? undefined : lineCounter.linePos(offset).line
      },
    }
  } catch (error) {
    return { problems: [thrown(error)] }
  }
}
