// What a configuration file is once it is read: plain values, the line that each stands on, and the faults of a file that cannot be read.
import { faults } from '../../kernel/fault.ts'

/** Keys and list positions from the root to a value. */
export type Path = readonly (string | number)[]

/** What stands at `path`; undefined when nothing does. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string | number, unknown>)[key]
  }
  return value
}

export interface Document {
  readonly value: unknown
  /** The line (from 1) of the key at `path`, or of its nearest parent that is there. Loads what it needs: for messages, not for reading values. */
  lineOf(path: Path): Promise<number | undefined>
}

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

/** What both readers answer: the document, or what is wrong with the text. */
export type Read = Document | { readonly problems: readonly Problem[] }

/** An error that a parser threw, as a problem: text nested too deeply overflows the stack, everything else has a message. */
export function thrown(error: unknown, line?: number): Problem {
  const problem =
    error instanceof RangeError ? 'nested too deeply' : error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  return { line, path: '', problem }
}
