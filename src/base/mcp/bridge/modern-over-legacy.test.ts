// What waits for its client waits for five minutes and no longer: on a clock that the test moves.
import { expect, test } from 'vitest'
import { createTestClock } from '../../../../test/kit/clock.ts'
import type { Frame } from '../../wire/frame.ts'
import { scan } from '../../wire/scan.ts'
import { type Leg, type Outcome, accepted, answered, cancelled, neverAborted, noHeaders } from '../exchange.ts'
import { errorOf, idToken, resultFrame, resultOf } from '../message.ts'
import { ModernOverLegacy } from './modern-over-legacy.ts'
import { meta } from '../protocol.ts'

/** A legacy server that asks its client a question in every call, and answers the call with what it hears. */
function askingServer(count = 1): { leg: Leg; cancelled: () => number; refusals: string[] } {
  let cancelledCalls = 0
  const refusals: string[] = []
  const heard = new Map<string, (answer: Frame) => void>()
  const leg: Leg = {
    era: 'legacy',
    tellsApart: true,
    ended: new Promise(() => {}),
    async request(frame, _headers, out, abort): Promise<Outcome> {
      if (frame.method === 'initialize') {
        out.write(resultFrame(idToken(frame), { capabilities: { tools: {} }, serverInfo: { name: 'asking', version: '1' } }))
        return answered
      }
      const question = `"q${idToken(frame)}"`
      const answer = new Promise<Frame | undefined>((resolve) => {
        heard.set(question, resolve)
        abort.addEventListener('abort', () => resolve(undefined), { once: true })
      })
      out.write(scan(Buffer.from(`{"jsonrpc":"2.0","id":${question},"method":"roots/list"}`)))
      for (let at = 1; at < count; at++) out.write(scan(Buffer.from(`{"jsonrpc":"2.0","id":"more${at}","method":"roots/list"}`)))
      const given = await answer
      if (!given) {
        cancelledCalls++
        return cancelled
      }
      out.write(resultFrame(idToken(frame), { content: [], heard: resultOf(given) }))
      return answered
    },
    async send(frame) {
      if (frame.kind === 'error') refusals.push(idToken(frame))
      heard.get(idToken(frame))?.(frame)
      return accepted
    },
    listen: () => Promise.resolve(true),
    close: () => Promise.resolve(),
  }
  return { leg, cancelled: () => cancelledCalls, refusals }
}

async function call(
  bridge: ModernOverLegacy,
  clock: ReturnType<typeof createTestClock>,
  more: object = {},
  caller = 'ann',
): Promise<Frame> {
  let last: Frame | undefined
  const _meta = { [meta.protocolVersion]: '2026-07-28', [meta.clientCapabilities]: { roots: {} } }
  const params = { name: 'ask', arguments: {}, ...more, _meta }
  const request = scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })))
  const out = { write: (frame: Frame) => ((last = frame), true), room: () => Promise.resolve() }
  const outcome = bridge.request(request, noHeaders, out, neverAborted, caller)
  await clock.advance(20)
  expect((await outcome).is).toBe('answered')
  return last!
}

const retry = (asked: Frame): object => {
  const { inputRequests, requestState } = resultOf(asked) as { inputRequests: object; requestState: string }
  return { requestState, inputResponses: { [Object.keys(inputRequests)[0]!]: { roots: [] } } }
}

test('attack 11: a question is answered within five minutes, or its call is given up at the server', async () => {
  const clock = createTestClock()
  const server = askingServer()
  const bridge = new ModernOverLegacy(() => server.leg, clock)
  const first = await call(bridge, clock)
  await clock.advance(4 * 60_000)
  expect(resultOf(await call(bridge, clock, retry(first)))).toMatchObject({ resultType: 'complete', heard: { roots: [] } })
  const second = await call(bridge, clock)
  await clock.advance(5 * 60_000)
  expect(server.cancelled()).toBe(1)
  expect(errorOf(await call(bridge, clock, retry(second)))).toMatchObject({ code: -32_602, data: { reason: 'invalid_request_state' } })
  expect(clock.waiting).toBe(0)
})

test('at most 256 calls wait for their clients', async () => {
  const clock = createTestClock()
  const server = askingServer()
  const bridge = new ModernOverLegacy(() => server.leg, clock)
  for (let at = 0; at < 256; at++) expect(resultOf(await call(bridge, clock))).toMatchObject({ resultType: 'input_required' })
  expect(resultOf(await call(bridge, clock))).toMatchObject({ resultType: 'complete' }) // the server was told no
  await bridge.close()
  expect(server.cancelled()).toBe(256)
})

test('attack 10: only who was asked may answer', async () => {
  const clock = createTestClock()
  const bridge = new ModernOverLegacy(() => askingServer().leg, clock)
  const asked = await call(bridge, clock)
  expect(errorOf(await call(bridge, clock, retry(asked), 'bob'))).toMatchObject({
    code: -32_602,
    data: { reason: 'invalid_request_state' },
  })
  expect(resultOf(await call(bridge, clock, retry(asked)))).toMatchObject({ resultType: 'complete' })
})

test('a call may ask 64 questions at once; the server is told no for the rest', async () => {
  const clock = createTestClock()
  const server = askingServer(200)
  const bridge = new ModernOverLegacy(() => server.leg, clock)
  const { inputRequests } = resultOf(await call(bridge, clock)) as { inputRequests: object }
  expect(Object.keys(inputRequests)).toHaveLength(64)
  expect(server.refusals).toHaveLength(200 - 64)
  await bridge.close()
})

test('a server that is gone when it is answered harms nobody', async () => {
  const clock = createTestClock()
  const server = askingServer(66)
  const bridge = new ModernOverLegacy(() => ({ ...server.leg, send: () => Promise.reject(new Error('gone')) }), clock)
  expect(resultOf(await call(bridge, clock))).toMatchObject({ resultType: 'input_required' })
  await bridge.close()
})
