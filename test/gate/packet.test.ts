// The rehearsal packet, by both of its names: what is in it, that the gate that runs is not touched, and that nothing of it stays.
import { execFile } from 'node:child_process'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { cleanUp } from '../kit/cleanup.ts'
import { temporaryFolder } from './bed.ts'
import { connectorIds } from './connector-bed.ts'
import { type Ended, gateIn } from './stage-bed.ts'

afterAll(cleanUp)
const root = resolve(import.meta.dirname, '../..')

function script(name: string, folder: string, env: Readonly<Record<string, string>>, ...words: string[]): Promise<Ended> {
  return new Promise((done) => {
    execFile(join(root, 'scripts', name), words, { env: { PATH: process.env['PATH']!, HOME: folder, ...env } }, (error, stdout, stderr) =>
      done({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
}

test('G19: payloads, answers, heartbeats and the verdict of a gate of its own, which is gone afterwards', async () => {
  const folder = temporaryFolder()
  const config = join(folder, 'fairlead.toml')
  writeFileSync(config, '[gate]\nlogs = "logs"\n[gate.connectors.operator_api]\nchakra = "neo"\n')
  const run = temporaryFolder()
  const ended = await script('generate_stage_b_rehearsal_packet', folder, { XDG_RUNTIME_DIR: run }, '--config', config)
  expect({ code: ended.code, stderr: ended.stderr.includes('error') }).toEqual({ code: 0, stderr: false })
  const text = readFileSync(join(folder, 'logs/stage_b_rehearsal_packet.json'), 'utf8')
  const packet = JSON.parse(text) as { connectors: Record<string, Record<string, unknown>> }
  expect(packet).toMatchObject({
    rehearsal: true,
    stage: 'B',
    context: 'stage-b-rehearsal',
    doctrine_ok: true,
    doctrine_failures: [],
    notes: [],
  })
  expect(Object.keys(packet.connectors).toSorted()).toEqual(connectorIds)
  expect(packet.connectors['operator_api']).toMatchObject({
    handshake_request: { identity: { connector_id: 'operator_api' }, supported_contexts: [{ name: 'stage-b-rehearsal' }] },
    handshake_response: { authenticated: true, accepted_contexts: [{ name: 'stage-b-rehearsal', status: 'accepted' }] },
    heartbeat_payload: { event: 'stage-b-smoke', chakra: 'neo', context: 'stage-b-rehearsal' },
    heartbeat_response: { accepted: true },
    doctrine_ok: true,
    doctrine_failures: [],
    notes: [],
  })
  expect(text).not.toMatch(/flc_|Bearer|authorization/i)
  expect(statSync(join(folder, 'logs/stage_b_rehearsal_packet.json')).mode & 0o777).toBe(0o600)
  expect(readdirSync(join(run, 'fairlead'))).toEqual([]) // the rehearsal's folder, ledgers and socket
  expect(readdirSync(join(folder, 'logs'))).toEqual(['stage_b_rehearsal_packet.json'])
})

test("a window that is not the runbook's is named, with the way to mend it", async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'fairlead.toml'), '[gate]\nlogs = "logs"\n[gate.connectors.operator_upload]\nrotation_window = "24h"\n')
  const ended = await gateIn({ folder, env: {} }, 'packet', '--json')
  expect(ended.code).toBe(1)
  const { connectors } = JSON.parse(readFileSync(join(folder, 'logs/stage_b_rehearsal_packet.json'), 'utf8')) as typeof whole
  expect(connectors['operator_upload']!.notes[0]).toMatch(
    /^window-hours \(operator_upload\): 24 at the gate.*to mend it: set gate\.connectors\.operator_upload\.rotation_window/,
  )
  expect(connectors['operator_api']).toMatchObject({ doctrine_ok: true, notes: [] })
})
declare const whole: { connectors: Record<string, { notes: string[] }> }

test('the smoke run by its script: usage is 2, and the toggle is named', async () => {
  const folder = temporaryFolder()
  expect((await script('stage_b_smoke', folder, {}, '--nonsense')).code).toBe(2)
  const off = await script('stage_b_smoke', folder, {}, '--json')
  expect([off.code, off.stdout.includes('ABZU_USE_MCP is not 1')]).toEqual([1, true])
})
