// Strict configuration: a file is either wholly understood or refused, with every problem named by file, line and key.
import type { z } from 'zod'
import { readText, statOf } from '../../kernel/file.ts'
import { type Document, type Path, fault, valueAt } from './document.ts'
import { type Reading, formatOf, readDocument } from './format.ts'
import { pathText, problemsOf } from './problem.ts'

const maxBytes = 1 << 20

export type Loaded<Value> = {
  readonly value: Value
  /** Where a value comes from: `fairlead.toml:4`, or `default`. */
  originOf(path: Path): Promise<string>
}

export type Source<Schema extends z.ZodType> = Reading & {
  readonly schema: Schema
  /** The file, as it shall be named in faults; its ending tells the format. */
  readonly path: string
  /** The file's content, when it is known already. */
  readonly text?: string
  /** A file that is not there gives the defaults, instead of the fault `config.absent`. An invalid one is refused in any case. */
  readonly isOptional?: boolean
}

/** Reads and checks one file. Faults: `config.invalid`, `config.absent`, `config.unknown_format`, `config.too_large`. */
export async function loadConfig<Schema extends z.ZodType>({
  schema,
  path,
  text,
  isOptional,
  ...reading
}: Source<Schema>): Promise<Loaded<z.output<Schema>>> {
  const format = formatOf(path)
  const content = text ?? contentOf(path)
  if (content === undefined && !isOptional) throw fault.absent({ file: path })
  const document: Document =
    content === undefined ? { value: {}, lineOf: async () => undefined } : await readDocument(path, format, content, reading)
  const result = schema.safeParse(document.value)
  if (!result.success) {
    const problems = problemsOf(schema, document.value, result.error.issues)
    throw fault.invalid({
      file: path,
      problems: await Promise.all(
        problems.map(async (found) => ({ line: await document.lineOf(found.path), path: pathText(found.path), problem: found.problem })),
      ),
    })
  }
  return {
    value: result.data,
    async originOf(at) {
      if (valueAt(document.value, at) === undefined) return 'default'
      const line = await document.lineOf(at)
      return line === undefined ? path : `${path}:${line}`
    },
  }
}

function contentOf(path: string): string | undefined {
  const stats = statOf(path)
  if (stats && (!stats.isFile() || stats.size > maxBytes)) throw fault.too_large({ file: path, maxBytes })
  return stats && readText(path)
}
