// Fingerprints as spec/pins.md says, from its cases; each hash is computed once more here, from the prose alone.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { definitionAt, readable } from './definition.ts'
import { skeleton } from './skeleton.ts'

type Case = { name: string; tool: string; form: string | null; fingerprint?: string; ambiguous?: boolean }
const path = join(import.meta.dirname, '../../../spec/vectors/pins/cases.json')
const cases = JSON.parse(readFileSync(path, 'utf8')) as { fingerprints: Case[]; alike: string[] }

const definitionOf = (tool: string) => {
  const bytes = Buffer.from(`[ ${tool} ]`)
  return definitionAt(bytes, [2, bytes.length - 2])
}

test.each(cases.fingerprints)('$name', ({ tool, form, fingerprint, ambiguous }) => {
  const found = definitionOf(tool)
  if (form === null) return expect(found).toBeUndefined()
  expect(found).toMatchObject({ text: form, fingerprint })
  expect(found!.ambiguity !== undefined).toBe(ambiguous)
  expect(createHash('sha256').update('fairlead-pin/1\n').update(form).digest('hex')).toBe(fingerprint)
})

test.each(cases.alike)('letters that look like the first of %s have its skeleton', (letters) => {
  const [first, ...rest] = Array.from(letters)
  for (const letter of rest) expect([letter, skeleton(`x${letter}`)]).toEqual([letter, `x${first}`])
})

test('spelling is no difference, and everything else is one', () => {
  const json = fc.jsonValue({ maxDepth: 4 })
  fc.assert(
    fc.property(json, json, (one, other) => {
      const tool = (schema: unknown, blank?: number): string => JSON.stringify({ name: 'x', inputSchema: schema }, undefined, blank)
      expect(definitionOf(tool(one, 2))).toEqual(definitionOf(tool(one)))
      const isSame = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
      expect(definitionOf(tool(one))!.fingerprint === definitionOf(tool(other))!.fingerprint).toBe(isSame)
    }),
  )
})

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, inner]) => [name, sorted(inner)] as const)
  return { object: entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) }
}

test('a person reads it in lines', () => {
  const { text } = definitionOf('{"inputSchema":{"type":"object"},"description":"a\\nb","name":"x"}')!
  expect(readable(text)).toBe('name: x\ndescription:\n  a\n  b\ninputSchema:\n  {\n    "type": "object"\n  }\n')
})
