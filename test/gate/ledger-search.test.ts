// `fairlead gate ledger search`: what was called and refused is found by each of its marks, over many files, and an altered entry is told and never believed.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { openLedger } from '../../src/base/ledger/ledger.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { createTestClock } from '../kit/clock.ts'
import { main } from '../kit/program.ts'
import { call, gateFor, openSession, post, send, temporaryFolder, unrulyServer, until } from './bed.ts'

type Found = {
  seq: number
  what: string
  name?: string
  method?: string
  outcome: string
  principal?: string
  reason?: string
  trace?: string
  ms?: number
  path?: string
}
type Result = { found: Found[]; more: boolean; searched: { from: number; to: number; entries: number; intact: boolean; firstBad?: object } }

const copies: string[] = []
afterAll(() => {
  for (const folder of copies) rmSync(folder, { recursive: true, force: true })
})

function search(folder: string, ...more: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'gate', 'ledger', 'search', folder, ...more], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

function find(folder: string, ...more: string[]): Result & { status: number | null } {
  const { status, stdout, stderr } = search(folder, ...more, '--json')
  if (stdout === '') throw new Error(stderr)
  return { status, ...(JSON.parse(stdout) as Result) }
}

describe('the record of a gate', () => {
  const ann = 'a-token-of-ann'
  const id = '4bf92f3577b34da6a3ce929d0e0e4736'
  let folder = ''
  let begun = ''
  beforeAll(async () => {
    const gate = await gateFor({
      upstreams: { up: { command: unrulyServer().command }, other: { command: unrulyServer().command } },
      access: `[gate.principals.ann]\ntoken_sha256 = "${tokenHash(ann)}"\n[gate.principals.bob]\n[[gate.rules]]\nprincipals = ["ann"]\nupstreams = ["*"]\ntools = ["echo", "hang"]\n[[gate.rules]]\nprincipals = ["bob"]\nupstreams = ["other"]\ntools = ["*"]\n`,
      settings: 'door = "bob"\n',
    })
    const [up, other] = [gate.url('up'), gate.url('other')]
    const annSession = await openSession(up, { token: ann })
    const bobSession = await openSession(other)
    await call(up, 'echo', { text: 'MARK-argument' }, { token: ann, session: annSession, headers: { 'x-secret': 'MARK-header' } })
    await call(up, 'exit', {}, { token: ann, session: annSession })
    await call(other, 'echo', { text: 'x' }, { session: bobSession, headers: { traceparent: `00-${id}-00f067aa0ba902b7-01` } })
    await post(up, 'initialize', {}, { token: 'MARK-wrong-token' })
    await send(`http://127.0.0.1:${gate.port}/mcp/up?key=MARK-query`, '{}', { token: 'MARK-wrong-token' })
    call(up, 'hang', {}, { token: ann, session: annSession }).catch(() => {})
    folder = join(gate.folder, 'state', 'ledger')
    await until('the last call has begun', () =>
      /"event":"call.begin".*"name":"hang"/.test(readFileSync(join(folder, 'ledger.jsonl'), 'utf8')),
    )
    await gate.stop('SIGKILL')
    begun = readFileSync(join(folder, 'ledger.jsonl'), 'utf8')
    folder = copyOf(folder) // the gate's own goes with the first test
  })

  test('is found by principal, upstream, tool, outcome, trace and reason; newest first', () => {
    const names = (...more: string[]) => find(folder, ...more).found.map(({ name, outcome }) => [name, outcome])
    const all = find(folder)
    expect(all.found.map(({ seq }) => seq)).toEqual(all.found.map(({ seq }) => seq).sort((a, b) => b - a))
    expect(all.searched).toMatchObject({ from: 1, intact: true, entries: begun.trim().split('\n').length })
    expect(names('--principal', 'ann')).toEqual([
      ['hang', 'open'],
      ['exit', 'refused'],
      ['echo', 'ok'],
    ])
    expect(names('--principal', 'bob')).toEqual([['echo', 'ok']])
    expect(names('--upstream', 'other')).toEqual([['echo', 'ok']])
    expect(names('--tool', 'echo')).toEqual([
      ['echo', 'ok'],
      ['echo', 'ok'],
    ])
    expect(names('--tool', 'echo', '--limit', '1')).toHaveLength(1)
    expect(find(folder, '--tool', 'echo', '--limit', '1').more).toBe(true)
    expect(names('--outcome', 'open')).toEqual([['hang', 'open']])
    expect(names('--reason', 'NO RULE LETS')).toEqual([['exit', 'refused']])
    expect(find(folder, '--reason', 'valid credential').found.map(({ path }) => path)).toEqual(['/mcp/up', '/mcp/up'])
    expect(names('--trace', id)).toEqual([['echo', 'ok']])
    expect(find(folder, '--trace', `00-${id}-00f067aa0ba902b7-01`).found[0]).toMatchObject({
      trace: id,
      parent: '00f067aa0ba902b7',
      ms: expect.any(Number) as number,
    })
    expect(find(folder, '--trace', id.replace('4', '5')).found).toEqual([])
    expect(names('--from', '1h', '--principal', 'ann')).toHaveLength(3)
    expect(names('--to', '1h')).toEqual([])
    expect(names('--from', '2001-01-01', '--to', '2001-01-02T00:00:00Z')).toEqual([])
  })

  test('is shown as a table, with what it says of itself, and holds no secret', () => {
    const { status, stdout } = search(folder)
    expect(status).toBe(0)
    expect(stdout).toMatch(/^TIME +ENTRY +PRINCIPAL +UPSTREAM +WHAT +OUTCOME +MS +WHY\n/)
    expect(stdout).toMatch(/Z +\d+ +ann +up +exit +refused +no rule lets ann use the tool exit of up\n/)
    expect(stdout).toMatch(/Z +\d+ +- +http +POST \/mcp\/up +refused +a valid credential is needed\n/)
    expect(stdout).toMatch(/\nsearched: \d+ entries, 1 to \d+: intact\n$/)
    expect(stdout + search(folder, '--json').stdout + begun).not.toMatch(/MARK-|a-token/)
    expect(search(folder, '--tool', 'none').stdout).toMatch(/^nothing was found\nsearched: /)
  })

  test('an entry that was altered is not believed, and the exit code says so', () => {
    const altered = copyOf(folder)
    const path = join(altered, 'ledger.jsonl')
    writeFileSync(path, readFileSync(path, 'utf8').replace(/("event":"refused".*"name":)"exit"/, '$1"echo"'))
    const { status, found, searched } = find(altered, '--principal', 'ann')
    expect(status).toBe(3)
    expect(found.map(({ name }) => name)).toEqual(['hang', 'echo'])
    expect(searched).toMatchObject({
      intact: false,
      firstBad: { file: 'ledger.jsonl', problem: expect.stringContaining('altered') as string },
    })
    expect(search(altered).stdout).toMatch(/: not intact: ledger\.jsonl line \d+: altered/)
  })

  test('what cannot be asked is told in words', () => {
    for (const [more, words] of [
      [['--from', 'yesterday'], '--from "yesterday" is no time'],
      [['--to', '2026-13-45'], '--to "2026-13-45" is no time'],
      [['--limit', '0'], '--limit 0 is out of range'],
    ] as const) {
      const { status, stderr } = search(folder, ...more)
      expect([status, stderr]).toEqual([2, expect.stringContaining(words) as string])
    }
    expect(search(join(folder, 'nowhere'))).toMatchObject({ status: 1, stderr: expect.stringContaining('there is no ledger') as string })
    const verify = spawnSync(process.execPath, [main, 'gate', 'ledger', 'verify', folder, '--tool', 'x'], { encoding: 'utf8' })
    expect([verify.status, verify.stderr]).toEqual([2, expect.stringContaining('--tool belongs to a search') as string])
  })
})

