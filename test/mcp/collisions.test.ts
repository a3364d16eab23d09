// Many clients with the same ids and progress tokens behind one connection to a server: nobody ever gets what is another's.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fixture, fixtureCommand, fixtureOf, startFixture } from '../kit/fixture/process.ts'
import { type RunningGate, startGate } from '../kit/gate.ts'
import { type Message, type Reply, modernCall, openSession, send, textOf } from '../kit/raw-client.ts'

let fixture: Fixture
let gate: RunningGate
beforeAll(async () => {
  fixture = await startFixture()
  gate = await startGate({
    upstreams: {
      http: { url: fixture.url },
      session: { command: fixtureCommand },
      principal: { command: fixtureCommand, more: 'isolation = "principal"' },
      shared: { command: fixtureCommand, more: 'isolation = "shared"' },
      old: { command: fixtureOf('legacy') },
    },
  })
})
afterAll(async () => {
  await gate?.stop()
  await fixture?.stop()
})

const clients = 8
/** With six servers, and what is played besides, ten thousand calls. */
const rounds = 200

type Call = (id: string | number, name: string, given: Record<string, unknown>, meta: Record<string, unknown>) => Promise<Reply>

/** Clients take turns at being somebody with a token and whoever comes in without. */
const tokenOf = (client: number): { token?: string } => (client % 2 === 0 ? { token: gate.token } : {})

async function callerOf(upstream: string, era: string, client: number): Promise<Call> {
  if (era === 'modern') return (id, name, given, meta) => modernCall(gate.url(upstream), id, name, given, { ...tokenOf(client), meta })
  return (await openSession(gate.url(upstream), tokenOf(client))).call
}

function progressOf(messages: readonly Message[]): unknown[] {
  return messages.filter(({ method }) => method === 'notifications/progress').map(({ params }) => params)
}

async function play(call: Call, client: number): Promise<number> {
  let calls = 0
  for (let round = 0; round < rounds; round += 4) {
    const batch = [0, 1, 2, 3].map(async (offset) => {
      // Numbers and strings in turn: 5 and "5" are two ids.
      const id = offset % 2 === 0 ? round + offset : `${round + offset - 1}`
      const text = `client ${client} round ${round} ${offset}`
      const answer = await (await call(id, 'echo', { text }, { progressToken: offset })).answer()
      expect(answer.id).toBe(id)
      expect(textOf(answer)).toBe(text)
      calls++
    })
    if (round % 24 === 0)
      batch.push(
        (async () => {
          const steps = client + 1
          const messages = await (await call('steps', 'log_and_progress', { steps }, { progressToken: 'same' })).rest()
          expect(progressOf(messages)).toEqual(
            Array.from({ length: steps }, (_, at) => ({ progressToken: 'same', progress: at + 1, total: steps })),
          )
          expect(textOf(messages.at(-1))).toBe(`${steps} steps`)
          calls++
        })(),
      )
    await Promise.all(batch)
  }
  return calls
}

describe.each([
  ['principal', 'legacy'],
  ['shared', 'legacy'],
  ['principal', 'modern'],
  ['shared', 'modern'],
  ['http', 'modern'],
  ['old', 'modern'],
])('isolation %s, %s', (upstream, era) => {
  test('attack 12: the same ids and progress tokens at once: each client gets its own, and all of it (CVE-2026-25536, CVE-2026-111770)', async () => {
    const callers = await Promise.all(Array.from({ length: clients }, (_, client) => callerOf(upstream, era, client)))
    const counts = await Promise.all(callers.map((call, client) => play(call, client)))
    expect(counts).toEqual(Array.from({ length: clients }, () => rounds + Math.ceil(rounds / 24)))
  })
})

describe.each(['http', 'session', 'principal', 'shared'])('legacy ids over %s', (upstream) => {
  test('an id that is open is refused, one that only looks alike is not', async () => {
    const session = await openSession(gate.url(upstream))
    const first = session.call(5, 'slow', { ms: 400 })
    const alike = session.call('5', 'slow', { ms: 400 })
    // The first two are on their way before the third: one connection each, and the gate answers this one at once.
    await expect
      .poll(async () => (await (await session.call(5, 'echo', { text: 'again' })).answer()).error?.code, { timeout: 5_000, interval: 20 })
      .toBe(-32_600)
    const answers = await Promise.all([first, alike].map(async (reply) => (await reply).answer()))
    expect(answers.map((answer) => [answer.id, textOf(answer)])).toEqual([
      [5, 'waited 400'],
      ['5', 'waited 400'],
    ])
    expect(textOf(await (await session.call(5, 'echo', { text: 'free again' })).answer())).toBe('free again')
    await session.end()
  })

  test('an id with escapes comes back as the same id', async () => {
    const session = await openSession(gate.url(upstream))
    for (const id of ['"\\u0061\\u00e9"', '"a\\"b\\\\c"', '"\\ud83d\\ude00"', '" "', '0', '-7', '9007199254740991']) {
      const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"echo","arguments":{"text":"t"},"_meta":{"progressToken":${id}}}}`
      const answer = await (await send(gate.url(upstream), { body, headers: session.headers })).answer()
      expect(answer).toMatchObject({ id: JSON.parse(id) as unknown, result: {} })
    }
    for (const id of ['null', '1.5', 'true', '[]', '{}', '1e3', '-0']) {
      const body = `{"jsonrpc":"2.0","id":${id},"method":"ping"}`
      const reply = await send(gate.url(upstream), { body, headers: session.headers })
      expect([id, reply.status, (await reply.json()).error?.code]).toEqual([id, 400, -32_600])
    }
    await session.end()
  })
})
