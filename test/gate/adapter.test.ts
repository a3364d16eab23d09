// The adapter as a service uses it, from the package as it is built: the gateway going down mid-run, the direct way, and the return. The far ends count what was done.
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { Adapter, AdapterMessage, AdapterOptions } from '../../src/gate/holder/adapter-api.ts'
import { cleanUp, later } from '../kit/cleanup.ts'
import { type RunningGate, gateFor, temporaryFolder, unrulyServer } from './bed.ts'
import { connectorIds, gateCommand, issue, statesOf } from './connector-bed.ts'
import { drillLines, failed } from './stage-bed.ts'

const { OperatorMCPAdapter } = (await import(join(resolve(import.meta.dirname, '../..'), 'dist/adapter.js'))) as {
  OperatorMCPAdapter: new (options: AdapterOptions) => Adapter
}

afterEach(cleanUp)

const root = resolve(import.meta.dirname, '../..')
const rules = '[[gate.rules]]\nprincipals = ["operator_api"]\nupstreams = ["far"]\ntools = ["echo", "count", "exit"]\n'

async function bedFor() {
  const folder = temporaryFolder()
  const far = unrulyServer()
  const start = (port = 0): Promise<RunningGate> =>
    gateFor({ upstreams: { far: { command: far.command } }, access: rules, settings: 'logs = "logs"\n', folder, port })
  const gate = await start()
  const { token } = await issue(gate, ...connectorIds)
  const logs = join(folder, 'logs')
  const direct: AdapterMessage[] = []
  const adapterFor = (change: Partial<AdapterOptions> & { env?: Record<string, string> } = {}): Adapter => {
    const { env, ...rest } = change
    const adapter = new OperatorMCPAdapter({
      env: { ABZU_USE_MCP: '1', MCP_GATEWAY_URL: `http://127.0.0.1:${gate.port}`, MCP_CONNECTOR_TOKEN: token, ...env },
      logs,
      handlers: { operator_api: (message) => ({ done: direct.push(message) }) },
      ...rest,
    })
    later(() => adapter.close())
    return adapter
  }
  const command = (text: string): AdapterMessage => ({ body: { command: 'far__echo', arguments: { text } } })
  return { folder, far, gate, start, token, logs, direct, adapterFor, command }
}

test('G21: down, the direct way, and back: each message is done exactly once, and the gap is written down', async () => {
  const { far, gate, start, logs, direct, adapterFor, command } = await bedFor()
  const adapter = adapterFor()
  for (const text of ['one', 'two']) expect(await adapter.send('operator_api', command(text))).toMatchObject({ route: 'mcp', result: {} })
  await gate.stop('SIGKILL')
  for (const text of ['three', 'four', 'five']) expect(await adapter.send('operator_api', command(text))).toMatchObject({ route: 'direct' })
  expect([far.callsOf('echo'), direct.length]).toEqual([2, 3])
  await start(gate.port)
  await expect
    .poll(async () => (await adapter.send('operator_api', command('again')))['route'], { timeout: 15_000, interval: 500 })
    .toBe('mcp')
  const gaps = drillLines(logs).filter(({ kind }) => kind === 'gap')
  expect(gaps).toMatchObject([{ connector_id: 'operator_api', direct: direct.length, by: 'local' }])
  expect(Date.parse(gaps[0]!['to'] as string)).toBeGreaterThanOrEqual(Date.parse(gaps[0]!['from'] as string))
  expect(far.callsOf('echo')).toBe(3)
  expect((await adapter.doctrineReport()).doctrine_failures.filter(({ check }) => check === 'ledger-chain')).toEqual([])
}, 60_000)

test('with the toggle off nothing is asked of the gateway, and the gap outlives the process', async () => {
  const { far, logs, direct, adapterFor, command } = await bedFor()
  const off = adapterFor({ env: { ABZU_USE_MCP: '0' } })
  expect(off.stageBContextEnabled()).toBe(false)
  expect(await off.send('operator_api', command('one'))).toEqual({ done: 1, route: 'direct' })
  await expect(off.ensureHandshake()).rejects.toMatchObject({ code: 'gate.mcp_off' })
  await expect(off.recordRotationDrill()).rejects.toMatchObject({ code: 'gate.mcp_off' })
  await off.close()
  const on = adapterFor()
  expect(on.stageBContextEnabled()).toBe(true)
  expect(await on.send('operator_api', command('two'))).toMatchObject({ route: 'mcp' })
  expect([far.callsOf('echo'), direct.length]).toEqual([1, 1])
  expect(drillLines(logs).filter(({ kind }) => kind === 'gap')).toMatchObject([
    { why: 'ABZU_USE_MCP is not 1: connectors do not go through the gate', direct: 1 },
  ])
})

test('frozen takes the direct way; restored, the gateway again', async () => {
  const { gate, direct, adapterFor, command } = await bedFor()
  const adapter = adapterFor()
  expect(await adapter.send('operator_api', command('one'))).toMatchObject({ route: 'mcp' })
  await gateCommand(gate, 'freeze', '--why', 'INC-7')
  expect(await adapter.send('operator_api', command('two'))).toMatchObject({ route: 'direct' })
  await gateCommand(gate, 'restore')
  await expect
    .poll(async () => (await adapter.send('operator_api', command('three')))['route'], { timeout: 15_000, interval: 500 })
    .toBe('mcp')
  expect(direct.length).toBeGreaterThanOrEqual(1)
}, 60_000)

