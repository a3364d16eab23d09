// YAML 1.2, core schema, one document: no custom tags, no doubled keys, and aliases only as many as a person would write.
import { type Document as YamlDocument, LineCounter, type Node, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import { type Path, type Problem, type Read, thrown } from './document.ts'

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

const strictly = { uniqueKeys: true, strict: true, prettyErrors: false, logLevel: 'silent' } as const

/** Where two readings of one text differ. */
function* differences(one: unknown, other: unknown, path: Path = []): Generator<Path> {
  if (typeof one !== 'object' || one === null || typeof other !== 'object' || other === null || other instanceof Date) {
    if (!Object.is(one, other)) yield path
    return
  }
  const keys = new Set([...Object.keys(one), ...Object.keys(other)])
  for (const key of keys) {
    const at = [...path, Array.isArray(one) ? Number(key) : key]
    yield* differences((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key], at)
  }
}

/** What a reader of YAML 1.1, such as PyYAML, takes for something else: `yes` for true, `017` for 15, `2:00` for 120. */
function readDifferently(text: string, value: unknown, lineOf: (path: Path) => number | undefined): Problem[] {
  const older = parseDocument(text, { version: '1.1', schema: 'yaml-1.1', ...strictly })
  if (older.errors.length > 0) return older.errors.map((complaint) => thrown(complaint))
  const problem = 'YAML 1.1, which other programs read it as, means something else by it: put it in quotes'
  return [...differences(value, older.toJS({ maxAliasCount }))].map((path) => ({ line: lineOf(path), path: path.join('.'), problem }))
}

/** Reads YAML text; an empty one is an empty table. `isYaml11Too`: what YAML 1.1 means something else by is a problem. */
export function read(text: string, isYaml11Too = false): Read {
  const lineCounter = new LineCounter()
  try {
    const document = parseDocument(text, { lineCounter, version: '1.2', schema: 'core', ...strictly })
    const complaints = [...document.errors, ...document.warnings]
    if (complaints.length > 0) {
      return { problems: complaints.map((complaint) => ({ ...thrown(complaint), line: lineCounter.linePos(complaint.pos[0]).line })) }
    }
    const value: unknown = document.toJS({ maxAliasCount })
    const lineOf = (path: Path): number | undefined => {
      const offset = offsetOf(document, path)
      return offset === undefined ? undefined : lineCounter.linePos(offset).line
    }
    const problems = isYaml11Too ? readDifferently(text, value, lineOf) : []
    return problems.length > 0 ? { problems } : { value: value ?? {}, lineOf: async (path) => lineOf(path) }
  } catch (error) {
    return { problems: [thrown(error)] }
  }
}
