// A trace goes through the gate in both eras, over pipes and over HTTP, in `_meta` and in headers; the record has its span of ours between the client's and the server's.
import { expect, test } from 'vitest'
import { fixtureCommand } from '../kit/fixture/process.ts'
import { type RunningGate, eras, gateFor, ledgerLines, modern, openSession, send, textOf } from './bed.ts'
import { fixtureOn } from './far-ends.ts'

const id = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = '00f067aa0ba902b7'
const traceparent = `00-${id}-${parent}-01`
type Seen = { readonly meta?: Record<string, string>; readonly headers?: Record<string, string> }

const places = eras.flatMap((era) =>
  ['pipe', 'http'].flatMap((upstream) => ['_meta', 'headers'].map((from) => [era, upstream, from] as const)),
)

async function gateWith(settings = ''): Promise<RunningGate> {
  const far = await fixtureOn()
  return gateFor({ upstreams: { pipe: { command: fixtureCommand }, http: { url: far.url } }, settings })
}

test.each(places)('%s client, %s, trace in %s', async (era, upstream, from) => {
  const gate = await gateWith()
  const url = gate.url(upstream)
  const trace = { traceparent, tracestate: 'rojo=1', baggage: 'userId=alice' }
  const session = era === 'legacy' ? await openSession(url) : undefined
  const seen = async (carried: Record<string, string>): Promise<Seen> => {
    const headers = from === 'headers' ? carried : {}
    const _meta = from === '_meta' ? carried : {}
    if (session === undefined) {
      const envelope = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} }
      const body = JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'seen', arguments: {}, _meta: { ..._meta, ...envelope } },
      })
      const mcp = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'seen' }
      return JSON.parse(textOf(await send(url, body, { headers: { ...mcp, ...headers } }))!) as Seen
    }
    const params = { name: 'seen', arguments: {}, ...(from === '_meta' ? { _meta } : {}) }
    return JSON.parse(
      textOf(await send(url, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }), { session, headers }))!,
    ) as Seen
  }
  const begun = () =>
    ledgerLines(gate)
      .filter(({ event }) => event === 'call.begin')
      .at(-1)!

  const { meta, headers } = await seen(trace)
  const { trace: traceId, span, parent: above } = begun()
  expect([traceId, above]).toEqual([id, parent])
  expect(meta).toMatchObject({ traceparent: `00-${id}-${String(span)}-01`, tracestate: 'rojo=1', baggage: 'userId=alice' })
  if (upstream === 'http')
    expect(headers).toMatchObject({ traceparent: meta!['traceparent'], tracestate: 'rojo=1', baggage: 'userId=alice' })

  const bad = await seen({ traceparent: '00-bad', tracestate: 'rojo=1', baggage: 'nonsense' })
  expect(bad.meta!['traceparent']).toBe(`00-${String(begun()['trace'])}-${String(begun()['span'])}-01`)
  expect(begun()).not.toHaveProperty('parent')
  expect(bad.meta).not.toHaveProperty('tracestate')
  expect(bad.meta).not.toHaveProperty('baggage')
  expect(JSON.stringify([bad, ledgerLines(gate)])).not.toMatch(/00-bad|nonsense/)

  const none = await seen({})
  expect(JSON.stringify(none)).not.toContain('traceparent')
  expect(begun()).not.toHaveProperty('trace')
})

test('with trace = "begin" each call has a trace of its own, and each refusal is traced as well', async () => {
  const gate = await gateWith('trace = "begin"\n')
  const answers = await Promise.all([1, 2].map(() => modern(gate.url('pipe'), 'tools/call', { name: 'seen', arguments: {} })))
  const sent = answers.map((answer) => (JSON.parse(textOf(answer)!) as Seen).meta!['traceparent'])
  const begun = ledgerLines(gate).filter(({ event }) => event === 'call.begin')
  expect(sent.sort()).toEqual(begun.map(({ trace, span }) => `00-${String(trace)}-${String(span)}-01`).sort())
  expect(new Set(begun.map(({ trace }) => trace)).size).toBe(2)
})
