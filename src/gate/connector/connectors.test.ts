// The connectors put together, on a clock that the test moves: who falls silent is late for everybody to see, and a credential that nobody rotates is refused when its window is over.
import { hash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { createTestClock } from '../../../test/kit/clock.ts'
import { createPolicy } from '../../base/access/policy.ts'
import { openListener } from '../../base/http/listener.ts'
import { createMemoryKv } from '../../base/kv/memory.ts'
import { openLedger } from '../../base/ledger/ledger.ts'
import { defaultLimits } from '../../base/wire/walk.ts'
import { systemClock } from '../../kernel/clock.ts'
import { createLog, silentLog } from '../../kernel/log.ts'
import crown from '../connectors/crown-handshake.ts'
import { connectorFolders, openConnectors } from './connectors.ts'
import { instantText } from './instant.ts'
import { folderUploads } from './uploads.ts'

const hourMs = 3_600_000

async function bed() {
  const state = mkdtempSync(join(tmpdir(), 'fairlead-connectors-'))
  later(() => rmSync(state, { recursive: true, force: true }))
  const clock = createTestClock()
  const said: string[] = []
  const log = createLog((line) => said.push(line), clock.now)
  const ledger = openLedger({ folder: join(state, 'ledger'), origin: 'test', clock: systemClock, log: silentLog })
  later(() => ledger.close())
  const needs = {
    clock,
    log,
    ledger,
    bucket: createMemoryKv({ clock }).bucket('connectors'),
    policy: createPolicy([]),
    upstreams: () => [],
    endpoints: new Map(),
  }
  const connectors = await openConnectors(
    { ...needs, ended() {} },
    {
      ...connectorFolders(state),
      connectors: [{ connector: crown, chakra: 'crown', windowMs: 48 * hourMs }],
      uploads: folderUploads({ clock }, {}),
      isOff: false,
      limits: defaultLimits,
    },
  )
  later(() => connectors[Symbol.asyncDispose]())
  const listener = await openListener({
    clock: systemClock,
    name: 'test',
    host: '127.0.0.1',
    port: 0,
    handle: (request, response) =>
      connectors.door.takes(request) ? connectors.door.handle(request, response) : response.writeHead(401).end(),
  })
  later(() => listener.close(0))
  const token = 'a-token'
  const [ids, sha256] = [['crown_handshake'], hash('sha256', token, 'hex')]
  await connectors.rotations.begin(ids, sha256, 60_000)
  while (connectors.rotations.state(ids, sha256)?.state !== 'done') await turn()
  const post = async (path: string, body: unknown): Promise<{ status: number; text: string }> => {
    const response = await fetch(listener.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    })
    return { status: response.status, text: await response.text() }
  }
  const handshake = () =>
    post('/handshake', {
      identity: { connector_id: 'crown_handshake', version: '1', instance: 'local' },
      supported_contexts: [{ name: 'stage-b-rehearsal', channels: [], capabilities: [] }],
      rotation: { last_rotated: null, rotation_window: 'P2D', supports_hot_swap: false, token_hint: '' },
    })
  const beat = () =>
    post('/heartbeat', {
      chakra: 'crown',
      cycle_count: 1,
      context: 'stage-b-rehearsal',
      credential_expiry: connectors.states()[0]!.sessions[0]!.credential_expiry,
      emitted_at: instantText(clock.now()),
    })
  const brief = () => post('/connectors/crown_handshake/mission-brief', { priority_map: {}, current_status: 'calm', open_issues: [] })
  const events = async (): Promise<(string | undefined)[]> => {
    await ledger.sync()
    const lines = readFileSync(join(state, 'ledger', 'ledger.jsonl'), 'utf8')
      .split('\n')
      .filter(Boolean)
    return lines.map((line) => (JSON.parse(line) as { event?: string }).event)
  }
  return { clock, connectors, handshake, beat, brief, said, events, status: () => connectors.states()[0]!.status }
}

test('G15: 90 s of silence: status, error in the log, entry in the ledger, a closed channel; one heartbeat mends it', async () => {
  const { clock, handshake, beat, brief, said, events, status } = await bed()
  expect(status()).toBe('quiet')
  expect((await handshake()).status).toBe(200)
  for (let cycle = 0; cycle < 4; cycle++) {
    await clock.advance(30_000)
    expect([(await beat()).status, status()]).toEqual([200, 'alive'])
  }
  await clock.advance(89_000)
  expect([status(), (await brief()).status]).toEqual(['alive', 200])
  await clock.advance(2_000)
  expect(status()).toBe('late')
  const { status: refused, text } = await brief()
  expect([refused, text.includes('gate.connector_late')]).toEqual([409, true])
  expect(said.filter((line) => line.includes('"level":"error","event":"gate.connector.late"'))).toHaveLength(1)
  expect((await events()).filter((event) => event === 'connector.late')).toHaveLength(1)
  expect((await beat()).status).toBe(200)
  expect([status(), (await brief()).status]).toEqual(['alive', 200])
  expect(await events()).toContain('connector.back')
})

test('G14: a credential that nobody rotates is stale after its window, to the second, and its session is over', async () => {
  const { clock, connectors, handshake, status } = await bed()
  expect((await handshake()).status).toBe(200)
  await clock.advance(48 * hourMs - 1_000)
  expect((await handshake()).status).toBe(200)
  await clock.advance(1_000)
  const { status: refused, text } = await handshake()
  expect([refused, text]).toEqual([401, expect.stringContaining('this credential is stale since')])
  await clock.advance(1_000)
  expect([status(), connectors.states()[0]!.sessions]).toEqual(['stale', []])
})
