// The gate as a stdio server for clients of this machine: through the gate that runs, or one of its own, which the next ones share; nothing is left behind.
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { descendants } from '../../src/base/supervise/processes.fixture.ts'
import { later } from '../kit/cleanup.ts'
import { configure } from '../kit/gate.ts'
import { type McpClient, mcpClient } from '../kit/mcp-client.ts'
import { main } from '../kit/program.ts'
import { gateFor, ledgerLines, temporaryFolder, until } from './bed.ts'

const program = fileURLToPath(new URL('told-server.ts', import.meta.url))
const told = (name: string) => ({ command: [process.execPath, program, JSON.stringify({ name, tools: ['who', 'pid'] })] })
const options = { upstreams: { a: told('A'), b: told('B') }, settings: 'local = "owner"\ndrain = "500ms"' }

function stdio(folder: string, ...words: string[]): McpClient {
  const client = mcpClient([process.execPath, main, 'gate', 'stdio', '--config', join(folder, 'fairlead.toml'), ...words], {
    HOME: folder,
    PATH: process.env['PATH']!,
  })
  later(() => client.process.kill('SIGKILL'))
  return client
}

async function names(client: McpClient): Promise<string[]> {
  return (await client.request('tools/list')).result!.tools!.map(({ name }) => name)
}

test('through the gate that runs: all upstreams or one, as the principal that the configuration names; the gate may be killed and come back', async () => {
  const gate = await gateFor(options)
  const [all, one] = [stdio(gate.folder), stdio(gate.folder, '--upstream', 'a')]
  for (const client of [all, one]) await client.initialize()
  expect([await names(all), await names(one)]).toEqual([
    ['a__who', 'a__pid', 'b__who', 'b__pid'],
    ['who', 'pid'],
  ])
  expect([await all.call('b__who'), await one.call('who')]).toEqual(['B', 'A'])
  const calls = ledgerLines(gate).filter(({ event }) => event === 'call.begin')
  expect(calls.map((line) => [line['principal'], line['upstream'], line['name']])).toEqual([
    ['owner', 'b', 'who'],
    ['owner', 'a', 'who'],
  ])
  expect(descendants(all.process.pid!)).toEqual([])
  await gate.stop('SIGKILL')
  await gateFor({ ...options, folder: gate.folder })
  expect([await all.call('a__who'), await one.call('who')]).toEqual(['A', 'A'])
  all.process.stdin.end()
  expect(await all.ended).toBe(0)
})

test('without one it is a gate of its own that opens no port; the next client shares it, and takes its place when it is killed; at the end of stdin nothing is left', async () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'state'), { recursive: true })
  configure(folder, options)
  const [first, second] = [stdio(folder), stdio(folder)]
  for (const client of [first, second]) await client.initialize()
  const pids = [await first.call('a__pid'), await second.call('a__pid')].map(Number)
  const host = [first, second].find(({ process }) => descendants(process.pid!).length > 0)!
  const guest = host === first ? second : first
  expect(descendants(guest.process.pid!)).toEqual([])
  for (const pid of pids) expect(descendants(host.process.pid!)).toContain(pid)
  host.process.kill('SIGKILL')
  await host.ended
  const answers = async (): Promise<boolean> => (await guest.request('tools/call', { name: 'a__who', arguments: {} })).result !== undefined
  await until('the other answers', answers)
  const left = descendants(guest.process.pid!)
  expect(left.length).toBeGreaterThan(0)
  guest.process.stdin.end()
  expect(await guest.ended).toBe(0)
  await until('nothing is left', () => [...left, ...pids].every((pid) => !existsSync(`/proc/${pid}`)))
  expect(existsSync(join(folder, 'state', 'local.sock'))).toBe(false)
})

test('a configuration that does not say who the client is, or has no such upstream, is a fault that says how to mend it', async () => {
  const folder = temporaryFolder()
  configure(folder, { ...options, settings: '' })
  const nobody = stdio(folder)
  expect(await nobody.ended).toBe(2)
  expect(nobody.stderr()).toMatch(/does not say who a client of this machine is[^]*local = "NAME"/)
  configure(folder, options)
  const nowhere = stdio(folder, '--upstream', 'c')
  expect(await nowhere.ended).toBe(2)
  expect(nowhere.stderr()).toMatch(/there is no upstream c[^]*choose one of: a, b/)
})
