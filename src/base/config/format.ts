// Reads TOML or YAML text: the file's name tells which, and only that reader is loaded.
import { type Document, fault } from './document.ts'

type Format = 'toml' | 'yaml'

/** The format that a file's name says; fault: `config.unknown_format`. */
export function formatOf(file: string): Format {
  if (/\.toml$/i.test(file)) return 'toml'
  if (/\.ya?ml$/i.test(file)) return 'yaml'
  throw fault.unknown_format({ file })
}

/** `isYaml11Too`: YAML that programs of YAML 1.1 (PyYAML) would read as something else is a problem. */
export type Reading = { readonly isYaml11Too?: boolean }

/** Reads `text`, which `file` names in faults. Every syntax error that the parser can tell is in the one fault, `config.invalid`. */
export async function readDocument(file: string, format: Format, text: string, { isYaml11Too }: Reading = {}): Promise<Document> {
  const plain = text.replace(/^\uFEFF/, '')
  const result = format === 'toml' ? (await import('./toml.ts')).read(plain) : (await import('./yaml.ts')).read(plain, isYaml11Too)
  if ('problems' in result) throw fault.invalid({ file, problems: result.problems })
  return result
}