test('what rules refuse is not done behind their back', async () => {
  const { far, direct, adapterFor } = await bedFor()
  const refused = adapterFor().send('operator_api', { body: { command: 'far__forbidden', arguments: {} } })
  await expect(refused).rejects.toMatchObject({ code: 'gate.gateway_refused' })
  expect([far.callsOf('forbidden'), direct.length]).toEqual([0, 0])
})

test('what may have arrived and was not answered is told as unknown, and not done again', async () => {
  const { gate, direct, adapterFor, command } = await bedFor()
  // in front of the gate: what is for the channel is read whole, and then the line is cut
  let cut = 0
  const server = createServer((near) => {
    let head = ''
    near.on('error', () => {})
    near.once('data', (bytes: Buffer) => {
      head = bytes.toString('latin1')
      if (head.startsWith('POST /connectors/')) return void (cut++, near.destroy())
      void fetchOn(gate.port, head).then((answer) => near.end(answer))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  later(() => server.close())
  const adapter = adapterFor({ env: { MCP_GATEWAY_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } })
  await expect(adapter.send('operator_api', command('one'))).rejects.toMatchObject({ code: 'gate.command_unknown' })
  expect([cut, direct.length]).toEqual([1, 0])
})

/** The same request at the gate; the answer as it came. */
async function fetchOn(port: number, request: string): Promise<string> {
  const [head, body] = request.split('\r\n\r\n') as [string, string]
  const [first, ...lines] = head.split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => line.split(': ') as [string, string]).filter(([name]) => !/^(host|connection|content-length)$/i.test(name)),
  )
  const [method, path] = first!.split(' ') as [string, string]
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, ...(method === 'GET' ? {} : { body }) })
  const text = await answer.text()
  return `HTTP/1.1 ${answer.status} X\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`
}

test('handshake, heartbeat and drill by name; a later expiry is refused; a report that is whole only with all three', async () => {
  const { gate, logs, adapterFor } = await bedFor()
  const adapter = adapterFor({ instance: 'service-1' })
  const session = await adapter.ensureHandshake()
  expect(session).toMatchObject({ id: expect.stringMatching(/^op-/), acceptedContexts: ['stage-b-rehearsal'] })
  expect(await adapter.ensureHandshake()).toEqual(session)
  expect((await adapter.emitStageBHeartbeat()).payload).toMatchObject({
    event: 'stage-b-heartbeat',
    cycle_count: 1,
    credential_expiry: session.credential_expiry,
  })
  await expect(adapter.emitStageBHeartbeat('operator_api', { credentialExpiry: '2100-01-01T00:00:00Z' })).rejects.toThrow(
    'credential_expiry',
  )
  const { sessions } = (await statesOf(gate))['operator_api']! as { sessions: { instance: string; heartbeat: unknown }[] }
  expect(sessions).toMatchObject([{ instance: 'service-1', heartbeat: { cycle_count: 1 } }])
  expect(failed(await adapter.doctrineReport())).toEqual(['heartbeats', 'sessions'])
  for (const id of ['operator_upload', 'crown_handshake']) await adapter.ensureHandshake(id)
  expect(await adapter.doctrineReport()).toEqual({ doctrine_ok: true, doctrine_failures: [] })
  const before = drillLines(logs).length
  const drill = await adapter.recordRotationDrill('operator_upload')
  expect(drillLines(logs).slice(before)).toMatchObject([drill])
  await expect(adapter.ensureHandshake('nobody')).rejects.toMatchObject({ code: 'gate.unknown_connector' })
  await adapter.close()
  expect(((await statesOf(gate))['operator_upload'] as { sessions: unknown[] }).sessions).toEqual([])
})

test('its types are whole for a stranger, and are what the package ships', async () => {
  const folder = temporaryFolder()
  const tsc = (...words: string[]) => spawnSync(join(root, 'node_modules/.bin/tsc'), words, { cwd: folder, encoding: 'utf8' })
  expect(tsc('-p', join(root, 'tsconfig.types.json'), '--outDir', join(folder, 'dist/types')).status).toBe(0)
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    files: string[]
    exports: { '.': { types: string; default: string } }
  }
  const stranger = join(folder, 'node_modules/fairlead')
  const shipped = manifest.files.filter((file) => file.endsWith('.d.ts'))
  for (const file of shipped) cpSync(join(folder, file), join(stranger, file), { recursive: true })
  cpSync(join(root, 'package.json'), join(stranger, 'package.json'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const use =
    "import { OperatorMCPAdapter } from 'fairlead'\nconst adapter = new OperatorMCPAdapter({ env: {}, logs: 'logs' })\nconst isOn: boolean = adapter.stageBContextEnabled()\n"
  const check = (text: string) => {
    writeFileSync(join(folder, 'use.ts'), text)
    return tsc('--noEmit', '--strict', '--module', 'nodenext', '--target', 'esnext', '--types', '', 'use.ts')
  }
  expect(check(`${use}void [isOn]\n`)).toMatchObject({ status: 0, stdout: '' })
  expect(check(`${use}adapter.nothing()\n`).stdout).toContain("'nothing' does not exist")
}, 60_000)

test('no credential of its own is in what it leaves or says', async () => {
  const { token, logs, adapterFor, command } = await bedFor()
  const said: string[] = []
  const adapter = adapterFor({ log: (line) => said.push(line), env: { MCP_GATEWAY_URL: 'http://127.0.0.1:9' } })
  await adapter.send('operator_api', command('one'))
  expect(said.join('\n')).toContain('adapter.direct')
  expect(`${said.join('\n')}${readFileSync(join(logs, 'stage_b/.gap-operator_api-local.json'), 'utf8')}`).not.toContain(token)
})
