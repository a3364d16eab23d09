// Reads TOML or YAML text into plain values, and tells on which line each of them stands.
import { faults } from '../../kernel/fault.ts'

/** Keys and list positions from the root to a value. */
export type Path = readonly (string | number)[]

export interface Document {
  readonly value: unknown
  /** The line (from 1) of the key at `path`, or of its nearest parent that is there. Loads what it needs: for messages, not for reading values. */
  lineOf(path: Path): Promise<number | undefined>
}

export type Format = 'toml' | 'yaml'

/** One thing that is wrong with a file. */
export type Problem = { readonly line: number | undefined; readonly path: string; readonly problem: string }

const maxShown = 40

function shown(file: string, { line, path, problem }: Problem): string {
  return `${file}${line === undefined ? '' : `:${line}`}${path ? ` ${path}` : ''}: ${problem}`
}

export const fault = faults('config', {
  invalid: (d: { file: string; problems: readonly Problem[] }) => {
    const lines = d.problems.slice(0, maxShown).map((problem) => shown(d.file, problem))
    if (d.problems.length > maxShown) lines.push(`and ${d.problems.length - maxShown} more`)
    return {
      kind: 'config',
      message: lines.length === 1 ? lines[0]! : `${d.problems.length} problems in ${d.file}\n  ${lines.join('\n  ')}`,
      hint: 'mend the file, then try: fairlead config check',
    }
  },
  absent: (d: { file: string }) => ({
    kind: 'config',
    message: `there is no configuration file ${d.file}`,
    hint: 'name another one, or make it',
  }),
  unknown_format: (d: { file: string }) => ({
    kind: 'config',
    message: `${d.file} is neither TOML nor YAML by its name`,
    hint: 'name it .toml, .yaml or .yml',
  }),
  too_large: (d: { file: string; maxBytes: number }) => ({
    kind: 'config',
    message: `${d.file} is no plain file of at most ${d.maxBytes} bytes`,
    hint: 'is it the right file?',
  }),
})

/** The format that a file's name says; fault: `config.unknown_format`. */
export function formatOf(file: string): Format {
  if (/\.toml$/i.test(file)) return 'toml'
  if (/\.ya?ml$/i.test(file)) return 'yaml'
  throw fault.unknown_format({ file })
}

/** Reads `text`, which `file` names in faults. Every syntax error that the parser can tell is in the one fault, `config.invalid`. */
export async function readDocument(file: string, format: Format, text: string): Promise<Document> {
  const plain = text.replace(/^\uFEFF/, '')
  const { read } = format === 'toml' ? await import('./toml.ts') : await import('./yaml.ts')
  const result = read(plain)
  if ('problems' in result) throw fault.invalid({ file, problems: result.problems })
  return result
}

/** What both readers answer: the document, or what is wrong with the text. */
export type Read = Document | { readonly problems: readonly Problem[] }

/** An error that a parser threw, as a problem: text nested too deeply overflows the stack, everything else has a message. */
export function thrown(error: unknown, line?: number): Problem {
  const problem =
    error instanceof RangeError ? 'nested too deeply' : error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  return { line, path: '', problem }
}
