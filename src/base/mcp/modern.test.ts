// Which era a message belongs to, and what a modern request must say twice: the body decides, the headers are held against it.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scan } from '../wire/scan.ts'
import { classify, headerProblem } from './modern.ts'

const version = 'io.modelcontextprotocol/protocolVersion'
const capabilities = 'io.modelcontextprotocol/clientCapabilities'
const envelope = { [version]: '2026-07-28', [capabilities]: {} }
const frame = (message: object): ReturnType<typeof scan> => scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })))
const request = (method: string, params: object = {}, meta: object | null = envelope): ReturnType<typeof scan> =>
  frame({ id: 1, method, params: { ...params, ...(meta ? { _meta: meta } : {}) } })
const modernHeader = { 'mcp-protocol-version': '2026-07-28' }
const legacyHeader = { 'mcp-protocol-version': '2025-11-25' }
const refusal = (of: ReturnType<typeof classify>): number | string => (of.era === 'refused' ? of.refusal.code : of.era)

describe('the era', () => {
  test.each([
    ['no claim, no header', request('tools/list', {}, {}), {}, 'legacy'],
    ['no claim, legacy header', request('tools/list', {}, {}), legacyHeader, 'legacy'],
    ['no claim, modern header', request('tools/list', {}, {}), modernHeader, -32602],
    ['no _meta, modern header', request('tools/list', {}, null), modernHeader, -32602],
    ['claim and modern header', request('tools/list'), modernHeader, 'modern'],
    ['claim, legacy header: the header cannot choose another rule', request('tools/call', { name: 'a' }), legacyHeader, -32020],
    ['claim without capabilities', request('tools/list', {}, { [version]: '2026-07-28' }), modernHeader, -32602],
    ['a claim that is no string', request('tools/list', {}, { ...envelope, [version]: 1 }), modernHeader, -32602],
    [
      'a version that nobody knows',
      request('tools/list', {}, { ...envelope, [version]: '2030-01-01' }),
      { 'mcp-protocol-version': '2030-01-01' },
      -32022,
    ],
    ['a legacy version in the claim', request('tools/list', {}, { ...envelope, [version]: '2025-11-25' }), legacyHeader, -32022],
    ['initialize', request('initialize', {}, {}), {}, 'legacy'],
    ['initialize with a modern header', request('initialize', {}, {}), modernHeader, -32020],
    ['initialize with a modern claim', request('initialize'), modernHeader, 'modern'],
    ['an answer', frame({ id: 1, result: {} }), modernHeader, 'legacy'],
    ['a notification with a modern header', frame({ method: 'notifications/cancelled' }), modernHeader, 'modern'],
    ['a notification without', frame({ method: 'notifications/initialized' }), {}, 'legacy'],
  ] as const)('%s', (_, message, headers, wanted) => {
    expect(refusal(classify(message, headers, true))).toBe(wanted)
  })

  test('on a wire there is no header: the claim alone decides', () => {
    expect(classify(request('tools/list'), {}, false).era).toBe('modern')
    expect(classify(request('tools/list', {}, {}), {}, false).era).toBe('legacy')
  })
})

describe('the headers of a modern request', () => {
  const all = { ...modernHeader, 'mcp-method': 'tools/call', 'mcp-name': 'echo' }
  const call = request('tools/call', { name: 'echo' })

  test.each([
    ['complete', all, undefined],
    ['no version', { 'mcp-method': 'tools/call', 'mcp-name': 'echo' }, -32020],
    ['no method', { ...modernHeader, 'mcp-name': 'echo' }, -32020],
    ['another method', { ...all, 'mcp-method': 'tools/list' }, -32020],
    ['a method in other letters', { ...all, 'mcp-method': 'Tools/Call' }, -32020],
    ['no name', { ...modernHeader, 'mcp-method': 'tools/call' }, -32020],
    ['another name', { ...all, 'mcp-name': 'rm' }, -32020],
    ['the name wrapped', { ...all, 'mcp-name': '=?base64?ZWNobw==?=' }, undefined],
    ['the name wrapped badly', { ...all, 'mcp-name': '=?base64?ZWNobw?=' }, -32020],
    ['blanks around', { ...all, 'mcp-name': ' echo\t' }, undefined],
  ] as const)('%s', (_, headers, wanted) => {
    expect(headerProblem(call, headers)?.code).toBe(wanted)
  })

  test('a name that is not in the body needs no header', () => {
    expect(headerProblem(request('tools/list'), { ...modernHeader, 'mcp-method': 'tools/list' })).toBeUndefined()
  })
})

test('no message and no header make it throw', () => {
  const header = fc.option(fc.oneof(fc.constantFrom('2026-07-28', '2025-11-25', ''), fc.string()), { nil: undefined })
  fc.assert(
    fc.property(
      fc.constantFrom('initialize', 'tools/call', 'x'),
      fc.dictionary(fc.constantFrom(version, capabilities, 'a'), fc.jsonValue()),
      header,
      header,
      (method, meta, first, second) => {
        const headers = {
          ...(first === undefined ? {} : { 'mcp-protocol-version': first }),
          ...(second === undefined ? {} : { 'mcp-method': second }),
        }
        const message = request(method, { name: 'n' }, meta)
        if (classify(message, headers, true).era === 'modern') headerProblem(message, headers)
      },
    ),
  )
})
