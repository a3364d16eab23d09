// Finding without parsing agrees with parsing.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { unclearName, elements, locate, members } from './locate.ts'

const bytesOf = (value: unknown, indent?: number): Buffer => Buffer.from(JSON.stringify(value, undefined, indent))
const read = (bytes: Buffer, [start, end]: readonly [number, number]): unknown => JSON.parse(bytes.toString('utf8', start, end))

test('every member and element is where the reader finds it', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.array(fc.jsonValue()),
      fc.constantFrom(undefined, 2),
      (object, list, indent) => {
        const objectBytes = bytesOf(object, indent)
        const seen = Object.fromEntries(
          [...members(objectBytes, [0, objectBytes.length])].map(({ name, value }) => [name, read(objectBytes, value)]),
        )
        expect(seen).toEqual(JSON.parse(JSON.stringify(object)))
        const listBytes = bytesOf(list, indent)
        expect(elements(listBytes, [0, listBytes.length]).map((span) => read(listBytes, span))).toEqual(JSON.parse(JSON.stringify(list)))
      },
    ),
  )
})

test('names lead to a value, or to nothing', () => {
  const bytes = bytesOf({ a: { 'b"': [1, { c: '}' }] }, d: 1 })
  expect(read(bytes, locate(bytes, [0, bytes.length], 'a', 'b"')!)).toEqual([1, { c: '}' }])
  expect(locate(bytes, [0, bytes.length], 'a', 'x')).toBeUndefined()
  expect(locate(bytes, [0, bytes.length], 'd', 'x')).toBeUndefined()
})

test.each([
  ['{"a":1,"b":{"c":[{"d":1,"d":2}]}}', 'd'],
  ['{"a":1,"\\u0061":2}', 'a'],
  ['[{"x":1},{"x":1}]', undefined],
  ['{"a":{"a":{"a":"a"}},"b":"{\\"a\\":1,\\"a\\":2}"}', undefined],
  ['{"a":[{"__proto__":1}]}', '__proto__'],
  ['1', undefined],
  ['{":":":","b":{"\\":":[":",":"],":":0}}', undefined],
  ['{":":1,"b":":",":":2}', ':'],
])('an unclear name in %s is found at any depth: %s', (text, name) => {
  const bytes = Buffer.from(text)
  expect(unclearName(bytes, [0, bytes.length], JSON.parse(text))).toBe(name)
})
