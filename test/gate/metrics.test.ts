// What /metrics tells, to whom, and that it costs nothing to speak of: read as Prometheus reads it, and checked by Prometheus' own checker.
import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { readMetrics } from '../kit/metrics.ts'
import { type RunningGate, call, gateFor, modern, openSession, post, initializeParams, send, unrulyServer, until } from './bed.ts'

const watcher = 'a-token-of-the-watcher'
const ann = 'a-token-of-ann'
const access =
  `[gate.principals.ann]\ntoken_sha256 = "${tokenHash(ann)}"\n[gate.principals.watcher]\ntoken_sha256 = "${tokenHash(watcher)}"\nmetrics = true\n` +
  `[gate.principals.anyone]\n[[gate.rules]]\nprincipals = ["ann"]\nupstreams = ["*"]\ntools = ["*"]\n`

function page(gate: RunningGate, options: Parameters<typeof send>[2] = { token: watcher }): ReturnType<typeof send> {
  return send(`http://127.0.0.1:${gate.port}/metrics`, undefined, { httpMethod: 'GET', ...options })
}

async function scrape(gate: RunningGate): Promise<Map<string, number>> {
  const { status, headers, text } = await page(gate)
  expect([status, headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
  const checked = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
  // Without Prometheus on this machine our own strict reader below is what holds.
  if (checked.error === undefined) expect([checked.status, checked.stdout, checked.stderr]).toEqual([0, '', ''])
  return readMetrics(text)
}

test('calls by outcome, bytes, times, refusals, sessions, children, servers, ledger and process are counted', async () => {
  const upstreams = { up: { command: unrulyServer().command }, bad: { command: ['no-such-program'] } }
  const gate = await gateFor({ upstreams, access })
  const session = await openSession(gate.url('up'), { token: ann })
  for (let i = 0; i < 3; i++) await call(gate.url('up'), 'echo', { text: 'x'.repeat(5_000) }, { session, token: ann })
  await post(gate.url('bad'), 'initialize', initializeParams, { token: ann })
  await post(gate.url('up'), 'resources/read', { uri: 'test://a' }, { session, token: ann })
  await send(gate.url('up'), '{', { session, token: ann })
  await send(gate.url('up'), '{}', { token: 'wrong' })
  await send(gate.url('up'), '{}', { token: ann, headers: { origin: 'https://evil.example' } })
  await until('the entries are synced', async () => (await scrape(gate)).get('fairlead_gate_ledger_unsynced_entries') === 0)
  const found = await scrape(gate)
  const calls = 'method="tools/call",tool="echo"'
  expect(Object.fromEntries(found)).toMatchObject({
    [`fairlead_gate_requests_total{principal="ann",upstream="up",${calls},outcome="ok"}`]: 3,
    'fairlead_gate_requests_total{principal="ann",upstream="up",method="resources/read",tool="",outcome="refused"}': 1,
    'fairlead_gate_requests_total{principal="ann",upstream="bad",method="initialize",tool="",outcome="notSent"}': 1,
    [`fairlead_gate_request_duration_seconds_count{upstream="up",${calls}}`]: 3,
    [`fairlead_gate_request_duration_seconds_bucket{upstream="up",${calls},le="+Inf"}`]: 3,
    'fairlead_gate_refusals_total{door="mcp",kind="denied"}': 1,
    'fairlead_gate_failures_total{upstream="bad",fault="supervise.command_not_found"}': 1,
    'fairlead_gate_refusals_total{door="http",kind="malformed"}': 1,
    'fairlead_gate_refusals_total{door="http",kind="unauthenticated"}': 1,
    'fairlead_gate_refusals_total{door="http",kind="denied"}': 1,
    'fairlead_gate_sessions{state="awake"}': 1,
    'fairlead_gate_sessions{state="asleep"}': 0,
    fairlead_gate_children: 1,
    fairlead_gate_draining: 0,
    'fairlead_gate_upstream_state{upstream="up",state="ready"}': 1,
    'fairlead_gate_upstream_state{upstream="bad",state="failing"}': 1,
    'fairlead_gate_upstream_starts_total{upstream="up"}': 1,
    'fairlead_gate_upstream_start_failures_total{upstream="bad"}': 1,
    fairlead_gate_ledger_writable: 1,
    fairlead_gate_ledger_unwritten_entries: 0,
  })
  for (const direction of ['received', 'sent'])
    expect(found.get(`fairlead_gate_${direction}_bytes_total{principal="ann",upstream="up"}`)).toBeGreaterThan(15_000)
  expect(found.get('fairlead_gate_ledger_entries_total')).toBeGreaterThanOrEqual(8)
  expect(found.get('process_resident_memory_bytes')).toBeGreaterThan(10 << 20)
  expect([...found.keys()].find((key) => key.startsWith('fairlead_build_info'))).toMatch(/version="\d+\.\d+\.\d+.*",node="\d+/)
  await until('timers were watched', async () => (await scrape(gate)).get('fairlead_event_loop_delay_seconds_count')! > 0)
})

test('a server that was killed shows as one more start', async () => {
  const far = unrulyServer()
  const gate = await gateFor({ upstreams: { up: { command: far.command } }, access })
  const session = await openSession(gate.url('up'), { token: ann })
  process.kill(far.pids()[0]!, 'SIGKILL')
  await until(
    'it is there again',
    async () => (await call(gate.url('up'), 'echo', { text: 'x' }, { session, token: ann })).body.result !== undefined,
  )
  expect((await scrape(gate)).get('fairlead_gate_upstream_starts_total{upstream="up"}')).toBe(2)
})

test('attack 32: nobody reads it but whom the configuration names: not strangers, not other principals, not other sites', async () => {
  const gate = await gateFor({ upstreams: { up: { command: unrulyServer().command } }, access, settings: 'door = "anyone"\n' })
  expect((await page(gate, {})).status).toBe(403)
  expect((await page(gate, { token: ann })).status).toBe(403)
  expect((await page(gate, { token: 'wrong' })).status).toBe(401)
  expect((await page(gate, { token: watcher, headers: { origin: 'https://evil.example' } })).status).toBe(403)
  expect((await page(gate, { token: watcher, httpMethod: 'POST' })).status).toBe(404)
  expect((await page(gate, { token: watcher, httpMethod: 'HEAD' })).text).toBe('')
  for (const options of [{}, { token: ann }, { token: 'wrong' }]) expect((await page(gate, options)).text).not.toMatch(/fairlead_/)
  const open = gateFor({
    upstreams: {},
    access: access.replace('[gate.principals.anyone]\n', '[gate.principals.anyone]\nmetrics = true\n'),
    settings: 'door = "anyone"\n',
  })
  await expect(open).rejects.toThrow(/gate\.principals\.anyone may read the metrics, and gate\.door makes everyone anyone/)
})

test('what clients make up takes no room: names are labels after their first success, a hundred at most, and are quoted', async () => {
  const gate = await gateFor({ upstreams: { up: { command: unrulyServer().command } }, access })
  const names = Array.from({ length: 130 }, (_, at) => `made-up-${at}`)
  for (const name of names) await modern(gate.url('up'), 'tools/call', { name, arguments: {} }, { token: ann })
  await modern(gate.url('up'), 'x/made-up', {}, { token: ann })
  await modern(gate.url('up'), 'tools/call', { name: 'echo', arguments: { text: 'MARK-argument' } }, { token: ann })
  const { text } = await page(gate)
  expect(text).not.toMatch(/MARK-argument|x\/made-up|a-token/)
  const tools = new Set([...text.matchAll(/tool="([^"]*)"/g)].map(([, tool]) => tool))
  expect(tools.size).toBeLessThanOrEqual(102)
  await scrape(gate)
})
