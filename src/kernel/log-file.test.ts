// A log's file is closed when it is large, kept in number and age, and goes on whatever others do to it.
import { logrotateConfig } from '../../test/kit/logrotate.ts'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TestClock, createTestClock } from '../../test/kit/clock.ts'
import { exec } from './exec.ts'
import { type LogFile, logFiles, openLogFile } from './log-file.ts'

let folder: string
let path: string
let clock: TestClock
const opened: LogFile[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-file-'))
  path = join(folder, 'app.log')
  clock = createTestClock(Date.now())
})
afterEach(() => {
  for (const file of opened.splice(0)) file.close()
  rmSync(folder, { recursive: true })
})

function open(changes: object = {}): LogFile {
  const file = openLogFile(clock, { path, maxBytes: 1_000, keepCount: 3, keepMs: 86_400_000, mode: 0o640, ...changes })
  opened.push(file)
  return file
}
async function write(file: LogFile, ...lines: string[]): Promise<void> {
  for (const line of lines) file.write(line)
  await turn()
}
const names = (): string[] => readdirSync(folder).sort()

test('lines of a turn are written together, for the group to read', async () => {
  const file = open()
  await write(file, 'one', 'two')
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n')
  expect(statSync(path).mode & 0o777).toBe(0o640)
})

test('it is closed above its size, and the oldest of the closed ones go, by number and by age', async () => {
  const file = open()
  for (let at = 0; at < 6; at++) {
    await write(file, `${at} ${'x'.repeat(1_000)}`)
    await clock.advance(1_000)
  }
  await write(file, 'last')
  expect(names()).toHaveLength(4)
  expect(logFiles(path).map((one) => readFileSync(one.path, 'utf8').slice(0, 1))).toEqual(['l', '5', '4', '3'])
  utimesSync(logFiles(path)[2]!.path, 0, Date.now() / 1_000 - 2 * 86_400)
  await clock.advance(60_000)
  expect(names()).toHaveLength(3)
})

test('it goes on in a new file when the old one is moved, deleted or rotated by Debian’s logrotate', async () => {
  const file = open()
  await write(file, 'one')
  renameSync(path, join(folder, 'elsewhere'))
  await write(file, 'two')
  rmSync(path)
  await write(file, 'three')
  writeFileSync(join(folder, 'logrotate.conf'), logrotateConfig(path))
  chmodSync(join(folder, 'logrotate.conf'), 0o644)
  const { exitCode, stderr } = await exec(['logrotate', '-f', '-s', join(folder, 'state'), join(folder, 'logrotate.conf')], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  })
  expect([exitCode, stderr]).toEqual([0, ''])
  expect(existsSync(path)).toBe(false)
  await write(file, 'four')
  expect(readFileSync(path, 'utf8')).toBe('four\n')
  expect(logFiles(path).map((one) => readFileSync(one.path, 'utf8'))).toEqual(['four\n', 'three\n'])
  expect(readFileSync(join(folder, 'elsewhere'), 'utf8')).toBe('one\n')
})

test('it goes on in the file that somebody else made in its place, and in one that was emptied', async () => {
  const file = open()
  await write(file, 'one')
  renameSync(path, join(folder, 'app.log.1'))
  writeFileSync(path, 'made by another\n')
  await write(file, 'two')
  expect(readFileSync(path, 'utf8')).toBe('made by another\ntwo\n')
  writeFileSync(path, '')
  await write(file, 'x'.repeat(990))
  expect(names()).toEqual(['app.log', 'app.log.1']) // no more than 1,000 bytes are in it
})

test('what cannot be written is counted, and told when it can be again', async () => {
  mkdirSync(path)
  const file = open()
  await write(file, 'lost', 'lost too')
  expect(file.problem).toBe('EISDIR')
  rmSync(path, { recursive: true })
  await write(file, 'written')
  expect(file.problem).toBeUndefined()
  const [said, line] = readFileSync(path, 'utf8').split('\n')
  expect(JSON.parse(said!)).toMatchObject({ level: 'error', event: 'log.lost', lines: 2 })
  expect(line).toBe('written')
})
