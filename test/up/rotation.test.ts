// R11 at a node that is up: when its key or a peer's is rotated or revoked, what runs goes over, port, gate and record included, and nothing is started again.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { openCheckpoint } from '../../src/base/ledger/checkpoint.ts'
import type { McpClient } from '../kit/mcp-client.ts'
import { listeningPorts } from '../kit/reach-bench.ts'
import { type Bed, type Up, bed, finished, ownedClient, program, run, up } from './bed.ts'

vi.setConfig({ testTimeout: 180_000 })
const patience = { timeout: 60_000 } // the machine may be busy
const facts = { name: 'system_get_basic_info', arguments: {} }

async function json<T>(place: Bed, ...words: string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await run(place, ['reach', ...words, '--json'])
  expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' })
  return JSON.parse(stdout) as T
}
/** Somebody with a machine of their own, and what a node's configuration says of them. */
async function friend(follow: boolean): Promise<{ place: Bed; peerId: string; toml: string }> {
  const place = bed()
  const { peerId } = await json<{ peerId: string }>(place, 'init', '--name', 'friend')
  const toml = `[reach.peer]
authorized = ["${peerId}"]
follow_rotations = ${follow}
[gate.principals.friend]
peers = ["${peerId}"]
[[gate.rules]]
principals = ["friend"]
upstreams = ["*"]
tools = ["${facts.name}"]
`
  return { place, peerId, toml }
}
const server = ({ ports }: Up): string[] => ['--server', `127.0.0.1:${ports.registry}`]
const addressOf = ({ shown }: Up): string => {
  const { args } = shown.client.mcpServers['this-machine']!
  return args[args.indexOf('--address') + 1]!
}
const connect = async ({ env }: Bed, node: Up, ...more: string[]): Promise<McpClient> => {
  const { shown } = node
  const address = addressOf(node)
  const client = ownedClient([...program, 'reach', 'mcp-connect', shown.peerId, '--address', address, ...more], env)
  await client.initialize()
  return client
}
const called = async (client: McpClient): Promise<unknown> => (await client.request('tools/call', facts)).error?.message ?? 'called'
const principals = (place: Bed): string[] =>
  readFileSync(join(place.home, 'state', 'gate', 'ledger', 'ledger.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line.includes('"call.begin"'))
    .map((line) => (JSON.parse(line) as { principal: string }).principal)

test('attack 13: a principal of the gate stays one when its peer rotates, if the owner follows rotations; a revoked one is out within 10 s', async () => {
  const { place: mac, toml } = await friend(true)
  const place = bed(toml)
  const node = await up(place)
  const client = await connect(mac, node)
  expect(await called(client)).toBe('called')
  const { peerId } = await json<{ peerId: string }>(mac, 'rotate', ...server(node))
  const next = await connect(mac, node)
  expect((await json<{ peerId: string }>(mac, 'status')).peerId).toBe(peerId)
  expect(await called(next)).toBe('called')
  expect(principals(place).filter((name) => name === 'friend')).toHaveLength(2)

  await json(mac, 'revoke', '--yes', ...server(node))
  const from = performance.now()
  await expect.poll(() => called(next), patience).toMatch(/not authorized/)
  expect(performance.now() - from).toBeLessThan(10_000)
})

test('without that, the new key of a peer is nobody there', async () => {
  const { place: mac, toml } = await friend(false)
  const place = bed(toml)
  const node = await up(place)
  expect(await called(await connect(mac, node))).toBe('called')
  await json(mac, 'rotate', ...server(node))
  const words = [program[1], 'reach', 'mcp-connect', node.shown.peerId, '--address', addressOf(node)]
  const refused = await finished(spawn(program[0], words, { env: { ...mac.env }, stdio: 'pipe' })) // its input stays open
  expect(refused).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('not authorized') as string })
})

test('the node itself rotates: the same ports, the same gate, and the new key signs the record', async () => {
  const place = bed()
  const node = await up(place)
  const before = listeningPorts(node.pid).toSorted()
  const { peerId, rotatedFrom, running } = await json<{ peerId: string; rotatedFrom: string; running: string }>(
    place,
    'rotate',
    ...server(node),
  )
  expect([rotatedFrom, running]).toEqual([node.shown.peerId, peerId])
  await expect.poll(() => listeningPorts(node.pid).toSorted(), patience).toEqual(before)
  const client = await connect(
    { ...place, env: { ...place.env } },
    node,
    '--follow-rotations',
    '--home',
    join(place.home, 'state', 'local-client'),
  )
  expect(await called(client)).toBe('called')
  expect((await node.stop('SIGTERM')).exitCode).toBe(0)
  const ledger = join(place.home, 'state', 'gate', 'ledger')
  expect(openCheckpoint(readFileSync(join(ledger, 'ledger.checkpoint'), 'utf8')).owner).toBe(peerId)
  const verified = await run(place, ['gate', 'ledger', 'verify', '--json'])
  expect(JSON.parse(verified.stdout)).toMatchObject({ intact: true })
})
