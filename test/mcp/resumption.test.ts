// What a cut connection means: a legacy client comes back for exactly what it missed, a modern client has cancelled.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fixture, fixtureCommand, startFixture } from '../kit/fixture/process.ts'
import { type RunningGate, startGate } from '../kit/gate.ts'
import { type RawSession, type Reply, modernCall, openSession, textOf } from '../kit/raw-client.ts'

let fixture: Fixture
let gate: RunningGate
beforeAll(async () => {
  fixture = await startFixture()
  gate = await startGate({ upstreams: { http: { url: fixture.url }, stdio: { command: fixtureCommand } }, log: 'debug' })
})
afterAll(async () => {
  await gate?.stop()
  await fixture?.stop()
})

const soon = { timeout: 10_000, interval: 10 }
/** Lines that the upstream wrote to stderr, whichever way it runs. */
const said = (kind: string): readonly string[] => (kind === 'http' ? fixture.stderr : gate.stderr)
const count = (kind: string, wanted: RegExp): number => said(kind).filter((line) => wanted.test(line)).length

async function readSome(reply: Reply, messages: number): Promise<{ seen: string[]; lastId: string }> {
  const seen: string[] = []
  let lastId = ''
  while (seen.length < messages) {
    const message = await reply.next()
    if (!message) throw new Error('the stream ended early')
    seen.push(message.raw)
    lastId = message.eventId!
  }
  return { seen, lastId }
}

async function resume(session: RawSession, lastId: string): Promise<Reply> {
  const reply = await session.get({ 'last-event-id': lastId })
  expect(reply.status).toBe(200)
  return reply
}

describe.each(['http', 'stdio'])('legacy over %s', (kind) => {
  test('a stream that was cut is gone on with, nothing lost and nothing doubled', async () => {
    const session = await openSession(gate.url(kind))
    const first = await session.call(1, 'log_and_progress', { steps: 60 }, { progressToken: 'p' })
    const { seen, lastId } = await readSome(first, 5)
    first.cut()
    const rest = (await (await resume(session, lastId)).rest()).map((message) => (message as { raw?: string }).raw!)
    const all = [...seen, ...rest].map(
      (raw) => JSON.parse(raw) as { method?: string; params: { progress: number; data: string }; id?: number },
    )
    expect(all.filter(({ method }) => method === 'notifications/progress').map(({ params }) => params.progress)).toEqual(
      Array.from({ length: 60 }, (_, at) => at + 1),
    )
    expect(all.filter(({ method }) => method === 'notifications/message').map(({ params }) => params.data)).toEqual(
      Array.from({ length: 60 }, (_, at) => `step ${at + 1}`),
    )
    expect(all.at(-1)).toMatchObject({ id: 1, result: { content: [{ text: '60 steps' }] } })
    // The same place once more gives the same rest: only the client says what it has seen.
    const again = (await (await resume(session, lastId)).rest()).map((message) => (message as { raw?: string }).raw!)
    expect(again).toEqual(rest)
    await session.end()
  })

  test('two streams of one session are never mixed', async () => {
    const session = await openSession(gate.url(kind))
    const calls = await Promise.all(
      ['a', 'b'].map((letter, at) => session.call(at + 1, 'log_and_progress', { steps: 30 }, { progressToken: letter })),
    )
    const cuts = await Promise.all(calls.map((call) => readSome(call, 3)))
    for (const call of calls) call.cut()
    for (const [at, { lastId }] of cuts.entries()) {
      const rest = await (await resume(session, lastId)).rest()
      const tokens = rest.filter(({ method }) => method === 'notifications/progress').map(({ params }) => params!['progressToken'])
      expect(new Set(tokens)).toEqual(new Set(['ab'[at]]))
      expect(rest.at(-1)).toMatchObject({ id: at + 1, result: {} })
    }
    await session.end()
  })

  test('attack 10: an event id of nobody, of another session, or of the future is refused', async () => {
    const session = await openSession(gate.url(kind))
    const other = await openSession(gate.url(kind))
    const { lastId } = await readSome(await other.call(1, 'log_and_progress', { steps: 3 }, { progressToken: 1 }), 3)
    for (const id of ['1-1', 'nonsense', '', lastId, `${lastId}9`, '../../1'])
      expect([id, (await session.get({ 'last-event-id': id })).status]).toEqual([id, 400])
    expect((await other.get({ 'last-event-id': lastId.replace(/\d+$/, '999') })).status).toBe(400)
    await Promise.all([session.end(), other.end()])
  })

  test('hanging up cancels nothing: the call goes on at the far end, once', async () => {
    const session = await openSession(gate.url(kind))
    const from = count(kind, /cancelled /)
    const started = count(kind, /started /)
    const cut = new AbortController()
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow', arguments: { ms: 300 } } }
    const hanging = session.post(call, { signal: cut.signal }).catch(() => undefined)
    await expect.poll(() => count(kind, /started /), soon).toBe(started + 1)
    cut.abort()
    await hanging
    const name = `after-${kind}`
    textOf(await (await session.call(2, 'count', { name })).answer())
    expect(textOf(await (await session.call(3, 'count', { name })).answer())).toBe('2')
    // A full wait of the same length later it would have been cancelled, had anybody said so.
    expect(textOf(await (await session.call(4, 'slow', { ms: 350 })).answer())).toBe('waited 350')
    expect(count(kind, /cancelled /)).toBe(from)
    await session.end()
  })
})

test('an HTTP stream of a slow call that was cut early still brings its answer', async () => {
  const session = await openSession(gate.url('http'))
  const call = await session.call(7, 'slow', { ms: 200 })
  const primed = await call.event()
  expect(primed).toMatchObject({ data: '', id: expect.any(String) as string })
  call.cut()
  const rest = await (await resume(session, primed!.id!)).rest()
  expect(rest).toMatchObject([{ id: 7, result: { content: [{ text: 'waited 200' }] } }])
  await session.end()
})

test('clients older than 2025-11-25 get no event without data', async () => {
  const session = await openSession(gate.url('http'), { version: '2025-06-18' })
  const events = []
  const call = await session.call(1, 'log_and_progress', { steps: 2 }, { progressToken: 1 })
  for (let event = await call.event(); event; event = await call.event()) events.push(event)
  expect(events.length).toBeGreaterThan(2)
  expect(events.filter(({ data }) => data === '')).toEqual([])
  await session.end()
})

describe.each(['http', 'stdio'])('modern over %s', (kind) => {
  test('hanging up cancels at the far end', async () => {
    const started = count(kind, /started /)
    const cancelled = count(kind, /cancelled /)
    const calls = [1, 1].map((id) => modernCall(gate.url(kind), id, 'log_and_progress', { steps: 1 }, { meta: { progressToken: id } }))
    for (const call of await Promise.all(calls)) expect(textOf(await call.answer())).toBe('1 steps')
    const cut = new AbortController()
    const hanging = modernCall(gate.url(kind), 1, 'slow', { ms: 60_000 }, { signal: cut.signal }).catch(() => undefined)
    await expect.poll(() => count(kind, /started /), soon).toBe(started + 1)
    cut.abort()
    await hanging
    await expect.poll(() => count(kind, /cancelled /), soon).toBe(cancelled + 1)
    expect(textOf(await (await modernCall(gate.url(kind), 3, 'echo', { text: 'still here' })).answer())).toBe('still here')
  })
})
