// Says in a person's words what a schema found wrong, with the key that was probably meant.
import { z } from 'zod'
import { nearest } from '../terminal/nearest.ts'
import { type Path, valueAt } from './document.ts'

type Issue = z.core.$ZodIssue

/** A finding with its place in the value. */
export type Found = { readonly path: Path; readonly problem: string }

const names: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a table',
  record: 'a table',
  date: 'a date',
  null: 'nothing',
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Date) return 'a date'
  return names[typeof value] ?? typeof value
}

/** JSON Schema, as far as it is walked here and in `describe.ts`. */
export type Shape = {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly properties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
  readonly items?: Shape
  readonly additionalProperties?: Shape | boolean
  readonly anyOf?: readonly Shape[]
  readonly oneOf?: readonly Shape[]
  readonly minimum?: number
  readonly maximum?: number
}

/** The schema of what a person writes, as JSON Schema (2020-12); what JSON cannot say becomes "anything". */
export function shapeOf(schema: z.ZodType): Shape {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline', cycles: 'ref' }) as Shape
}

function keysAt(shape: Shape | undefined, path: Path): string[] {
  if (!shape) return []
  const either = [...(shape.anyOf ?? []), ...(shape.oneOf ?? [])].flatMap((branch) => keysAt(branch, path))
  const [first, ...rest] = path
  if (first === undefined) return [...Object.keys(shape.properties ?? {}), ...either]
  const more = typeof shape.additionalProperties === 'object' ? shape.additionalProperties : undefined
  const next = typeof first === 'number' ? shape.items : Object.hasOwn(shape.properties ?? {}, first) ? shape.properties![first] : more
  return [...keysAt(next, rest), ...either]
}

function meant(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates)
  return near === undefined ? '' : `; did you mean '${near}'?`
}

const measures: Readonly<Record<string, string>> = { string: ' characters', array: ' entries', set: ' entries', map: ' entries' }

function outOfRange(issue: Issue & { code: 'too_big' | 'too_small' }): string {
  const [limit, word] =
    issue.code === 'too_big'
      ? [issue.maximum, issue.inclusive === false ? 'less than' : 'at most']
      : [issue.minimum, issue.inclusive === false ? 'more than' : 'at least']
  return `must ${issue.origin in measures ? 'have' : 'be'} ${word} ${limit}${measures[issue.origin] ?? ''}`
}

/** Of a choice between shapes, the branch that was nearest: the one whose complaint lies deepest. */
function nearestBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] {
  const depth = (branch: readonly Issue[]): number => Math.max(0, ...branch.map(({ path }) => path.length))
  return [...branches].sort((a, b) => depth(b) - depth(a))[0] ?? []
}

function describe(issue: Issue, path: Path, root: unknown, shape: () => Shape): Found[] {
  const value = valueAt(root, path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], problem: `unknown key${meant(key, keysAt(shape(), path))}` }))
    case 'invalid_type': {
      const expected = names[issue.expected] ?? issue.expected
      return [{ path, problem: value === undefined ? `is required: ${expected}` : `must be ${expected}, not ${kindOf(value)}` }]
    }
    case 'invalid_value': {
      const values = issue.values.map(String)
      const hint = typeof value === 'string' ? meant(value, values) : ''
      return [{ path, problem: `must be ${values.length === 1 ? '' : 'one of '}${values.join(', ')}${hint}` }]
    }
    case 'too_big':
    case 'too_small':
      return [{ path, problem: outOfRange(issue) }]
    case 'invalid_key':
      return issue.issues.flatMap((inner) => describe(inner, path, root, shape))
    case 'invalid_union': {
      const branch = issue.message === 'Invalid input' ? nearestBranch(issue.errors) : []
      if (branch.length > 0) return branch.flatMap((inner) => describe(inner, [...path, ...(inner.path as Path)], root, shape))
      break
    }
  }
  return [{ path, problem: issue.message.charAt(0).toLowerCase() + issue.message.slice(1) }]
}

/** Everything that is wrong with `root`, which `schema` has refused for `issues`. No value is repeated: it might be a secret. */
export function problemsOf(schema: z.ZodType, root: unknown, issues: readonly Issue[]): Found[] {
  let known: Shape | undefined
  const shape = (): Shape => (known ??= shapeOf(schema))
  return issues.flatMap((issue) => describe(issue, issue.path as Path, root, shape))
}

/** `gate.upstreams[0].url`; a key that is no plain word is quoted. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    const word = /^[\w-]+$/.test(part) ? part : JSON.stringify(part.length > 60 ? `${part.slice(0, 60)}…` : part)
    return text ? `${text}.${word}` : word
  }, '')
}