function copyOf(from: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-record-'))
  copies.push(folder)
  cpSync(from, folder, { recursive: true })
  return folder
}

test('many files: those before the time asked for are not read, calls end in another file than they began in, memory is bounded', async () => {
  const folder = temporaryFolder()
  const clock = createTestClock()
  const ledger = openLedger({ folder, origin: 'fairlead/gate', clock, log: silentLog, maxSegmentBytes: 32_768 })
  const times: number[] = []
  for (let at = 0; at < 3_000; at++) {
    const { seq } = await ledger.append(
      `"event":"call.begin","principal":"ann","via":"token","upstream":"up","method":"tools/call","name":"t${at % 7}"`,
    )
    if (at >= 100) await ledger.append(`"event":"call.end","begin":${seq},"outcome":"ok","ms":1`)
    times.push(clock.now())
    await clock.advance(1_000)
  }
  await ledger.append('"event":"call.end","begin":5,"outcome":"error","ms":7')
  await ledger.close()
  const all = find(folder, '--limit', '10000')
  expect(all.found).toHaveLength(3_000)
  expect(all.found.filter(({ outcome }) => outcome === 'open')).toHaveLength(99)
  expect(all.found.find(({ seq }) => seq === 5)).toMatchObject({ outcome: 'error', ms: 7 })
  const late = find(folder, '--from', new Date(times[2_900]!).toISOString(), '--limit', '10000')
  expect(late.found).toHaveLength(100)
  expect(late.searched.entries).toBeLessThan(500)
  expect(late.searched.intact).toBe(true)
  const early = find(folder, '--to', new Date(times[9]!).toISOString())
  expect(early.found.map(({ seq }) => seq)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
})
