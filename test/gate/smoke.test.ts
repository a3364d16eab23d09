// The smoke run against a real gate, as its console and CI meet it: what it prints, what it leaves, and with which exit code it ends.
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cleanUp, keep, later } from '../kit/cleanup.ts'
import { connectorIds, statesOf } from './connector-bed.ts'
import { ledgerLines } from './bed.ts'
import { type StageBed, consoleOf, drillLines, failed, receiptsIn, reportIn, stageBed } from './stage-bed.ts'

let bed: StageBed

beforeAll(async () => {
  bed = await stageBed()
  keep()
}, 120_000)
afterAll(cleanUp)

describe('G18: a good run', () => {
  test('hand-shakes and beats for all three, and says so in these members', async () => {
    const before = drillLines(bed.logs)
    const ended = await consoleOf(bed)('smoke', '--json')
    const report = reportIn(ended)
    expect({ code: ended.code, failures: report.doctrine_failures }).toEqual({ code: 0, failures: [] })
    expect(Object.keys(report)).toEqual([
      'stage',
      'targets',
      'services',
      'handshake',
      'heartbeat',
      'rotation_ledger',
      'doctrine_ok',
      'doctrine_failures',
    ])
    expect(report.targets.toSorted()).toEqual(connectorIds)
    for (const id of connectorIds) {
      expect(report.services[id]!.session).toMatchObject({ id: expect.stringMatching(/^op-/), accepted_contexts: ['stage-b-rehearsal'] })
      expect(report.heartbeat[id]).toMatchObject({
        status: 'accepted',
        payload: {
          event: 'stage-b-smoke',
          chakra: id === 'crown_handshake' ? 'crown' : 'operator',
          cycle_count: 0,
          context: 'stage-b-rehearsal',
        },
      })
    }
    // the gate saw each of them, by its own record
    const seen = ledgerLines(bed.gate).filter(
      ({ event, instance }) => event === 'connector.handshake' && (instance as string | undefined)?.startsWith('stage-b-smoke'),
    )
    expect(seen.map(({ connector }) => connector as string).toSorted()).toEqual(connectorIds)
    const added = drillLines(bed.logs).slice(before.length)
    expect(added.map(({ connector_id: id, kind, window_hours: hours }) => [id, kind, hours]).toSorted()).toEqual(
      connectorIds.map((id) => [id, 'drill', 48]),
    )
    const states = await statesOf(bed.gate)
    for (const { connector_id: id, rotated_at: rotatedAt } of added) expect(rotatedAt).toBe(states[id as string]!['rotated_at'])
    expect(connectorIds.flatMap((id) => states[id]!['sessions'])).toEqual([]) // none is left to become late
  })

  test('leaves a receipt of its own, whose hash is in a ledger; two of one second, too; no credential is anywhere', async () => {
    const before = receiptsIn(bed.logs).length
    const runs = await Promise.all([consoleOf(bed)('smoke', '--json'), consoleOf(bed)('smoke')])
    expect(runs.map(({ code }) => code)).toEqual([0, 0])
    const receipts = receiptsIn(bed.logs)
    expect(receipts.length).toBe(before + 2)
    const hashes = readFileSync(join(bed.logs, 'stage_b_receipts.jsonl'), 'utf8')
    for (const { file, text } of receipts) {
      expect(file).toMatch(/\/\d{8}T\d{6}Z-stage_b3_connector_rotation\/summary\.json$/)
      expect(hashes).toContain(hash('sha256', text, 'hex'))
      expect(JSON.parse(text)).toMatchObject({ status: 'success', stage: 'B', doctrine_ok: true })
    }
    const all = [...runs.flatMap(({ stdout, stderr }) => [stdout, stderr]), ...receipts.map(({ text }) => text), hashes]
    expect(all.join('\n')).not.toContain(bed.token)
    expect(runs[1].stdout).toMatch(/VERDICT +CHECK +EVIDENCE/)
  })

  test('--skip-heartbeat sends none, and is as good', async () => {
    const ended = await consoleOf(bed)('smoke', '--json', '--skip-heartbeat')
    const report = reportIn(ended)
    expect({ code: ended.code, failures: report.doctrine_failures }).toEqual({ code: 0, failures: [] })
    expect(Object.values(report.heartbeat).map(({ status }) => status)).toEqual(['skipped', 'skipped', 'skipped'])
  })
})

