// Lines of logs in several files, by pages from either end; what journalctl is called with, and what is made of its answer.
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { plainCall } from '../helper/memory-link.fixture.ts'
import { createHost } from '../host.ts'
import { machineNeeds } from '../needs.fixture.ts'
import appLogs from '../tools/logs-get-recent-app-logs.ts'
import { type JournalAsked, journalArgv, readJournal } from './journal.ts'
import { type LogPart, type Which, readLines } from './lines.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-logs-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function part(name: string, content: string): LogPart {
  const path = join(folder, name)
  writeFileSync(path, content)
  const { ino, size } = statSync(path)
  return { path, inode: ino, sizeBytes: size }
}

test('lines come from either end, each once, wherever the reading is broken off and taken up again', async () => {
  const line = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), fc.constant('x'.repeat(150_000)))
  const files = fc.array(fc.array(line, { maxLength: 6 }), { minLength: 1, maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(files, fc.constantFrom<Which>('first', 'last'), fc.integer({ min: 1, max: 4 }), async (given, which, page) => {
      const clean = given.map((lines) => lines.map((text) => text.replaceAll('\n', '').toWellFormed()))
      const parts = clean.map((lines, at) =>
        part(`${at}.log`, lines.map((text) => `${text}\n`).join('') + (at === clean.length - 1 ? 'unfinished' : '')),
      )
      const found: string[] = []
      let from: { inode: number; at: number } | undefined
      for (let isOver = false; !isOver;) {
        isOver = true
        let left = page
        for await (const { text, place } of readLines(parts, which, from)) {
          found.push(text)
          from = place
          isOver = false
          if (--left === 0) break
        }
      }
      expect(found).toEqual(which === 'first' ? clean.flat() : clean.flat().toReversed())
    }),
    { numRuns: 60 },
  )
})

describe('logs_get_recent_app_logs', () => {
  const entry = (at: number, level = 'info'): string =>
    `${JSON.stringify({ time: new Date(Date.UTC(2026, 0, 1, 0, 0, at)).toISOString(), level, event: `e${at}` })}\n`
  const ask = async (input: object): Promise<{ events: unknown[]; cursor: string | undefined; unread: string[] }> => {
    const needs = machineNeeds({ places: { metrics: '/x', secret: '/x', logs: folder } })
    const answer = appLogs.output.strict().parse(await appLogs.handle(needs, appLogs.input.parse(input), plainCall()))
    return { events: answer.entries.map(({ event }) => event), cursor: answer.cursor, unread: answer.unread }
  }

  test('the last or the first as asked, across rotated files, and on by the cursor though they are rotated meanwhile', async () => {
    writeFileSync(join(folder, 'app.log'), entry(3) + entry(4, 'error') + entry(5))
    writeFileSync(join(folder, 'app.20260101T000002000Z.log'), entry(1) + entry(2))
    utimesSync(join(folder, 'app.20260101T000002000Z.log'), 1, 1)
    expect((await ask({})).events).toEqual(['e1', 'e2', 'e3', 'e4', 'e5'])
    const last = await ask({ limit: 2 })
    expect(last.events).toEqual(['e4', 'e5'])
    renameSync(join(folder, 'app.log'), join(folder, 'app.20260101T000006000Z.log'))
    writeFileSync(join(folder, 'app.log'), entry(6))
    expect((await ask({ limit: 2, cursor: last.cursor })).events).toEqual(['e2', 'e3'])
    const first = await ask({ which: 'first', limit: 4 })
    expect(first.events).toEqual(['e1', 'e2', 'e3', 'e4'])
    expect(await ask({ which: 'first', limit: 4, cursor: first.cursor })).toMatchObject({ events: ['e5', 'e6'], cursor: undefined })
    expect((await ask({ level: 'error' })).events).toEqual(['e4'])
    expect((await ask({ contains: 'E2' })).events).toEqual(['e2'])
    expect((await ask({ since: '2026-01-01T00:00:02Z', until: '2026-01-01T00:00:04Z' })).events).toEqual(['e2', 'e3', 'e4'])
    await expect(ask({ which: 'first', cursor: last.cursor })).rejects.toMatchObject({ code: 'operate.bad_cursor' })
  })

  test('a folder that is not there, or may not be read, is a clear fault', async () => {
    folder = join(folder, 'gone')
    await expect(ask({})).rejects.toMatchObject({ code: 'operate.no_logs' })
    mkdirSync(folder)
  })
})

