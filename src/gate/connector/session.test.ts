// Proves when a connector is late, what brings it back, what ends its session, and that sessions outlive the process that opened them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { type TestClock, createTestClock } from '../../../test/kit/clock.ts'
import { openSqliteKv } from '../../base/kv/sqlite.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { ConnectorSessions, newSessionId } from './session.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-connector-session-'))
afterAll(() => rmSync(folder, { recursive: true }))
let count = 0

async function open(clock: TestClock, path = join(folder, `${++count}.db`)) {
  const told: string[] = []
  const kv = openSqliteKv({ path, clock, log })
  later(() => kv.close())
  const changed = (event: string, { connector }: { connector: string }, why: string): void =>
    void told.push(`${connector} ${event}: ${why}`)
  return { sessions: await ConnectorSessions.open({ bucket: kv.bucket('connectors'), clock, log, changed }), told, path, kv }
}

const opening = (clock: TestClock, instance = 'local') => ({
  id: newSessionId(),
  connector: 'operator_api',
  instance,
  version: '1',
  sha256: 'hash',
  acceptedContexts: ['stage-b-rehearsal'],
  expiryMs: clock.now() + 48 * 3_600_000,
})
const beatOf = (clock: TestClock, event = 'stage-b-heartbeat') => ({ event, cycleCount: 1, emittedMs: clock.now() })
const always = (): boolean => true

test('G15: late after three missed heartbeats, not before; the next one brings it back', async () => {
  const clock = createTestClock()
  const { sessions, told } = await open(clock)
  const { id, expiryMs } = await sessions.open(opening(clock))
  await clock.advance(89_999)
  await sessions.sweep(always, false)
  expect([told, sessions.alive(id, 'hash').id]).toEqual([[], id])
  await clock.advance(1)
  await sessions.sweep(always, false)
  await sessions.sweep(always, false)
  expect(told).toEqual(['operator_api late: no heartbeat for 90 s'])
  expect(() => sessions.alive(id, 'hash')).toThrow(/is late/)
  await sessions.beat(id, beatOf(clock), expiryMs)
  expect([told[1], sessions.alive(id, 'hash').id]).toEqual(['operator_api back: it beats again', id])
})

test('a freeze is nobody’s lateness', async () => {
  const clock = createTestClock()
  const { sessions, told } = await open(clock)
  await sessions.open(opening(clock))
  await clock.advance(600_000)
  await sessions.sweep(always, true)
  await clock.advance(89_000)
  await sessions.sweep(always, false)
  expect(told).toEqual([])
})

test('a smoke run that is over ends its session without an alarm', async () => {
  const clock = createTestClock()
  const { sessions, told } = await open(clock)
  const { id, expiryMs } = await sessions.open(opening(clock))
  await sessions.beat(id, beatOf(clock, 'stage-b-smoke'), expiryMs)
  await clock.advance(90_000)
  await sessions.sweep(always, false)
  expect([told, sessions.all]).toEqual([['operator_api ended: its smoke run is over'], []])
})

test('it is of one credential, and ends with it, when that is stale, and when its instance comes again', async () => {
  const clock = createTestClock()
  const { sessions, told } = await open(clock)
  const first = await sessions.open(opening(clock))
  for (const [id, sha256] of [
    [first.id, 'other'],
    ['op-0', 'hash'],
  ] as const)
    expect(() => sessions.mine(id, sha256)).toThrow(/no living session/)
  const second = await sessions.open(opening(clock))
  expect(() => sessions.mine(first.id, 'hash')).toThrow(/no living session/)
  await sessions.beat(second.id, beatOf(clock), clock.now() + 10_000) // its holder says that it ends sooner
  await sessions.beat(second.id, beatOf(clock), clock.now() + 99_000) // and cannot put it off again
  await clock.advance(10_000)
  expect(() => sessions.mine(second.id, 'hash')).toThrow(/no living session/)
  await sessions.sweep(always, false)
  await sessions.open(opening(clock))
  await sessions.sweep(() => false, false)
  expect(told.map((line) => line.split(': ')[1])).toEqual([
    'its instance hand-shook again',
    'its credential is stale',
    'its credential ended',
  ])
  expect(sessions.all).toEqual([])
})

test('of one connector there are at most 64: the one not heard of for longest ends', async () => {
  const clock = createTestClock()
  const { sessions } = await open(clock)
  for (let i = 0; i < 70; i++) {
    await sessions.open(opening(clock, `instance-${i}`))
    await clock.advance(10)
  }
  expect(sessions.all.map(({ instance }) => instance)).toEqual(Array.from({ length: 64 }, (_, i) => `instance-${i + 6}`))
})

test('they outlive the process, and have their time anew', async () => {
  const clock = createTestClock()
  const before = await open(clock)
  const { id, expiryMs } = await before.sessions.open(opening(clock))
  const gone = await before.sessions.open(opening(clock, 'gone'))
  await before.sessions.beat(id, { ...beatOf(clock), cycleCount: 7 }, expiryMs)
  await before.sessions.end(gone.id, 'over')
  await before.kv.close()
  await clock.advance(600_000)
  const { sessions, told } = await open(clock, before.path)
  expect(sessions.all).toMatchObject([{ id, beat: { cycleCount: 7 } }])
  await sessions.sweep(always, false)
  await clock.advance(89_000)
  await sessions.sweep(always, false)
  expect(told).toEqual([])
  await clock.advance(1_000)
  await sessions.sweep(always, false)
  expect(told).toEqual(['operator_api late: no heartbeat for 90 s'])
})
