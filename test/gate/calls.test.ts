// What the gate tells of calls through its own API: the record in pages that meet, whether it is intact; what was counted; what ends now; and who may come in, and the doctrine.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import type { EndedCall, FoundCall } from '../../src/gate/calls/api.ts'
import { type GateCalls, gateCalls } from '../../src/gate/client.ts'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { type RunningGate, call, gateFor, openSession, post, unrulyServer, until } from './bed.ts'

const ann = 'a-token-of-ann'
const access =
  `[gate.principals.ann]\ntoken_sha256 = "${tokenHash(ann)}"\n[gate.principals.bob]\npeers = []\n` +
  '[[gate.rules]]\nprincipals = ["ann"]\nupstreams = ["*"]\ntools = ["echo"]\n'
let gate: RunningGate
let own: GateCalls
let session: string

beforeAll(async () => {
  gate = await gateFor({ upstreams: { up: { command: unrulyServer().command } }, access })
  own = gateCalls(join(gate.folder, 'run'))
  session = await openSession(gate.url('up'), { token: ann })
  for (let n = 1; n <= 5; n++) await echo(`${n}`)
  await call(gate.url('up'), 'exit', {}, { token: ann, session })
  keep()
}, 60_000)
afterAll(cleanUp)

const echo = (text: string) => call(gate.url('up'), 'echo', { text }, { token: ann, session })
const seqs = (found: readonly FoundCall[]): number[] => found.map(({ seq }) => seq)

test('the record is told in pages that meet, with how far it is signed', async () => {
  const whole = await own['search-calls']({})
  expect(whole.found.map(({ name, outcome, principal }) => [name, outcome, principal])).toEqual([
    ['exit', 'refused', 'ann'],
    ...Array.from({ length: 5 }, () => ['echo', 'ok', 'ann']),
  ])
  expect(whole).toMatchObject({ more: false, searched: { intact: true }, signed: 0, witnessed: [] })
  const first = await own['search-calls']({ limit: 4 })
  expect(first.more).toBe(true)
  const second = await own['search-calls']({ limit: 4, before: first.found.at(-1)!.seq })
  expect(second.more).toBe(false)
  expect([...seqs(first.found), ...seqs(second.found)]).toEqual(seqs(whole.found))
  expect(seqs((await own['search-calls']({ outcome: 'refused' })).found)).toEqual([whole.found[0]!.seq])
  expect((await own['search-calls']({ principal: 'bob' })).found).toEqual([])
})

test('one person who searches again and again is told to wait; who is answered may search again', async () => {
  const all = await Promise.allSettled(Array.from({ length: 40 }, () => own['search-calls']({})))
  const refused = all.filter(({ status }) => status === 'rejected')
  expect(refused.length).toBeGreaterThan(0)
  for (const one of refused) expect(one).toMatchObject({ reason: { code: 'calls.too_many_searches' } })
  expect(all.length - refused.length).toBeGreaterThanOrEqual(8)
  expect((await own['search-calls']({})).searched.intact).toBe(true)
})

test('what was counted says who called what, how it ended and how long it took', async () => {
  const { calls, times, refusals } = await own['count-calls']({})
  expect(calls).toContainEqual({ principal: 'ann', upstream: 'up', method: 'tools/call', tool: 'echo', outcomes: { ok: 5 } })
  expect(calls).toContainEqual({ principal: 'ann', upstream: 'up', method: 'tools/call', tool: 'other', outcomes: { refused: 1 } })
  expect(refusals).toEqual([{ door: 'mcp', kind: 'denied', count: 1 }])
  const echoed = times.find(({ tool }) => tool === 'echo')!
  expect(echoed.count).toBe(5)
  expect(echoed.p50Ms).toBeLessThanOrEqual(echoed.p99Ms!)
  expect(echoed.meanMs).toBeLessThanOrEqual(echoed.p99Ms!)
})

test('who watches is told of each call and refusal as it ends, also of those at the door', async () => {
  const stop = new AbortController()
  const heard: EndedCall[] = []
  let isWatching = false
  const watching = own['watch-calls']({}, { signal: stop.signal, onItem: ({ calls }) => void (isWatching = heard.push(...calls) >= 0) })
  watching.catch(() => {})
  await until('the gate lets us watch', () => isWatching)
  await echo('now')
  await call(gate.url('up'), 'exit', {}, { token: ann, session })
  await post(gate.url('up'), 'initialize', {}, { token: 'a-wrong-token' })
  await until('all three were told', () => heard.length >= 3)
  expect(heard).toEqual([
    expect.objectContaining({ principal: 'ann', upstream: 'up', method: 'tools/call', name: 'echo', outcome: 'ok' }),
    expect.objectContaining({ principal: 'ann', name: 'exit', outcome: 'refused', reason: expect.stringContaining('exit') }),
    expect.objectContaining({ method: 'POST', outcome: 'refused', reason: 'a valid credential is needed' }),
  ])
  expect(JSON.stringify(heard)).not.toContain('a-wrong-token')
  stop.abort(new Error('enough'))
  await expect(watching).rejects.toThrow('enough')
})

test('who may come in is told without what proves it; the doctrine says what it found', async () => {
  expect(await own['list-principals']({})).toEqual([
    { name: 'ann', tokens: [tokenHash(ann).slice(0, 16)], peers: [], mayReadMetrics: false },
    { name: 'bob', tokens: [], peers: [], mayReadMetrics: false },
  ])
  const findings = await own['show-doctrine']({})
  expect(findings).toContainEqual(expect.objectContaining({ name: 'tools-pinned', verdict: 'good' }))
  expect(findings).toContainEqual(
    expect.objectContaining({
      name: 'credential-expiry',
      verdict: 'bad',
      about: 'operator_api',
      remedy: expect.stringContaining('fairlead gate rotate'),
    }),
  )
})

test('an entry that was altered is told, and never believed', async () => {
  const file = join(gate.folder, 'state', 'ledger', 'ledger.jsonl')
  const text = readFileSync(file, 'utf8')
  const line = text.split('\n').findIndex((one) => one.includes('"name":"echo"'))
  writeFileSync(file, text.replace('"name":"echo"', '"name":"evil"'))
  try {
    const { found, searched } = await own['search-calls']({})
    expect(searched).toMatchObject({ intact: false, firstBad: { file: 'ledger.jsonl', line: line + 1 } })
    expect(found.some(({ name }) => name === 'evil')).toBe(false)
  } finally {
    writeFileSync(file, text)
  }
})
