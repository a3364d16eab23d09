// The audit log of a real server: what is found in it by the runbook's greps, what stays when files go, and what is refused when it cannot be written.
import { logrotateConfig } from '../../test/kit/logrotate.ts'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createTestClock } from '../../test/kit/clock.ts'
import { loadConfig } from '../base/config/config.ts'
import { verifyLedger } from '../base/ledger/verify.ts'
import { tool } from '../base/mcp/tool/tool.ts'
import { startMachine } from '../daemons/machine.ts'
import { tools } from '../extensions.ts'
import { systemClock } from '../kernel/clock.ts'
import { silentLog } from '../kernel/log.ts'
import { Secret } from '../kernel/secret.ts'
import { openAudit } from './audit.ts'
import schema from './config.ts'

const main = join(import.meta.dirname, '../main.ts')
let folder: string
let logs: string
const closing: (() => Promise<unknown>)[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-audit-'))
  logs = join(folder, 'log')
})
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
  rmSync(folder, { recursive: true, force: true })
})

let changes = 0
const change = tool({
  name: 'lamp_switch',
  title: 'Switch a lamp',
  description: 'Switches it.',
  input: z.strictObject({ isOn: z.boolean() }),
  output: z.object({ changes: z.int() }),
  annotations: {},
  role: 'viewer',
  effect: 'change',
  handle: async () => ({ changes: ++changes }),
})
const needsAdmin = { ...change, name: 'lamp_remove', role: 'admin' as const }
const own = [change, needsAdmin].map((one) => ({ owner: 'operate', load: async () => ({ default: one as never }) }))

async function start(): Promise<{ url: string; client: Client }> {
  const config = schema.parse({ server: { port: 0 } })
  const places = { metrics: join(folder, 'metrics/metrics.db'), logs, secret: join(folder, 'audit.secret') }
  const needs = { clock: systemClock, log: silentLog, version: '0.0.1', tools: [...tools, ...own] }
  const server = await startMachine(needs, { config, places, token: new Secret('the-token-of-ann') })
  closing.push(() => server.close())
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  const headers = { authorization: 'Bearer the-token-of-ann' }
  await client.connect(new StreamableHTTPClientTransport(new URL(server.url), { requestInit: { headers } }))
  closing.push(() => client.close())
  return { url: server.url, client }
}

const grep = (...args: string[]): Record<string, unknown>[] =>
  (spawnSync('grep', [...args, join(logs, 'audit.log')], { encoding: 'utf8' }).stdout ?? '')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
const verify = (where: string): { code: number | null; stdout: string } => {
  const { status, stdout } = spawnSync(process.execPath, [main, 'operate', 'audit', 'verify', where], { encoding: 'utf8' })
  return { code: status, stdout }
}

test('attempts, outcomes, denials and logins are found by the runbook’s greps, with who, from where, which request and how long', async () => {
  const { url, client } = await start()
  await client.callTool({ name: 'lamp_switch', arguments: { isOn: true } })
  await client.callTool({ name: 'lamp_switch', arguments: { isOn: 'perhaps' } })
  await client.callTool({ name: 'lamp_remove', arguments: { isOn: true } })
  expect((await fetch(url, { method: 'POST', body: '{}', headers: { authorization: 'Bearer wrong-token' } })).status).toBe(401)

  const [begin, end, badBegin, badEnd] = grep('tool_call')
  const who = { tool: 'lamp_switch', principal: 'token', via: 'token', source: '127.0.0.1', role: 'viewer' }
  expect(begin).toMatchObject({ event: 'tool_call.begin', ...who, request: expect.stringMatching(/^\d+$/), arguments: expect.any(String) })
  expect(end).toMatchObject({ event: 'tool_call.end', ...who, begin: begin!['seq'], outcome: 'done', durationMs: expect.any(Number) })
  expect(badEnd).toMatchObject({ begin: badBegin!['seq'], outcome: 'failed', code: 'tool.bad_input' })
  expect(grep('-E', 'permission_denied')).toMatchObject([
    { tool: 'lamp_remove', principal: 'token', source: '127.0.0.1', code: 'tool.denied' },
  ])
  const came = grep('-i', String.raw`auth\|login\|jwt`)
  expect(came).toMatchObject([
    { event: 'auth_login', principal: 'token', source: '127.0.0.1' },
    { event: 'auth_failed', source: '127.0.0.1', code: 'mcp.no_token' },
  ])
  const text = readFileSync(join(logs, 'audit.log'), 'utf8')
  expect(text).not.toContain('wrong-token')
  expect(text).not.toContain('the-token-of-ann')
  expect(text).not.toContain('perhaps') // arguments are digests
})