describe('G18: what is not good', () => {
  test.each([
    ['unset', {}],
    ['0', { ABZU_USE_MCP: '0' }],
    ['true', { ABZU_USE_MCP: 'true' }],
  ])('the toggle is %s: named, 1, and the gate is not asked', async (_, change) => {
    const before = ledgerLines(bed.gate).length
    const env = _ === 'unset' ? { ABZU_USE_MCP: '' } : change
    const ended = await consoleOf(bed, env)('smoke', '--json')
    const report = reportIn(ended)
    expect([ended.code, report.doctrine_failures[0]]).toMatchObject([
      1,
      { check: 'config-valid', evidence: expect.stringContaining('ABZU_USE_MCP') },
    ])
    expect(ledgerLines(bed.gate).length).toBe(before)
    expect(receiptsIn(bed.logs).at(-1)!.text).toContain('"status": "failure"')
  })

  test('--offline touches no gateway, and never passes', async () => {
    let connections = 0
    const server = createServer((_, response) => void response.end('{}')).on('connection', () => connections++)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    later(() => server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const ended = await consoleOf(bed, { MCP_GATEWAY_URL: url })('smoke', '--json', '--offline')
    expect([ended.code, connections]).toEqual([1, 0])
    expect(failed(reportIn(ended))).toContain('gateway')
    expect(reportIn(ended).doctrine_failures.find(({ check }) => check === 'gateway')!.evidence).toContain('--offline')
  })

  test('no gateway: 5, within 2 s of asking when told to spare it, and the receipt is written', async () => {
    const before = receiptsIn(bed.logs).length
    const change = { MCP_GATEWAY_URL: 'http://127.0.0.1:9' }
    const startedMs = performance.now()
    const ended = await consoleOf(bed, change)('smoke', '--json', '--skip-heartbeat')
    expect([ended.code, performance.now() - startedMs < 10_000]).toEqual([5, true])
    expect(reportIn(ended).handshake['operator_api']).toMatchObject({ status: 'failed', error: { code: 'gate.gateway_unreachable' } })
    expect(receiptsIn(bed.logs).length).toBe(before + 1)
  })

  test('a gateway that takes connections and never answers is asked once each, for less than 2 s, when it is to be spared', async () => {
    const atMs: number[] = []
    const server = createServer(({ url }, response) => {
      if (url === '/handshake') {
        atMs.push(performance.now())
        response.on('close', () => atMs.push(performance.now()))
      } else response.end('{}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    later(() => server.closeAllConnections())
    const ended = await consoleOf(bed, { MCP_GATEWAY_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })(
      'smoke',
      '--json',
      '--skip-heartbeat',
    )
    expect(ended.code).toBe(5)
    expect([atMs.length, Math.max(...atMs) - Math.min(...atMs) < 2_000]).toEqual([6, true])
    server.close()
  })

  test('a wrong credential is refused, and named without it', async () => {
    const token = `flc_${'m'.repeat(43)}`
    const ended = await consoleOf(bed, { MCP_CONNECTOR_TOKEN: token })('smoke', '--json')
    expect(ended.code).toBe(1)
    expect(reportIn(ended).doctrine_failures[0]).toMatchObject({ check: 'handshake', evidence: expect.stringContaining('refuses') })
    expect(`${ended.stdout}${ended.stderr}${receiptsIn(bed.logs).at(-1)!.text}`).not.toContain(token)
  })

  test('a credential that is told to be old is stale, whatever the ledger holds; a malformed one is a fault that names its variable', async () => {
    const old = await consoleOf(bed, { OPERATOR_API_STAGE_B_LAST_ROTATED: '2001-01-01T00:00:00Z' })('smoke', '--json')
    expect(old.code).toBe(1)
    expect(reportIn(old).doctrine_failures[0]).toMatchObject({
      about: 'operator_api',
      evidence: expect.stringContaining('stale since 2001-01-03'),
    })
    const malformed = await consoleOf(bed, { MCP_ROTATION_WINDOW: 'PT' })('smoke')
    expect([malformed.code, malformed.stderr.includes('MCP_ROTATION_WINDOW')]).toEqual([2, true])
    expect((await consoleOf(bed)('smoke', '--nonsense')).code).toBe(2)
  })

  test('frozen: each is told, and 1', async () => {
    await consoleOf(bed)('freeze', '--why', 'INC-7')
    const ended = await consoleOf(bed)('smoke', '--json')
    await consoleOf(bed)('restore')
    expect(ended.code).toBe(1)
    expect(JSON.stringify(reportIn(ended).handshake)).toContain('INC-7')
    expect((await consoleOf(bed)('smoke', '--json')).code).toBe(0)
  })
})
