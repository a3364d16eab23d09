// What the machine's server and helper must live through, as two processes: a flood of calls, a full disk, a helper that hangs, and the runbook's clearing of old files.
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, rmdirSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { describe, expect, test } from 'vitest'
import { silentLog } from '../../src/kernel/log.ts'
import { keepRetained } from '../../src/operate/logs/retention.ts'
import { openLedger } from '../../src/base/ledger/ledger.ts'
import { createTestClock } from '../kit/clock.ts'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'
import { modernCall } from '../kit/raw-client.ts'
import { Pair, clientOf, signalled, sleeper } from './pair.ts'

const config = `server: {role: operator}
helper:
  ledger: HOME/agent/ledger
  server_max_role: operator
  allow: {processes: [sleep]}
logging: {dir: HOME/log}
health: {least_free_mb: 0}
`

type Health = { readonly status: string; readonly checks: Readonly<Record<string, { ok: boolean; reason?: string }>> }
const healthOf = async (url: string): Promise<Health> => (await (await fetch(url)).json()) as Health
const residentMb = (pid: number): number => Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024
const faultOf = (answer: { readonly _meta?: unknown }) => (answer._meta as Record<string, unknown> | undefined)?.['fairlead/fault']

function verified(pair: Pair): { code: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'operate', 'audit', 'verify', join(pair.home, 'log')], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], FAIRLEAD_HOME: pair.home },
  })
  return { code: status, text: stdout + stderr }
}

/** With FAIRLEAD_LONG ten thousand. */
const many = process.env['FAIRLEAD_LONG'] ? 10_000 : 2_000

test(`${many} calls, sixteen at a time: all answered and recorded, and nothing stays of them`, async () => {
  const pair = new Pair()
  pair.configure(config)
  const { child, result } = await pair.server()
  const { url, health } = result as { url: string; health: string }
  const flood = async (calls: number): Promise<void> => {
    let left = calls
    const ask = async (): Promise<void> => {
      while (left-- > 0) {
        const { result: answer } = await (await modernCall(url, left, 'metrics_get_status')).answer()
        if (answer?.['isError'] !== undefined || !answer?.['structuredContent']) throw new Error(JSON.stringify(answer))
      }
    }
    await Promise.all(Array.from({ length: 16 }, ask))
  }
  await flood(many / 4)
  const before = residentMb(child.pid!)
  await flood((many * 3) / 4)
  expect(residentMb(child.pid!) - before).toBeLessThan(100)
  expect(await healthOf(health)).toMatchObject({ sessions: 0, checks: { loop: { ok: true }, audit: { ok: true } } })
  const text = readFileSync(join(pair.home, 'log/audit.log'), 'utf8')
  expect(text.match(/"event":"tool_call\.begin"/g)).toHaveLength(many)
  expect(text.match(/"event":"tool_call\.end".*"outcome":"done"/g)).toHaveLength(many)
  expect(verified(pair)).toMatchObject({ code: 0 })
}, 120_000)

describe('a helper that hangs', () => {
  test('is told within a second, to whoever looks and to whoever wants a change, nothing of which happens later; and it is back by itself', async () => {
    const pair = new Pair()
    pair.configure(config)
    const helper = await pair.helper()
    const { url, health } = (await pair.server()).result as { url: string; health: string }
    const client = await clientOf(url)
    const child = sleeper()
    await client.callTool(signalled(child.pid!, 'CONT')) // the link is there
    const timed = async <T>(work: Promise<T>): Promise<T> => {
      const from = performance.now()
      const answer = await work
      expect(performance.now() - from).toBeLessThan(1_000)
      return answer
    }
    for (let round = 0; round < 2; round++) {
      helper.child.kill('SIGSTOP')
      expect(faultOf(await timed(client.callTool(signalled(child.pid!))))).toMatchObject({
        code: 'operate.helper_away',
        kind: 'unavailable',
      })
      expect(await timed(healthOf(health))).toMatchObject({ status: 'unhealthy', checks: { helper: { ok: false } } })
      helper.child.kill('SIGCONT')
      await expect.poll(async () => (await healthOf(health)).checks['helper']!.ok, { timeout: 5_000 }).toBe(true)
      expect((await client.callTool(signalled(child.pid!, 'CONT'))).isError).toBeFalsy()
      expect([child.exitCode, child.signalCode]).toEqual([null, null])
    }
  }, 30_000)
})

