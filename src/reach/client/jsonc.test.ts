// Proves that JSON with comments is read as JSON.parse reads it without them, that what is wrong is told with its place, and that an edit touches nothing else.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyEdits, removeMember, setMember } from './jsonc-edit.ts'
import { memberOf, readJsonc, valueOf } from './jsonc.ts'

const read = (text: string): unknown => valueOf(readJsonc(text, 'f'))
const faultOf = (act: () => unknown): unknown => {
  try {
    return { opened: act() }
  } catch (error) {
    return (error as { details: unknown }).details
  }
}

type Style = { readonly gaps: readonly string[]; readonly isTrailing: boolean }
const gaps = fc.array(
  fc.constantFrom('', '', ' ', '\n', '\r\n', '\t', '  ', '// a "note", {\n', '/* one\n, } */', '/**/', ' // ü\r\n', '\n  '),
  { minLength: 1, maxLength: 7 },
)
const styles: fc.Arbitrary<Style> = fc.record({ gaps, isTrailing: fc.boolean() })

/** JSON text of a value with spaces, comments and trailing commas wherever they may stand. */
function styled(value: unknown, { gaps, isTrailing }: Style): string {
  let turn = 0
  const gap = (): string => gaps[turn++ % gaps.length]!
  const listed = (open: string, close: string, parts: readonly string[]): string =>
    open + parts.map((part) => gap() + part + gap()).join(',') + (isTrailing && parts.length > 0 ? `,${gap()}` : gap()) + close
  const text = (inner: unknown): string => {
    if (Array.isArray(inner)) return listed('[', ']', inner.map(text))
    if (typeof inner !== 'object' || inner === null) return JSON.stringify(inner)
    return listed(
      '{',
      '}',
      Object.entries(inner).map(([key, item]) => `${JSON.stringify(key)}${gap()}:${gap()}${text(item)}`),
    )
  }
  return gap() + text(value) + gap()
}

const plainValues = fc.jsonValue({ maxDepth: 3 })
const objects = fc
  .dictionary(fc.string({ maxLength: 6 }), plainValues, { maxKeys: 5 })
  .map((made) => JSON.parse(JSON.stringify(made)) as object)
const keys = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom('a', '__proto__', 'x"\\\n'))
const whole = fc.tuple(objects, styles)

describe('reading', () => {
  test('agrees with JSON.parse on every JSON text, and takes comments and trailing commas for nothing', () => {
    fc.assert(
      fc.property(plainValues, styles, fc.constantFrom(undefined, 2, '\t'), (value, style, indent) => {
        const text = JSON.stringify(value, undefined, indent)
        expect(read(text)).toEqual(JSON.parse(text))
        expect(read(styled(value, style))).toEqual(JSON.parse(text))
      }),
      { numRuns: 1_000 },
    )
  })

  test('refuses what JSON.parse refuses, comments and trailing commas aside, and nothing but a fault comes of any text', () => {
    const letters = fc.constantFrom(...'{}[]",:\\/u0-1.e+ntfrals\n \u0007é'.split(''))
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 12 }), (parts) => {
        const text = parts.join('')
        let wanted: unknown
        try {
          wanted = { opened: JSON.parse(text) as unknown }
        } catch {
          wanted = undefined
        }
        const found = faultOf(() => read(text))
        if (wanted !== undefined) expect(found).toEqual(wanted)
        else if ('opened' in (found as object)) expect(text).toMatch(/\/\/|\/\*|,\s*[\]}]/)
      }),
      { numRuns: 5_000 },
    )
  })

  test.each([
    ['', 1, 1, 'it ends'],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, 'a comma or }'],
    ['{\r\n  "a": tru\r\n}', 2, 8, 'a value'],
    ['{"a": 1} x', 1, 10, 'follows'],
    ['{"a": "x\ny"}', 1, 7, 'string'],
    ["{'a': 1}", 1, 2, 'double quotes'],
    ['{"a" 1}', 1, 6, 'colon'],
    ['{\n/* never', 2, 1, 'comment'],
    ['[1,,2]', 1, 4, 'a value'],
    ['[,]', 1, 2, 'a value'],
    ['[01]', 1, 3, 'a comma or ]'],
    ['[-]', 1, 2, 'number'],
    ['['.repeat(200), 1, 130, 'deeper'],
  ])('%j is refused at %i:%i', (text, line, column, problem) => {
    expect(faultOf(() => read(text))).toEqual({ file: 'f', line, column, problem: expect.stringContaining(problem) as string })
  })

  test('a byte order mark is no part of it', () => {
    expect(read('\uFEFF{"a":1}')).toEqual({ a: 1 })
  })
})

