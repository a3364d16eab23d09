// Reads a TypeScript file as far as the tidy rules need it: its code without comments and texts, and what it imports. No compiler.
import { posix } from 'node:path'

export type Import = {
  readonly line: number
  /** As written: `../kernel/fault.ts`, `node:fs`, `zod`. */
  readonly from: string
  /** The file that is meant (`src/kernel/fault.ts`), or undefined for packages and Node's own modules. */
  readonly file: string | undefined
  readonly isType: boolean
  readonly isDynamic: boolean
  readonly isReexport: boolean
  /** Names in braces that are values; `*` for a namespace, `default` for a default import. */
  readonly names: readonly string[]
}

export type Source = {
  /** From the root of the project: `src/kernel/fault.ts`. */
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
  /** The text with comments, string contents and regular expressions turned into spaces: same length, same lines. */
  readonly code: string
  readonly imports: readonly Import[]
  /** A test, or something that only tests use (`x.fixture.ts`, all of test/). */
  readonly isTest: boolean
}

/** What breaks a rule; `instead` names the replacement. */
export type Finding = { readonly path: string; readonly line: number; readonly problem: string; readonly instead: string }

export type Rule = (files: readonly Source[]) => readonly Finding[]

function lineAt(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++
  return line
}

/** A slash begins a regular expression where a value may begin: after an operator, an opening bracket, a comma or `return`. */
function beginsRegex(before: string): boolean {
  return /(?:^|[=(,:;!&|?{}[+\-*%<>~^]|=>|\b(?:return|typeof|case|of|in))\s*$/.test(before.slice(-200))
}

function endOfRegex(text: string, start: number): number {
  let isClass = false
  for (let at = start + 1; at < text.length; at++) {
    const letter = text[at]
    if (letter === '\\') at++
    else if (letter === '[') isClass = true
    else if (letter === ']') isClass = false
    else if (letter === '\n') return at
    else if (letter === '/' && !isClass) return at + 1
  }
  return text.length
}

function endOfText(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === text[start]) return at + 1
  }
  return text.length
}

/** Blanks out comments, and with `texts` also strings, templates and regular expressions (but not the code inside `${…}`). */
export function blanked(text: string, texts: boolean): string {
  const out = text.split('')
  const blank = (from: number, to: number): void => {
    for (let at = from; at < to && at < out.length; at++) if (out[at] !== '\n') out[at] = ' '
  }
  // Each open template waits for the brace that closes its `${`; `depth` counts the braces in between.
  const templates: number[] = []
  let depth = 0
  const template = (start: number): number => {
    let at = start
    for (; at < text.length; at++) {
      if (text[at] === '\\') at++
      else if (text[at] === '`') break
      else if (text[at] === '$' && text[at + 1] === '{') {
        if (texts) blank(start, at)
        templates.push(depth)
        depth = 0
        return at + 2
      }
    }
    if (texts) blank(start, at)
    return at + 1
  }
  let last = 0
  const code = (to: number): string => out.slice(last, to).join('')
  for (let at = 0; at < text.length;) {
    const two = text.slice(at, at + 2)
    const letter = text[at]!
    let end = at + 1
    if (two === '//') {
      const lineEnd = text.indexOf('\n', at)
      blank(at, (end = lineEnd < 0 ? text.length : lineEnd))
    } else if (two === '/*') {
      const closing = text.indexOf('*/', at + 2)
      blank(at, (end = closing < 0 ? text.length : closing + 2))
    } else if (letter === "'" || letter === '"') {
      end = endOfText(text, at)
      if (texts) blank(at + 1, end - 1)
    } else if (letter === '`') end = template(at + 1)
    else if (letter === '/' && beginsRegex(code(at))) {
      end = endOfRegex(text, at)
      if (texts) blank(at + 1, end - 1)
    } else if (letter === '{') depth++
    else if (letter === '}') {
      if (depth === 0 && templates.length > 0) {
        depth = templates.pop()!
        end = template(at + 1)
      } else depth--
    }
    last = Math.max(0, at - 200)
    at = end
  }
  return out.join('')
}

const fromClause = /^(import|export)\s+(type\s+)?((?:[\w$]+\s*,?\s*)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})?)\s*from\s*['"]([^'"]+)['"]/gm
const bareClause = /^import\s+['"]([^'"]+)['"]/gm
const dynamicClause = /(typeof\s+)?\bimport\(\s*['"]([^'"]+)['"]/g

function namesOf(clause: string): { readonly names: string[]; readonly isType: boolean } {
  const listed =
    /\{([^}]*)\}/
      .exec(clause)?.[1]
      ?.split(',')
      .map((name) => name.trim())
      .filter(Boolean) ?? []
  const rest = clause.replace(/\{[^}]*\}/, '')
  const values = listed.filter((name) => !name.startsWith('type ')).map((name) => name.split(/\s+as\s+/)[0]!)
  const names = [
    ...values,
    ...(rest.includes('*') ? ['*'] : []),
    ...(/[\w$]/.test(rest.replace(/\*\s+as\s+[\w$]+/, '')) ? ['default'] : []),
  ]
  return { names, isType: names.length === 0 && listed.length > 0 }
}

function importsOf(path: string, text: string, code: string): Import[] {
  const bare = blanked(text, false)
  const file = (from: string): string | undefined => (from.startsWith('.') ? posix.join(posix.dirname(path), from) : undefined)
  const isCode = (offset: number, word: string): boolean => code.startsWith(word, offset)
  const found: (Import & { readonly offset: number })[] = []
  const add = (offset: number, from: string, rest: Omit<Import, 'line' | 'from' | 'file'>): void => {
    found.push({ offset, line: lineAt(text, offset), from, file: file(from), ...rest })
  }
  for (const { index, 1: word, 2: type, 3: clause, 4: from } of bare.matchAll(fromClause)) {
    if (!isCode(index, word!)) continue
    const { names, isType } = namesOf(clause!)
    add(index, from!, { isType: type !== undefined || isType, isDynamic: false, isReexport: word === 'export', names: type ? [] : names })
  }
  for (const { index, 1: from } of bare.matchAll(bareClause)) {
    if (isCode(index, 'import')) add(index, from!, { isType: false, isDynamic: false, isReexport: false, names: [] })
  }
  for (const match of bare.matchAll(dynamicClause)) {
    const offset = match.index + match[0].indexOf('import(')
    if (isCode(offset, 'import('))
      add(offset, match[2]!, { isType: match[1] !== undefined, isDynamic: true, isReexport: false, names: ['*'] })
  }
  return found.sort((a, b) => a.offset - b.offset)
}

/** Reads one file; `path` is from the root of the project. */
export function sourceOf(path: string, text: string): Source {
  const code = blanked(text, true)
  const isTest = path.startsWith('test/') || /\.(?:test|fixture)\.tsx?$/.test(path)
  return { path, text, lines: text.split('\n'), code, imports: importsOf(path, text, code), isTest }
}

/** Every place in the code of the files, tests aside, where `pattern` (with the flag `g`) matches. */
export function places(
  files: readonly Source[],
  pattern: RegExp,
): { readonly file: Source; readonly line: number; readonly match: string }[] {
  return files
    .filter(({ isTest }) => !isTest)
    .flatMap((file) =>
      [...file.code.matchAll(pattern)].map((match) => ({
        file,
        line: lineAt(file.code, match.index + match[0].search(/\S/)),
        match: match[0].trim(),
      })),
    )
}
