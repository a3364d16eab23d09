// Reads TOML or YAML text: the file's name tells which, and only that reader is loaded.
import { type Document, fault } from './document.ts'

type Format = 'toml' | 'yaml'

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
