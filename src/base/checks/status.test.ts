// A look around the machine: each source within its time, whatever one of them does, and the worst of it decides.
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { createTestClock } from '../../../test/kit/clock.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { faults } from '../../kernel/fault.ts'
import type { Home, PeerStreams } from '../terminal/command.ts'
import { type StatusEntry, type StatusSource, lookAround } from './status.ts'

const { broken } = faults('test', { broken: () => ({ kind: 'unavailable', message: 'it is broken', hint: 'mend it' }) })
const entry = (owner: string, look: StatusSource['look']): StatusEntry => ({
  owner,
  load: async () => ({ default: { title: owner.toUpperCase(), look } }),
})
const folders = { config: tmpdir(), state: tmpdir(), runtime: tmpdir() }
const peers: PeerStreams = { dial: () => Promise.reject(new Error('nobody')), serve: () => Promise.reject(new Error('nowhere')) }
const needs = { clock, env: {}, peers, version: '1', homes: [{ folders }] as readonly Home[], signal: new AbortController().signal }

test('one that hangs and one that fails are lines, within a second, and the others are told; events are of all, the newest first', async () => {
  const from = performance.now()
  const status = await lookAround(needs, [
    entry('well', async () => ({ lines: [{ name: 'one', standing: 'good', text: 'fine' }], events: [{ at: 1, about: 'a', text: 'old' }] })),
    entry('hung', () => new Promise(() => {})),
    entry('failing', () => Promise.reject(broken({}))),
    entry('away', async () => ({ lines: [{ name: 'two', standing: 'off', text: 'away' }], events: [{ at: 2, about: 'b', text: 'new' }] })),
  ])
  expect(performance.now() - from).toBeLessThan(1_000)
  expect(status.sections.map(({ name, title, standing }) => [name, title, standing])).toEqual([
    ['away', 'AWAY', 'off'],
    ['failing', 'FAILING', 'bad'],
    ['hung', 'HUNG', 'unknown'],
    ['well', 'WELL', 'good'],
  ])
  expect(status.standing).toBe('bad')
  expect(status.sections[1]!.lines).toEqual([{ name: 'failing', standing: 'bad', text: 'it is broken', remedy: 'mend it' }])
  expect(status.sections[2]!.lines[0]).toMatchObject({ name: 'hung', remedy: 'ask again' })
  expect(status.events.map(({ capability, text }) => [capability, text])).toEqual([
    ['away', 'new'],
    ['well', 'old'],
  ])
})

test('the time to look begins when everything is loaded', async () => {
  const clock = createTestClock()
  const well = entry('well', async () => ({ lines: [{ name: 'one', standing: 'good', text: 'fine' }] }))
  const slow: StatusEntry = {
    ...well,
    async load() {
      await clock.advance(10_000)
      return well.load()
    },
  }
  expect((await lookAround({ ...needs, clock }, [slow, well])).standing).toBe('good')
})

test('what is good or off is well, and nothing at all is off', async () => {
  const good = entry('a', async () => ({ lines: [{ name: 'one', standing: 'good', text: '' }] }))
  const off = entry('b', async () => ({ lines: [{ name: 'one', standing: 'off', text: '' }] }))
  expect((await lookAround(needs, [good, off])).standing).toBe('good')
  expect((await lookAround(needs, [off])).standing).toBe('off')
  expect((await lookAround(needs, [])).standing).toBe('off')
})

test('a source is only shown the homes of its own capability, and those of all; the signal of whoever asked ends the look', async () => {
  const seen: unknown[] = []
  const homes: readonly Home[] = [{ folders }, { folders, alias: 'bmp', capability: 'reach' }, { folders, alias: 'mcp', capability: 'run' }]
  const source = entry('reach', async (given) => {
    seen.push(...given.homes.map(({ alias }) => alias))
    return { lines: [] }
  })
  await lookAround({ ...needs, homes }, [source])
  expect(seen).toEqual([undefined, 'bmp'])
  const stop = new AbortController()
  const looking = lookAround({ ...needs, signal: stop.signal }, [entry('hung', () => new Promise(() => {}))])
  stop.abort(new Error('stopped'))
  await expect(looking).rejects.toThrow('stopped')
})
