// Lists every key that a schema knows, for reference pages.
import type { z } from 'zod'
import { type Shape, shapeOf } from './problem.ts'

/** One key: `path` as a person writes it, `<name>` for a freely chosen key and `[]` for each entry of a list. */
export type Key = {
  readonly path: string
  readonly type: string
  readonly description: string
  /** Undefined when there is none. */
  readonly default: unknown
  readonly isRequired: boolean
}

function typeOf(shape: Shape): string {
  const branches = [...(shape.anyOf ?? []), ...(shape.oneOf ?? [])]
  if (branches.length > 0) return [...new Set(branches.map(typeOf))].join(' | ')
  if (shape.enum) return shape.enum.map((value) => JSON.stringify(value)).join(' | ')
  if (shape.const !== undefined) return JSON.stringify(shape.const)
  if (shape.type === 'array') return `list of ${shape.items ? typeOf(shape.items) : 'anything'}`
  if (shape.type === 'object') return shape.properties ? `{ ${Object.keys(shape.properties).join(', ')} }` : 'table'
  const [least, most] = [shape.minimum, shape.maximum].map((bound) =>
    bound === undefined || Math.abs(bound) >= Number.MAX_SAFE_INTEGER ? '' : String(bound),
  )
  return `${shape.type ?? 'anything'}${least || most ? ` ${least}…${most}` : ''}`
}

/** A table whose keys are listed one by one; a choice between tables is one key. */
function isTable({ type, properties, additionalProperties }: Shape): boolean {
  return type === 'object' && (properties !== undefined || typeof additionalProperties === 'object')
}

function keysOf(shape: Shape, path: string, isRequired: boolean): Key[] {
  const under = (key: string): string => (path ? `${path}.${key}` : key)
  if (shape.type === 'array' && shape.items && isTable(shape.items))
    return [own(shape, path, isRequired), ...keysOf(shape.items, `${path}[]`, false)]
  if (!isTable(shape)) return [own(shape, path, isRequired)]
  const named = Object.entries(shape.properties ?? {}).flatMap(([key, child]) =>
    keysOf(child, under(key), shape.required?.includes(key) ?? false),
  )
  const free = typeof shape.additionalProperties === 'object' ? keysOf(shape.additionalProperties, under('<name>'), false) : []
  return [...(shape.description ? [own(shape, path, isRequired)] : []), ...named, ...free].filter((key) => key.path !== '')
}

function own(shape: Shape, path: string, isRequired: boolean): Key {
  return {
    path,
    type: typeOf(shape),
    description: shape.description ?? '',
    default: shape.default,
    isRequired: isRequired && shape.default === undefined,
  }
}

/** Every key of the schema, in the order in which it was declared. A key without a description has an empty one: a test may insist. */
export function describeConfig(schema: z.ZodType): readonly Key[] {
  return keysOf(shapeOf(schema), '', true)
}