describe('the journal', () => {
  const asked: JournalAsked = { which: 'last', limit: 10 }

  test('every filter is one word of argv', () => {
    expect(
      journalArgv({
        ...asked,
        unit: 'getty@tty1.service',
        sinceSeconds: 1,
        untilSeconds: 2,
        priority: 'err',
        boot: '-1',
        pattern: '--help $(id)',
        cursor: 's=0a;i=1;b=2;m=3;t=4;x=5',
      }).slice(4),
    ).toEqual([
      '--unit=getty@tty1.service',
      '--since=@1',
      '--until=@2',
      '--priority=err',
      '--boot=-1',
      '--grep=--help $(id)',
      '--reverse',
      '--after-cursor=s=0a;i=1;b=2;m=3;t=4;x=5',
    ])
    expect(journalArgv({ ...asked, unit: 'nginx', which: 'first' })).toEqual(expect.arrayContaining(['--unit=nginx.service']))
    expect(journalArgv({ ...asked, which: 'first' })).not.toContain('--reverse')
  })

  test.each([
    { unit: '--host=evil' },
    { unit: 'a b.service' },
    { unit: '*.service' },
    { unit: '../../etc/passwd' },
    { unit: 'x.service\n--file=/etc/shadow' },
    { boot: '--file' },
    { boot: 'all' },
    { cursor: 'bogus' },
    { cursor: 's=1;i=2 --help' },
    { pattern: 'a\0b' },
  ])('%j is refused', (bad) => {
    expect(() => journalArgv({ ...asked, ...bad })).toThrow(expect.objectContaining({ kind: 'usage' }))
  })

  test('what journalctl prints is bounded and told in order; what it says besides is passed on', async () => {
    const bin = join(folder, 'usr/bin')
    mkdirSync(bin, { recursive: true })
    const line = (at: number, message: unknown): string =>
      JSON.stringify({ __CURSOR: `s=1;i=${at}`, __REALTIME_TIMESTAMP: `${at}000000`, PRIORITY: '3', _PID: '7', MESSAGE: message })
    // endless: only a reader that has had enough ends it
    writeFileSync(
      join(bin, 'journalctl'),
      `#!/bin/sh\necho 'You are currently not seeing messages from other users.' >&2\ncat <<'END'\n${line(3, 'three')}\n${line(2, [104, 105])}\n${line(1, null)}\nEND\nexec yes '${line(0, 'x')}'\n`,
    )
    chmodSync(join(bin, 'journalctl'), 0o755)
    const found = await readJournal(createHost(folder), { ...asked, limit: 3 })
    expect(found.entries.map(({ time, message }) => `${time.slice(17, 19)} ${message}`)).toEqual([
      '01 (longer than 4 KiB, and not shown)',
      '02 hi',
      '03 three',
    ])
    expect(found.entries[2]).toMatchObject({ priority: 'err', pid: 7 })
    expect(found).toMatchObject({ cursor: 's=1;i=1', incomplete: expect.stringContaining('not seeing messages') })
  })

  test('no journal is unavailable, a bad expression is the asker’s', async () => {
    const bin = join(folder, 'usr/bin')
    mkdirSync(bin, { recursive: true })
    const answers = (script: string): void => {
      writeFileSync(join(bin, 'journalctl'), `#!/bin/sh\n${script}\n`)
      chmodSync(join(bin, 'journalctl'), 0o755)
    }
    answers("echo 'No journal files were found.' >&2; exit 1")
    await expect(readJournal(createHost(folder), asked)).rejects.toMatchObject({ code: 'operate.no_journal', kind: 'unavailable' })
    answers('echo \'Bad pattern "(": missing closing parenthesis\' >&2; exit 1')
    await expect(readJournal(createHost(folder), asked)).rejects.toMatchObject({ code: 'operate.bad_journal_filter', kind: 'usage' })
  })
})
