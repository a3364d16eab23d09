// What is a trace context and what is none, and that nothing but its members is touched in a request.
import { describe, expect, test } from 'vitest'
import type { Frame } from '../wire/frame.ts'
import { scan } from '../wire/scan.ts'
import { textOf } from './message.ts'
import { traceOf, withTrace, withTraceHeaders } from './trace.ts'

const id = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = '00f067aa0ba902b7'
const good = `00-${id}-${parent}-01`
const request = (meta: string): Frame =>
  scan(Buffer.from(`{"id":1.0e0, "jsonrpc":"2.0","method":"x/y","params":{ "a":1.00${meta} , "z":[ ] }}`.replace('1.0e0', '1')))
const inMeta = (value: string): Frame => request(`,"_meta":{"n":1.0,"traceparent":${value} , "x":"é"}`)
const carried = (frame: Frame, headers: Record<string, string> = {}, begins = false) => {
  const trace = traceOf(frame, headers, begins)
  return trace && textOf(withTrace(frame, trace))
}

test('the caller’s span becomes ours, in the bytes of the body, and nothing else moves', () => {
  const frame = inMeta(`"${good}"`)
  const trace = traceOf(frame, {}, false)!
  expect(trace.span).toEqual({ traceId: id, parentId: parent, spanId: expect.stringMatching(/^[0-9a-f]{16}$/) as string })
  expect(trace.span!.spanId).not.toBe(parent)
  expect(textOf(withTrace(frame, trace))).toBe(textOf(frame).replace(parent, trace.span!.spanId))
  expect(withTraceHeaders({ 'mcp-name': 'a' }, trace)).toEqual({ 'mcp-name': 'a', traceparent: `00-${id}-${trace.span!.spanId}-01` })
})

test('without a trace the request is the same one; with `begins` it gets one', () => {
  for (const meta of ['', ',"_meta":{}', ',"_meta":{"n":1.0}', ',"_meta": { }']) {
    expect(traceOf(request(meta), {}, false)).toBeUndefined()
    const text = carried(request(meta), {}, true)!
    expect(JSON.parse(text)).toMatchObject({
      params: { a: 1, z: [], _meta: { traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/) as string } },
    })
    expect(text).toContain('"a":1.00')
  }
  const bare = scan(Buffer.from('{"jsonrpc":"2.0","id":1,"method":"ping"}'))
  expect(JSON.parse(carried(bare, {}, true)!)).toHaveProperty('params._meta.traceparent')
})

test.each([
  ['another version', `01-${id}-${parent}-01`, true],
  ['another version with more', `cc-${id}-${parent}-01-what`, true],
  ['flags without a meaning', `00-${id}-${parent}-ff`, true],
  ['version ff', `ff-${id}-${parent}-01`, false],
  ['more than version 00 has', `00-${id}-${parent}-01-what`, false],
  ['another version with more, not set apart', `cc-${id}-${parent}-01what`, false],
  ['capitals', `00-${id.toUpperCase()}-${parent}-01`, false],
  ['a trace of zeros', `00-${'0'.repeat(32)}-${parent}-01`, false],
  ['a span of zeros', `00-${id}-${'0'.repeat(16)}-01`, false],
  ['a short one', `00-${id.slice(1)}-${parent}-01`, false],
  ['nothing', '', false],
  ['a line end', `${good}\n`, false],
  ['a blank', ` ${good}`, false],
])('a traceparent with %s', (_what, text, isGood) => {
  for (const [frame, headers] of [
    [inMeta(JSON.stringify(text)), {}],
    [request(''), { traceparent: text }],
  ] as const) {
    const { span, carried: on } = traceOf(frame, headers, false)!
    expect(span!.traceId === id).toBe(isGood)
    expect(span!.parentId).toBe(isGood ? parent : undefined)
    expect(on.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$/)
  }
})

test('what is no text is no trace', () => {
  for (const value of ['7', 'null', '{"a":1}', `["${good}"]`]) expect(traceOf(inMeta(value), {}, false)!.span!.parentId).toBeUndefined()
})

describe('tracestate and baggage', () => {
  const full = (state: string, baggage: string): Frame =>
    request(`,"_meta":{"tracestate":${JSON.stringify(state)},"x":"é","baggage":${JSON.stringify(baggage)},"traceparent":"${good}"}`)

  test.each([
    ['a=b', 'a=b', true],
    ['rojo=00f067aa0ba902b7,congo=t61rcWkgMzE', 'userId=alice,serverNode=DF%2028,isProduction=false;p;q=1', true],
    ['t@v=1, b = c'.replace(' = ', '='), 'a = b ; c = d', true],
    ['A=b', 'a', false],
    ['a=b,a=c', 'a=b,,c=d', false],
    ['a=é', 'a=é', false],
    ['a=b\n', 'a=b\r\nx: y', false],
    [`a=${'b'.repeat(600)}`, `a=${'b'.repeat(9_000)}`, false],
    ['', '', false],
  ])('%j and %j go on: %s', (state, baggage, isGood) => {
    const members = JSON.parse(carried(full(state, baggage))!) as { params: { _meta: Record<string, string> } }
    const { tracestate, baggage: kept, traceparent, x } = members.params._meta
    expect([tracestate, kept]).toEqual(isGood ? [state, baggage] : [undefined, undefined])
    expect([traceparent!.slice(3, 35), x]).toEqual([id, 'é'])
  })

  test('a state without its trace, or with a bad one, goes no further; baggage does by itself', () => {
    expect(traceOf(request(''), { tracestate: 'a=b' }, false)).toEqual({ carried: {} })
    expect(traceOf(request(''), { tracestate: 'a=b', traceparent: 'bad' }, false)!.carried.tracestate).toBeUndefined()
    expect(traceOf(request(''), { baggage: 'a=b' }, false)).toEqual({ carried: { baggage: 'a=b' } })
    expect(withTraceHeaders({ tracestate: 'a=b', baggage: 'bad', 'mcp-name': 'x' }, undefined)).toEqual({ 'mcp-name': 'x' })
  })

  test('texts made to take long do not', () => {
    const from = performance.now()
    for (const text of [
      `a=${' '.repeat(8_000)}é`,
      `a=b${';a'.repeat(4_000)}é`.slice(0, 8_000),
      `a=${' '.repeat(8_000)}"`,
      `a=b;${' ='.repeat(4_000)}`,
    ])
      expect(traceOf(request(''), { baggage: text, tracestate: text, traceparent: good }, false)!.carried.baggage).toBeUndefined()
    expect(performance.now() - from).toBeLessThan(1_000)
  })
})
