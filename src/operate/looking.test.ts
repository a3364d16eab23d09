// What the machine's tools tell through its own socket: what viewers may see to who observes, more to who may change, and nothing that changes anything to nobody.
import { mkdtempSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, afterAll, expect, test } from 'vitest'
import { cleanUp, keep, later } from '../../test/kit/cleanup.ts'
import { controlClient } from '../base/control/client.ts'
import { startMachine } from '../daemons/machine.ts'
import { tools } from '../extensions.ts'
import { systemClock } from '../kernel/clock.ts'
import { createLog } from '../kernel/log.ts'
import { machineApi } from './api.ts'
import { machineCalls } from './client.ts'
import schema from './config.ts'

let folder: string
const lines: string[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'looking-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  const places = { metrics: join(folder, 'metrics.db'), logs: join(folder, 'log'), secret: join(folder, 'audit.secret') }
  const log = createLog(
    (line) => lines.push(line),
    () => systemClock.now(),
  )
  const config = schema.parse({ server: { port: 0 } })
  const server = await startMachine({ clock: systemClock, log, version: '0.0.1', tools, control: join(folder, 'run') }, { config, places })
  later(() => server.close())
  keep()
})
afterAll(cleanUp)

test('a tool for viewers answers as it does over MCP; what it lacks is its own fault', async () => {
  const { look } = controlClient(machineApi, { daemon: 'machine', folder: join(folder, 'run'), privilege: 'observe' }).calls
  expect(await look({ tool: 'system_get_basic_info' })).toMatchObject({ hostname: hostname(), fairleadVersion: '0.0.1' })
  await expect(look({ tool: 'metrics_query', arguments: { series: ['nothing'] } })).rejects.toMatchObject({ code: 'tool.bad_input' })
  await expect(look({ tool: 'nothing' })).rejects.toMatchObject({ code: 'tool.unknown' })
})

test('what is for operators is not for who observes; what changes something is for nobody there', async () => {
  const { look, inspect } = machineCalls(join(folder, 'run'))
  const journal = { tool: 'logs_get_recent_app_logs' }
  await expect(look(journal)).rejects.toMatchObject({ code: 'tool.denied' })
  expect(await inspect(journal)).toHaveProperty('entries')
  const observer = controlClient(machineApi, { daemon: 'machine', folder: join(folder, 'run'), privilege: 'observe' }).calls
  await expect(observer.inspect(journal)).rejects.toMatchObject({ code: 'control.unknown_operation' })
  for (const tool of ['system_reboot', 'service_control', 'process_signal', 'metrics_stop_sampling', 'gpio_write_pin'])
    for (const ask of [look, inspect]) await expect(ask({ tool }), tool).rejects.toMatchObject({ code: 'tool.denied' })
})

test('no look is logged', () => {
  expect(lines.filter((line) => line.includes('"tool_call"') && line.includes('"info"'))).toEqual([])
})