describe('a member that is put in', () => {
  test('leaves every other letter as it was, and the value is the merge', () => {
    fc.assert(
      fc.property(whole, fc.array(keys, { minLength: 1, maxLength: 3 }), plainValues, ([object, style], path, value) => {
        const text = styled(object, style)
        const root = readJsonc(text, 'f')
        let at: ReturnType<typeof memberOf>
        let holder: typeof root | undefined = root
        const isBlocked = path.slice(0, -1).some((key) => {
          const before = holder
          at = memberOf(before, key)
          holder = at?.value
          return at !== undefined && holder!.is !== 'object'
        })
        if (isBlocked) {
          expect(faultOf(() => setMember(text, 'f', path as [string], value))).toMatchObject({ file: 'f' })
          return
        }
        const edits = setMember(text, 'f', path as [string], value)
        const after = applyEdits(text, edits)
        expect(read(after)).toEqual(merged(object, path, JSON.parse(JSON.stringify(value))))
        const isThere = memberOf(holder, path.at(-1)!) !== undefined
        for (const { cut } of edits) if (!isThere) expect(cut).toBe(0)
        expect(commentsOf(after)).toEqual(isThere ? expect.anything() : commentsOf(text))
        expect(without(after, edits)).toBe(edits.reduceRight((rest, edit) => rest.slice(0, edit.at) + rest.slice(edit.at + edit.cut), text))
      }),
      { numRuns: 2_000 },
    )
  })

  test('and taken out again, gives the value that was there before', () => {
    fc.assert(
      fc.property(whole, keys, plainValues, ([object, style], key, value) => {
        const text = styled(object, style)
        const added = applyEdits(text, setMember(text, 'f', [key], value))
        const removed = applyEdits(added, removeMember(added, 'f', [key]))
        const wanted = Object.fromEntries(Object.entries(object).filter(([name]) => name !== key))
        expect(read(removed)).toEqual(wanted)
        expect(applyEdits(text, removeMember(text, 'f', ['not there', key]))).toBe(text)
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['{}\n', '{\n  "s": {\n    "n": {\n      "c": 1\n    }\n  }\n}\n'],
    ['{"other":[1]}', '{"other":[1],"s":{"n":{"c":1}}}'],
    ['{"s":{}}', '{"s":{"n":{"c":1}}}'],
    ['{ "s": { "a": 1 } }\n', '{ "s": { "a": 1, "n": {"c":1} } }\n'],
    [
      '{\r\n\t"s": {\r\n\t\t"a": {} // mine\r\n\t\t// "b": {}\r\n\t}\r\n}\r\n',
      '{\r\n\t"s": {\r\n\t\t"a": {}, // mine\r\n\t\t"n": {\r\n\t\t\t"c": 1\r\n\t\t}\r\n\t\t// "b": {}\r\n\t}\r\n}\r\n',
    ],
    [
      '{\n    "s": {\n        "a": 1,\n    },\n}',
      '{\n    "s": {\n        "a": 1,\n        "n": {\n            "c": 1\n        },\n    },\n}',
    ],
    ['{\n  // none yet\n}\n', '{\n  // none yet\n  "s": {\n    "n": {\n      "c": 1\n    }\n  }\n}\n'],
    ['{\n  "s": {}\n}\n', '{\n  "s": {\n    "n": {\n      "c": 1\n    }\n  }\n}\n'],
    ['{\n  "s": {\n    "n": 5 // old\n  }\n}\n', '{\n  "s": {\n    "n": {\n      "c": 1\n    } // old\n  }\n}\n'],
  ])('keeps the style of %j', (before, after) => {
    expect(applyEdits(before, setMember(before, 'f', ['s', 'n'], { c: 1 }))).toBe(after)
  })

  test.each([
    ['{\n  "a": 1,\n  "n": {\n    "c": 1\n  }\n}\n', '{\n  "a": 1\n}\n'],
    ['{\n  "n": 1, // about n\n  "b": 2\n}', '{\n   // about n\n  "b": 2\n}'],
    ['{\n  "n": 1,\n  "b": 2\n}', '{\n  "b": 2\n}'],
    ['{"a":1,"n":2}', '{"a":1}'],
    ['{"n":2,"a":1}', '{"a":1}'],
    ['{\n"a": 1, // about a\n"n": 2,\n}', '{\n"a": 1, // about a\n}'],
  ])('taken out of %j', (before, after) => {
    expect(applyEdits(before, removeMember(before, 'f', ['n']))).toBe(after)
  })
})

function merged(into: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return value
  const entries = new Map(Object.entries(into ?? {}))
  entries.set(key, merged(entries.get(key), rest, value))
  return Object.fromEntries(entries)
}

/** The text less what the edits put in. */
function without(after: string, edits: ReturnType<typeof setMember>): string {
  let shift = 0
  let text = after
  for (const { at, cut, put } of edits) {
    text = text.slice(0, at + shift) + text.slice(at + shift + put.length)
    shift -= cut
  }
  return text
}

/** The comments of a text, in order. */
function commentsOf(text: string): string[] {
  return [...text.matchAll(/"(?:[^"\\]|\\.)*"|(\/\/[^\r\n]*|\/\*[^]*?\*\/)/g)].flatMap((match) =>
    match[1] === undefined ? [] : [match[1]],
  )
}
