// G13, G21: the connectors of a real gate held back, and let through again.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, afterAll, expect, test } from 'vitest'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { type RunningGate, gateFor, ledgerLines, temporaryFolder } from './bed.ts'
import { ask, connectorGate, connectorIds, gateCommand, handshake, handshakeBody, issue, openSession, statesOf } from './connector-bed.ts'

const { folder, settings } = connectorGate()
let gate: RunningGate
/** The credential of all three. */
let common = ''

beforeAll(async () => {
  gate = await gateFor(settings)
  common = (await issue(gate, ...connectorIds)).token
  keep()
}, 120_000)
afterAll(cleanUp)

test('G21: a freeze holds connectors back at once, over a restart, and its end is on record as a gap', async () => {
  const { id } = await openSession(gate, common, 'operator_api')
  expect(await gateCommand(gate, 'freeze', '--why', 'INC-7')).toMatchObject({ code: 0, stdout: 'the connectors are frozen\n' })
  expect((await gateCommand(gate, 'freeze')).stdout).toBe('they were frozen already\n')
  const rotation = await gateCommand(gate, 'rotate', 'operator_api', '--out', join(folder, 'frozen.token')) // nobody could prove it
  expect(rotation).toMatchObject({ code: 5, stderr: expect.stringContaining('connectors are frozen') })
  const frozen = { status: 503, body: { error: { code: 'gate.frozen' } } }
  expect(await handshake(gate, common, handshakeBody('operator_api'))).toMatchObject(frozen)
  expect(
    await ask(gate, '/connectors/operator_api/command', { token: common, session: id, body: '{"command":"far__echo"}' }),
  ).toMatchObject(frozen)
  expect((await ask(gate, '/heartbeat', { token: 'nope' })).status).toBe(401)
  await gate.stop('SIGKILL')
  gate = await gateFor({ ...settings, port: gate.port })
  keep()
  expect(await handshake(gate, common, handshakeBody('operator_api'))).toMatchObject(frozen)
  expect((await statesOf(gate))['operator_api']).toMatchObject({ status: 'frozen', frozen: { why: 'INC-7' } })
  const health = await ask(gate, '/health', { method: 'GET', token: 'ann-token' })
  expect(health.body).toMatchObject({ status: 'degraded', checks: { 'connector operator_api': { ok: false, reason: 'it is frozen' } } })
  expect((await gateCommand(gate, 'restore')).stdout).toBe('the connectors go through the gate again\n')
  // The session outlived both.
  expect(
    (
      await ask(gate, '/connectors/operator_api/command', {
        token: common,
        session: id,
        body: '{"command":"far__echo","arguments":{"text":"back"}}',
      })
    ).status,
  ).toBe(200)
  expect(ledgerLines(gate).flatMap(({ event }) => (event?.startsWith('connectors.') ? [event] : []))).toEqual([
    'connectors.frozen',
    'connectors.restored',
  ])
  const drills = readFileSync(join(folder, 'state', 'logs', 'stage_b_rotation_drills.jsonl'), 'utf8')
    .split('\n')
    .filter(Boolean)
  expect(drills.slice(-3).map((line) => JSON.parse(line) as unknown)).toMatchObject(
    connectorIds.map((one) => ({ connector_id: one, kind: 'gap', why: 'INC-7' })),
  )
})
test('G13: a gate that is started with ABZU_USE_MCP=0 holds its connectors back until it is started without', async () => {
  const other = temporaryFolder()
  const start = async (value: string | undefined, port?: number) => {
    if (value === undefined) delete process.env['ABZU_USE_MCP']
    else process.env['ABZU_USE_MCP'] = value
    try {
      return await gateFor({ upstreams: {}, access: '', folder: other, ...(port === undefined ? {} : { port }) })
    } finally {
      delete process.env['ABZU_USE_MCP']
    }
  }
  const off = await start('0')
  const { token } = await issue(off, 'operator_api')
  expect((await handshake(off, token, handshakeBody('operator_api'))).body).toMatchObject({ error: { code: 'gate.frozen' } })
  await off.stop('SIGKILL')
  const on = await start('1', off.port)
  expect((await handshake(on, token, handshakeBody('operator_api'))).status).toBe(200)
})
