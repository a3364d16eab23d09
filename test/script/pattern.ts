// Compares what a program shows with what a page says it shows: `…` stands for anything, `<NAME>` for a word that is kept, or is known already.

export type Values = ReadonlyMap<string, string>

const placeholder = /<([A-Za-z][\w-]*)>/g

/** The text with every `<NAME>` replaced by its value. Throws when one has none. */
export function filled(text: string, values: Values): string {
  return text.replaceAll(placeholder, (_, name: string) => {
    const value = values.get(name)
    if (value === undefined) throw new Error(`nothing has shown what <${name}> is`)
    return value
  })
}

export type Match = { readonly values: Values; readonly end: number }

/**
 * The first place in `shown` from `from` on where `expected` stands, with the values of the names that were new; `isWhole`: all of it, and nothing else.
 * A line that is `…` stands for any lines; spaces stand for any number of spaces.
 */
export function match(expected: string, shown: string, values: Values, { isWhole = false, from = 0 } = {}): Match | undefined {
  const names: string[] = []
  const word = (name: string): string => {
    const known = values.get(name)
    if (known !== undefined) return escaped(known)
    if (names.includes(name)) return `\\${names.indexOf(name) + 1}`
    names.push(name)
    return '([^\\s,;()"]+)'
  }
  const inLine = (line: string): string =>
    line
      .split(/(<[A-Za-z][\w-]*>|…| +)/)
      .map((part, at) => {
        if (at % 2 === 0) return escaped(part)
        if (part === '…') return '[^\\n]*'
        return part.startsWith(' ') ? ' +' : word(part.slice(1, -1))
      })
      .join('')
  const lines = expected.split('\n').map((line) => (line.trim() === '…' ? '(?:[^\\n]*\\n)*?' : `${inLine(line.trimEnd())} *\\n`))
  const text = shown.endsWith('\n') || shown === '' ? shown : `${shown}\n`
  const found = new RegExp(isWhole ? `^${lines.join('')}$` : `^${lines.join('')}`, isWhole ? '' : 'm').exec(text.slice(from))
  if (!found) return undefined
  return { values: new Map(names.map((name, at) => [name, found[at + 1]!])), end: from + found.index + found[0].length }
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}

/** What a terminal shows in the end: without colours, and without the lines that were erased. */
export function plain(text: string): string {
  return text
    .replaceAll(erased, '')
    .replaceAll(control, '')
    .replaceAll(/\r+(?=\n)/g, '')
}

// oxlint-disable-next-line no-control-regex -- these are what is looked for
const erased = /[^\n]*(?:\r|\u001B\[1?G)\u001B\[0?K/g
// oxlint-disable-next-line no-control-regex -- as above
const control = /\u001B(?:\[[\d;?]*[A-Za-z]|\][^\u0007]*\u0007)/g
