// The records of the machine's server and helper on disk: both are verified by one command, and kept for as long as is configured.
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { describe, expect, test } from 'vitest'
import { plainCall } from '../../src/operate/helper/memory-link.fixture.ts'
import { socketLink } from '../../src/operate/helper/socket-link.ts'
import processSignal from '../../src/operate/tools/process-signal.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'
import { Pair, clientOf } from './pair.ts'

type Verdict = { readonly log: string; readonly intact: boolean; readonly gaps: readonly unknown[] }

function verified(pair: Pair, ...folders: string[]): { code: number | null; verdicts: readonly Verdict[] } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'operate', 'audit', 'verify', ...folders, '--json'], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], FAIRLEAD_HOME: pair.home },
  })
  if (stdout === '') throw new Error(stderr)
  return { code: status, verdicts: JSON.parse(stdout) as Verdict[] }
}

function linkTo(pair: Pair) {
  const link = socketLink({ clock: systemClock, log: silentLog }, join(pair.home, 'run/ops-agent.sock'))
  later(() => link[Symbol.asyncDispose]())
  return link
}

describe('fairlead operate audit verify', () => {
  test("finds the helper's record by its link beside the server's, each once, and says which is not intact", async () => {
    const pair = new Pair()
    pair.configure('helper: {ledger: HOME/agent/ledger}\nlogging: {dir: HOME/log}\n')
    const helper = await pair.helper()
    const server = await pair.server()
    await (await clientOf(server.result['url']!)).callTool({ name: 'process_info', arguments: { pid: process.pid } })
    await server.stop()
    await helper.stop()
    const [logs, record] = [join(pair.home, 'log'), join(pair.home, 'agent/ledger/audit.log')]
    symlinkSync('../agent/ledger', join(logs, 'agent'))
    symlinkSync('../gone', join(logs, 'gone'))
    symlinkSync('agent', join(logs, 'again'))
    const { code, verdicts } = verified(pair, logs)
    expect(code).toBe(0)
    expect(verdicts).toHaveLength(2)
    expect(verdicts.map(({ intact }) => intact)).toEqual([true, true])
    writeFileSync(record, readFileSync(record, 'utf8').replace('helper.started', 'helper.stopped'))
    const after = verified(pair, logs)
    expect(after.code).toBe(3)
    expect(after.verdicts.map(({ intact }) => intact)).toEqual([true, false])
  }, 30_000)
})

describe("the helper's record", () => {
  test('is closed at logging.max_bytes and kept as backup_count says; what went is an entry, and the rest verifies', async () => {
    const pair = new Pair()
    pair.configure('helper: {ledger: HOME/ledger}\nlogging: {max_bytes: 65536, backup_count: 1}\n')
    const files = () => readdirSync(join(pair.home, 'ledger')).filter((name) => /^audit.*\.log$/.test(name))
    let helper = await pair.helper()
    const link = linkTo(pair)
    const refused = () => link.ask(processSignal, { pid: process.pid, name: 'node', signal: 'TERM' }, plainCall())
    const answers = await Promise.allSettled(Array.from({ length: 900 }, refused))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['rejected']))
    expect(files().length).toBeGreaterThan(3)
    await helper.stop()
    helper = await pair.helper()
    expect(files()).toHaveLength(2)
    await helper.stop()
    expect(readFileSync(join(pair.home, 'ledger/audit.log'), 'utf8')).toMatch(/"event":"audit_dropped","from":1,"to":\d+,"files":\d/)
    const { verdicts } = verified(pair, join(pair.home, 'ledger'))
    expect(verdicts).toMatchObject([{ intact: true, gaps: [{ from: 1 }] }])
  }, 30_000)
})