describe('verifying', () => {
  const entries = async (clock = createTestClock(), settings: object = {}) => {
    const audit = openAudit(
      { clock, log: silentLog },
      {
        max_bytes: 2_000,
        backup_count: 100,
        retention_days: 30,
        folder: logs,
        secret: join(folder, 's'),
        files: ['audit.log'],
        ...settings,
      },
    )
    for (let at = 0; at < 40; at++) {
      audit.login({ name: `ann${at}`, via: 'token' }, '192.0.2.1')
      await new Promise((resolve) => setImmediate(resolve))
    }
    return audit
  }

  test('a whole folder, a copied one, one from which files were deleted, and one that was altered', async () => {
    await (await entries()).close()
    const files = readdirSync(logs)
      .filter((name) => name.endsWith('.log'))
      .sort()
    expect(files.length).toBeGreaterThan(4)
    expect(verify(logs)).toMatchObject({ code: 0, stdout: expect.stringMatching(/audit\.log: intact: 40 entries/) })
    const copy = join(folder, 'incident-logs')
    cpSync(logs, copy, { recursive: true })
    rmSync(join(copy, files[0]!))
    rmSync(join(copy, files[2]!))
    const found = verify(copy)
    expect(found.code).toBe(0)
    expect(found.stdout).toMatch(/intact: \d\d entries/)
    expect(found.stdout.match(/^missing: entries \d+ to \d+$/gm)).toHaveLength(2)
    const victim = join(copy, files[1]!)
    writeFileSync(victim, readFileSync(victim, 'utf8').replace('192.0.2.1', '192.0.2.9'))
    expect(verify(copy)).toMatchObject({ code: 3, stdout: expect.stringMatching(/not intact: .* altered/) })
    expect(verify(folder)).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/incident-logs\/audit\.log: not[\s\S]*log\/audit\.log: intact/),
    }) // right below it
    mkdirSync(join(folder, 'empty'))
    expect(verify(join(folder, 'empty')).code).toBe(1)
  })

  test('logrotate -f continues the chain', async () => {
    const audit = await entries(createTestClock(), { max_bytes: 1 << 20 })
    const conf = join(folder, 'logrotate.conf')
    writeFileSync(conf, logrotateConfig(`${logs}/*.log`))
    execFileSync('logrotate', ['-f', '-s', join(folder, 'state'), conf], { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })
    audit.authFailed('192.0.2.7', 'x', 'y')
    await audit.close()
    expect(readdirSync(logs).filter((name) => name.startsWith('audit.log'))).toHaveLength(2)
    expect(await verifyLedger(logs, { file: 'audit.log' })).toMatchObject({ intact: true, entries: 41, gaps: [] })
  })

  test('closed files beyond their number go, and the rest verifies, with an entry about what went', async () => {
    const clock = createTestClock()
    const audit = await entries(clock, { backup_count: 2 })
    await clock.advance(60_000)
    await audit.close()
    const verdict = await verifyLedger(logs, { file: 'audit.log' })
    expect(verdict).toMatchObject({ intact: true, gaps: [{ from: 1 }] })
    expect(readdirSync(logs).filter((name) => /^audit\.\d+\.log$/.test(name))).toHaveLength(2)
    expect(grep('audit_dropped')).toMatchObject([{ from: 1, to: verdict.gaps[0]!.to }])
  })
})

test('the runbook’s section of the configuration is taken as it stands there', async () => {
  const text =
    'logging:\n  max_bytes: 104857600  # 100 MB per file\n  backup_count: 5       # Keep 5 rotated files\n  retention_days: 30    # Delete after 30 days\n'
  const { value } = await loadConfig({ schema, path: 'config.yml', text })
  expect(value.logging).toMatchObject({ max_bytes: 104_857_600, backup_count: 5, retention_days: 30 })
})

test('failures to come in cannot push others out: so many of one source are written, the rest is counted', async () => {
  const clock = createTestClock()
  const audit = openAudit(
    { clock, log: silentLog },
    { max_bytes: 1 << 20, backup_count: 2, retention_days: 30, folder: logs, secret: join(folder, 's'), files: ['audit.log'] },
  )
  for (let at = 0; at < 10_000; at++) audit.authFailed('192.0.2.66', 'mcp.no_token', 'no')
  audit.authFailed('192.0.2.67', 'mcp.no_token', 'no')
  await audit.close()
  expect(grep('192.0.2.66')).toHaveLength(20)
  expect(grep('192.0.2.67')).toMatchObject([{ alsoUnwritten: 9_980 }])
})

test('what cannot be recorded is not changed; what only observes goes on', async () => {
  writeFileSync(logs, 'a file where the folder belongs')
  const { client } = await start()
  const before = changes
  expect(await client.callTool({ name: 'lamp_switch', arguments: { isOn: true } })).toMatchObject({
    isError: true,
    content: [{ text: expect.stringMatching(/was not done, since it could not be recorded/) }],
  })
  expect(changes).toBe(before)
  expect((await client.callTool({ name: 'system_get_basic_info' })).isError).toBeFalsy()
})

test('servers on stdio have logs of their own, each one, while they run beside another', async () => {
  const settings = { ...schema.parse({}).logging, folder: logs, secret: join(folder, 's'), files: ['audit.stdio1.log', 'audit.stdio2.log'] }
  const [one, two] = [
    openAudit({ clock: systemClock, log: silentLog }, settings),
    openAudit({ clock: systemClock, log: silentLog }, settings),
  ]
  one.login({ name: 'ann', via: 'door' }, 'stdio')
  two.login({ name: 'bob', via: 'door' }, 'stdio')
  await Promise.all([one.close(), two.close()])
  expect(verify(logs)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/stdio1\.log: intact: 1 entries[\s\S]*stdio2\.log: intact: 1 entries/),
  })
})
