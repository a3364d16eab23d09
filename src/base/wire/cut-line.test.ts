// Over-long messages: whose they are is seen at their ends, and never guessed from what stands inside.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cutMessage, keptBytes } from './cut-line.ts'

const seen = (text: string): unknown => cutMessage(text.slice(0, keptBytes), text.slice(-keptBytes))
const long = 'x'.repeat(10_000)

describe('the id of an over-long message', () => {
  test.each([
    ['an id before the result', `{"jsonrpc":"2.0","id":7,"result":{"a":"${long}"}}`, { kind: 'answer', id: '7' }],
    ['an id after the result', `{"result":{"a":"${long}"},"jsonrpc":"2.0","id":"b\\"c"}`, { kind: 'answer', id: '"b\\"c"' }],
    ['an id, then the version', ` { "result" : {"a":"${long}"} , "id" : -3 , "jsonrpc" : "2.0" } `, { kind: 'answer', id: '-3' }],
    ['an error', `{"error":{"message":"${long}"},"id":1}`, { kind: 'answer', id: '1' }],
    ['no id', `{"jsonrpc":"2.0","result":{"id":1,"a":"${long}","id":2}}`, { kind: 'answer', id: undefined }],
    ['an id in a string', `{"result":"${long},\\"id\\":5}`, { kind: 'answer', id: undefined }],
    ['an id inside', `{"jsonrpc":"2.0","result":{"a":["${long}"],"id":5}}`, { kind: 'answer', id: undefined }],
    ['an id that is none', `{"jsonrpc":"2.0","id":1.5,"result":{"a":"${long}"}}`, { kind: 'unknown', id: undefined }],
    ['null', `{"jsonrpc":"2.0","id":null,"error":{"a":"${long}"}}`, { kind: 'answer', id: undefined }],
    ['an id of 600 bytes', `{"id":"${'é'.repeat(300)}","result":{"a":"${long}"}}`, { kind: 'answer', id: undefined }],
    ['a request', `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"a":"${long}"}}`, { kind: 'request', id: '7' }],
    ['a request backwards', `{"params":{"a":"${long}"},"method":"tools/call","id":"q","jsonrpc":"2.0"}`, { kind: 'request', id: '"q"' }],
    ['a notification', `{"jsonrpc":"2.0","method":"m","params":{"id":1,"a":"${long}"}}`, { kind: 'request', id: undefined }],
    ['no JSON', long, { kind: 'unknown', id: undefined }],
    ['nothing', '', { kind: 'unknown', id: undefined }],
  ])('%s', (_what, text, expected) => expect(seen(text)).toEqual(expected))

  test('is the one that a JSON reader finds, or none', () => {
    const value = fc.oneof(fc.constant(long), fc.jsonValue(), fc.record({ id: fc.integer(), method: fc.string(), a: fc.constant(long) }))
    const members = fc.record(
      {
        jsonrpc: fc.constant('2.0'),
        id: fc.oneof(fc.integer(), fc.string({ maxLength: 20 })),
        result: value,
        method: fc.string(),
        params: value,
      },
      { requiredKeys: ['jsonrpc'] },
    )
    const shuffled = members.chain((message) =>
      fc
        .shuffledSubarray(Object.entries(message), { minLength: Object.keys(message).length })
        .map((entries) => Object.fromEntries(entries)),
    )
    fc.assert(
      fc.property(shuffled, (message: Record<string, unknown>) => {
        const text = JSON.stringify(message)
        fc.pre(text.length > keptBytes)
        const { id } = cutMessage(text.slice(0, keptBytes), text.slice(-keptBytes))
        if (id !== undefined) expect(JSON.parse(id)).toEqual(message['id'])
      }),
      { numRuns: 1_000 },
    )
  })
})
