// A call that is cancelled before the server has got it (while the gate looks at the tools, say) never reaches it, and neither does the cancellation.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as raw from '../kit/raw-client.ts'
import { gateFor, temporaryFolder, until } from './bed.ts'

/** Tells in a file what reached it, and lists its tools only when there is a file that says so. */
const patient = (heard: string, gate: string): string => `
const { appendFileSync, existsSync } = require('node:fs')
const answer = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n')
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line)
  appendFileSync(${JSON.stringify(heard)}, method + '\\n')
  if (method === 'initialize')
    answer(id, { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'patient', version: '1' } })
  if (method === 'tools/call') answer(id, { content: [{ type: 'text', text: 'done' }] })
  if (method !== 'tools/list') return
  const look = setInterval(() => {
    if (!existsSync(${JSON.stringify(gate)})) return
    clearInterval(look)
    answer(id, { tools: [{ name: 'act', inputSchema: { type: 'object' } }] })
  }, 10)
})`

test('a call that is cancelled while the gate looks at the tools reaches no server, and leaves the session as it was', async () => {
  const folder = temporaryFolder()
  const [heard, opened] = [join(folder, 'heard'), join(folder, 'opened')]
  const methods = (): string[] => (existsSync(heard) ? readFileSync(heard, 'utf8').trim().split('\n') : [])
  const gate = await gateFor({ upstreams: { up: { command: [process.execPath, '-e', patient(heard, opened)] } } })
  const session = await raw.openSession(gate.url('up'))
  const call = session.call('c', 'act')
  await until('the gate asks for the tools', () => methods().includes('tools/list'))
  expect((await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'c' } })).status).toBe(202)
  writeFileSync(opened, '')
  await call
  expect(raw.textOf(await (await session.call('d', 'act')).answer())).toBe('done')
  expect(methods().filter((method) => method === 'tools/call' || method === 'notifications/cancelled')).toEqual(['tools/call'])
})
