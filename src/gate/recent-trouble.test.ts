// The end of the record, for who wants to see at a glance what was refused or went wrong: bounded, and not disturbed by what is just being written.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { recentTrouble } from './recent-trouble.ts'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'fairlead-trouble-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const at = (second: number): string => new Date(Date.UTC(2026, 10, 30, 12, 0, second)).toISOString()
const entry = (seq: number, more: object): string => JSON.stringify({ seq, time: at(seq % 60), ...more })
const write = (lines: readonly string[], tail = ''): void => writeFileSync(join(folder, 'ledger.jsonl'), `${lines.join('\n')}\n${tail}`)

test('refusals, and calls that did not reach their server or whose effect is unknown, the newest first; all else is no trouble', async () => {
  write(
    [
      entry(1, { event: 'call.begin', principal: 'ann', upstream: 'files', method: 'tools/call', name: 'read' }),
      entry(2, { event: 'call.end', begin: 1, outcome: 'ok', ms: 1 }),
      entry(3, { event: 'call.begin', principal: 'bob', upstream: 'files', method: 'resources/read', name: 'file:///a' }),
      entry(4, { event: 'call.end', begin: 3, outcome: 'unknown', reason: 'upstream.ended' }),
      entry(5, { event: 'call.end', begin: 3, outcome: 'error' }),
      entry(6, {
        event: 'refused',
        principal: 'bot',
        upstream: 'files',
        method: 'tools/call',
        name: 'rm',
        reason: 'no rule lets bot use it',
      }),
      entry(7, { event: 'refused', door: 'http', method: 'GET', path: '/mcp/files', reason: 'the server offers no stream of its own' }),
      entry(8, { event: 'refused', door: 'http', further: 12 }),
    ],
    '{"seq":9,"event":"refu', // a write that is just going on
  )
  expect(await recentTrouble(folder)).toEqual([
    { at: Date.parse(at(8)), about: 'somebody', text: 'refused at the door (http): 12 further' },
    { at: Date.parse(at(6)), about: 'bot', text: 'refused: rm at files: no rule lets bot use it' },
    { at: Date.parse(at(4)), about: 'bob', text: 'resources/read file:///a at files: its effect is unknown (upstream.ended)' },
  ])
})

test('of a long record the end alone is looked at, from a whole line on, and no more than ten are told', async () => {
  const refusal = (seq: number): string =>
    entry(seq, { event: 'refused', principal: `p${seq}`, upstream: 'files', method: 'tools/call', name: 'x'.repeat(500) })
  write(Array.from({ length: 2_000 }, (_, seq) => refusal(seq)))
  const found = await recentTrouble(folder)
  expect(found.map(({ about }) => about)).toEqual(Array.from({ length: 10 }, (_, back) => `p${1_999 - back}`))
})

test('without a record there is no trouble', async () => {
  expect(await recentTrouble(folder)).toEqual([])
})
