// What is kept of event streams, and for how long: bounded by events, bytes, streams, and for all sessions of a door together.
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { scan } from '../../wire/scan.ts'
import { type EventStream, SessionStreams, StreamBudget } from './event-stream.ts'

const frameOf = (sizeBytes: number): ReturnType<typeof scan> =>
  scan(Buffer.from(`{"jsonrpc":"2.0","method":"notifications/x","params":{"x":"${'x'.repeat(Math.max(0, sizeBytes - 70))}"}}`))

const idOf = (stream: EventStream, seq: number): string => `${stream.id}-${seq}`

test('a stream keeps its newest events, and always the last', () => {
  const { side } = new SessionStreams(new StreamBudget(systemClock))
  for (let at = 0; at < 1_000; at++) side.write(frameOf(100))
  expect(side.keptBytes).toBeLessThan(256 * 200)
  for (let at = 0; at < 30; at++) side.write(frameOf(100_000))
  expect(side.keptBytes).toBeLessThan(1_100_000)
  side.write(frameOf(5_000_000))
  expect(side.keptBytes).toBeGreaterThan(5_000_000)
})

describe('event ids', () => {
  test('name a stream of this session and a place in it', () => {
    const streams = new SessionStreams(new StreamBudget(systemClock))
    const [one, two] = [streams.create(), streams.create()]
    for (const stream of [one, two, one]) stream.write(frameOf(100))
    expect(streams.find(idOf(one, 2))).toEqual({ stream: one, seq: 2 })
    expect(streams.find(idOf(two, 0))).toEqual({ stream: two, seq: 0 })
    expect(streams.find(idOf(two, 2))).toBeUndefined()
    for (const id of ['', '1-1', one.id, `${idOf(one, 1)} `, idOf(one, -1)]) expect(streams.find(id)).toBeUndefined()
  })

  test('of an earlier life find nothing, but the side stream goes on', () => {
    const [before, after] = [new SessionStreams(new StreamBudget(systemClock)), new SessionStreams(new StreamBudget(systemClock))]
    const stream = before.create()
    stream.write(frameOf(100))
    after.create().write(frameOf(100))
    expect(after.find(idOf(stream, 1))).toBeUndefined()
    expect(after.find(idOf(before.side, 7))).toEqual({ stream: after.side, seq: 0 })
  })
})

test('a session keeps at most 32 streams, and forgets ended ones first', () => {
  const streams = new SessionStreams(new StreamBudget(systemClock))
  const open = streams.create()
  const ended = Array.from({ length: 40 }, () => {
    const stream = streams.create()
    stream.write(frameOf(100))
    stream.end()
    return stream
  })
  expect(streams.find(idOf(open, 0))).toBeDefined()
  expect(ended.filter((stream) => streams.find(idOf(stream, 1))).length).toBeLessThanOrEqual(31)
  expect(streams.find(idOf(ended.at(-1)!, 1))).toBeDefined()
})

test('all sessions together keep at most 64 MiB of what has ended', () => {
  const budget = new StreamBudget(systemClock)
  const sessions = Array.from({ length: 100 }, () => {
    const streams = new SessionStreams(budget)
    const stream = streams.create()
    stream.write(frameOf(1_000_000))
    stream.end()
    return { streams, stream }
  })
  const kept = sessions.filter(({ streams, stream }) => streams.find(idOf(stream, 1)))
  expect(kept.length).toBeGreaterThan(50)
  expect(kept.length).toBeLessThan(70)
  expect(kept).toContain(sessions.at(-1))
  for (const { streams } of sessions) streams.endAll()
  expect(sessions.every(({ stream }) => stream.keptBytes === 0)).toBe(true)
})
