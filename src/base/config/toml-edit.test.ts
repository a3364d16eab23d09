// Edits of TOML: the one value changes, every other byte stays, whatever comments, spacing and strings a person wrote.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readDocument } from './format.ts'
import { addTable, removeTable, setKey, tomlString } from './toml-edit.ts'

const valueOf = async (text: string): Promise<Record<string, unknown>> =>
  (await readDocument('x.toml', 'toml', text)).value as Record<string, unknown>

/** Lines that a person may write above the first table; none of them sets `active`, some look as if they did. */
const line = fc.constantFrom<string[]>(
  '# active = true',
  '',
  '  ',
  'name = "x" # active = true',
  "note = '''\nactive = true\n[[components]]\n'''",
  'list = [\n  "active = true", # [x]\n  "b",\n]',
  'inline = { active = true }',
  'inner.active = true',
)
const table = fc.constantFrom(
  '[other]\nactive = true\n',
  '[[components]]\nname = "a"\n  active = true # not this\n',
  '[limits.health]\n',
  '# the end',
)
const active = fc.constantFrom('active = true', '  "active"=false   # why', "'active' =\ttrue", undefined)

const documents = fc
  .record({
    head: fc.uniqueArray(line, { maxLength: 6, selector: (text) => (/^\w/.test(text) ? text.slice(0, 4) : {}) }),
    active,
    at: fc.nat(6),
    tables: fc.uniqueArray(table, { maxLength: 3 }),
    crlf: fc.boolean(),
    mark: fc.boolean(),
    isOpen: fc.boolean(),
  })
  .map(({ head, active: own, at, tables, crlf, mark, isOpen }) => {
    const textWith = (line: string | undefined): string => {
      const lines = line === undefined ? head : head.toSpliced(Math.min(at, head.length), 0, line)
      const text = [...lines, ...tables].join('\n') + (isOpen ? '' : '\n')
      return (mark ? '\uFEFF' : '') + (crlf ? text.replaceAll('\n', '\r\n') : text)
    }
    return {
      text: textWith(own),
      edited: own === undefined ? undefined : (value: boolean) => textWith(own.replace(/true|false/, String(value))),
    }
  })

test('setting a key changes its value and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(documents, fc.boolean(), async ({ text, edited }, wanted) => {
      const before = await valueOf(text)
      const after = await setKey(text, 'active', String(wanted))
      expect(await valueOf(after)).toEqual({ ...before, active: wanted })
      if (edited) {
        expect(after).toBe(edited(wanted))
        return
      }
      const added = text.includes('\r\n')
        ? [`active = ${wanted}\r\n`, `\r\nactive = ${wanted}`]
        : [`active = ${wanted}\n`, `\nactive = ${wanted}`]
      const ways = added.flatMap((line) =>
        Array.from(after.matchAll(new RegExp(line, 'g')), ({ index }) => after.slice(0, index) + after.slice(index + line.length)),
      )
      expect(ways).toContain(text)
    }),
    { numRuns: 1_000 },
  )
})

test('a key that is new stands before the first table, on a line of its own', async () => {
  expect(await setKey('# mine\nname = "x" # c\n\n[a]\n', 'active', 'false')).toBe('# mine\nname = "x" # c\nactive = false\n\n[a]\n')
  expect(await setKey('name = "x"', 'active', 'false')).toBe('name = "x"\nactive = false')
  expect(await setKey('[a]\r\n', 'active', 'false')).toBe('active = false\r\n[a]\r\n')
})

test('tables of a list come and go, and their neighbours stay as they are', async () => {
  const text = '# hosts\n[[nodes]] # one\nname = "a"\n[nodes.x]\ny = 1\n\n# above b\n[[nodes]]\nname = "b"\n# end\n'
  expect(await removeTable(text, 'nodes', 0)).toBe('# hosts\n# above b\n[[nodes]]\nname = "b"\n# end\n')
  expect(await removeTable(text, 'nodes', 1)).toBe('# hosts\n[[nodes]] # one\nname = "a"\n[nodes.x]\ny = 1\n\n# above b\n# end\n')
  expect(await removeTable(text, 'nodes', 2)).toBe(text)
  expect(addTable('', 'nodes', { name: tomlString('a"\\\n\u007f') })).toBe('[[nodes]]\nname = "a\\"\\\\\\n\\u007f"\n')
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: 'binary' }), { maxLength: 4 }), fc.nat(3), async (names, index) => {
      const all = names.reduce((before, name) => addTable(before, 'nodes', { name: tomlString(name) }), '# mine\nx = 1\n')
      const value = (list: readonly string[]) => ({ x: 1, ...(list.length > 0 ? { nodes: list.map((name) => ({ name })) } : {}) })
      expect(await valueOf(all)).toEqual(value(names))
      expect(await valueOf(await removeTable(all, 'nodes', index))).toEqual(value(names.toSpliced(index, 1)))
    }),
    { numRuns: 40 },
  )
})