describe('a full disk', () => {
  test('what looks goes on, no change is made, health says why, and all is well when there is room', async (context) => {
    const disk = mkdtempSync(join(tmpdir(), 'fairlead-full-'))
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk], { encoding: 'utf8' })
    later(() => {
      if (mounted.status === 0) execFileSync('umount', ['-l', disk])
      rmdirSync(disk)
    })
    if (mounted.status !== 0) return context.skip(`cannot mount a small file system: ${mounted.stderr.trim()}`)
    const pair = new Pair()
    pair.configure(config.replace('HOME/agent', `${disk}/agent`).replace('HOME/log', `${disk}/log`))
    await pair.helper()
    const { url, health } = (await pair.server()).result as { url: string; health: string }
    const client = await clientOf(url)
    const child = sleeper()
    expect((await client.callTool(signalled(child.pid!, 'CONT'))).isError).toBeFalsy()
    fill(join(disk, 'filler'))
    for (let at = 0; at < 200; at++) expect((await client.callTool({ name: 'metrics_get_status' })).isError).toBeFalsy()
    expect(faultOf(await client.callTool(signalled(child.pid!)))).toMatchObject({ kind: 'unavailable' })
    expect([child.exitCode, child.signalCode]).toEqual([null, null])
    expect(await healthOf(health)).toMatchObject({
      status: 'unhealthy',
      checks: { audit: { ok: false, reason: expect.stringContaining('ENOSPC') as string } },
    })
    rmSync(join(disk, 'filler'))
    await expect
      .poll(async () => (await client.callTool(signalled(child.pid!, 'CONT'))).isError ?? false, { timeout: 20_000, interval: 200 })
      .toBe(false)
    expect(await healthOf(health)).toMatchObject({ checks: { audit: { ok: true } } })
    for (const folder of ['log', 'agent/ledger'])
      expect(spawnSync(process.execPath, [main, 'operate', 'audit', 'verify', join(disk, folder)], { encoding: 'utf8' })).toMatchObject({
        status: 0,
      })
  }, 60_000)
})

describe("the runbook's way to make room", () => {
  test('old files go, with lock, head and reserve among them: nothing breaks, and the gap is told', async () => {
    const pair = new Pair()
    pair.configure(config.replace('{dir: HOME/log}', '{dir: HOME/log, max_bytes: 65536, backup_count: 100}'))
    let server = await pair.server()
    const logs = join(pair.home, 'log')
    const call = async (times: number): Promise<void> => {
      const client = await clientOf(server.result['url']!)
      for (let at = 0; at < times; at++) expect((await client.callTool({ name: 'metrics_get_status' })).isError).toBeFalsy()
    }
    await call(200)
    execFileSync('find', [logs, '-exec', 'touch', '-d', '8 days ago', '{}', '+'])
    execFileSync('find', [logs, '-mtime', '+7', '-delete'], { stdio: 'ignore' })
    expect(readdirSync(pair.home)).not.toContain('log') // all of it was old, the folder too
    await call(5)
    await server.stop()
    server = await pair.server()
    await call(5)
    expect((await healthOf(server.result['health']!)).checks).toMatchObject({ audit: { ok: true }, log: { ok: true } })
    expect(readFileSync(join(logs, 'audit.log'), 'utf8').match(/"event":"tool_call\.end"/g)!.length).toBeGreaterThanOrEqual(10)
    const { code, text } = verified(pair)
    expect(code).toBe(0)
    expect(text).toMatch(/missing: entries 1 to \d+/)
  }, 60_000)
})

test('a clock that jumps empties no record: files go for their age when it has run on for an hour', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-jump-'))
  later(() => rmSync(folder, { recursive: true }))
  const clock = createTestClock(Date.now())
  let aheadMs = 0
  const jumping = { ...clock, now: () => clock.now() + aheadMs }
  mkdirSync(join(folder, 'log'))
  const place = { folder: join(folder, 'log'), file: 'audit.log' }
  const ledger = openLedger({ ...place, origin: 'jump', clock: jumping, log: silentLog, maxSegmentBytes: 1_000 })
  for (let at = 0; at < 20; at++) await ledger.append({ event: 'x', text: 'y'.repeat(200) })
  later(() => ledger.close())
  const closed = (): number => readdirSync(place.folder).filter((name) => /^audit\..+\.log$/.test(name)).length
  const all = closed()
  expect(all).toBeGreaterThan(3)
  later(
    keepRetained(
      { clock: jumping, log: silentLog },
      { backup_count: 1_000, retention_days: 30 },
      () => place,
      () => {},
    ),
  )
  await clock.advance(59 * 60_000)
  aheadMs = 365 * 86_400_000
  await clock.advance(59 * 60_000)
  expect(closed()).toBe(all)
  await clock.advance(5 * 60_000)
  expect(closed()).toBe(0)
})

function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (;;) writeSync(file, Buffer.alloc(4_096))
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC')
  } finally {
    closeSync(file)
  }
}
