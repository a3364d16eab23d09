// R14 with real processes: any number of them share one identity, in any order, and outlive the one that listens.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  type Person,
  type ReachBench,
  type Service,
  echoCommand,
  listeningPorts,
  local,
  portOf,
  reachBench,
} from '../../../test/kit/reach-bench.ts'
import { isRelayed } from '../../base/peer/address.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

const serve = ({ home }: Person, client: Person, ...more: string[]): Promise<Service> =>
  bench.serve(home, 'mcp-serve', '--authorized-peer', client.peerId, '--command', echoCommand, ...local, ...more)

test('R14: two mcp-serve and an agent of one identity share one port; each serves its own peer; register and mcp-connect go through them', async () => {
  const [box, mac, other] = await bench.people(2)
  const registry = await bench.serve('registry', 'registry', ...local)
  const server = ['--server', `localhost:${portOf(registry)}`]
  const first = await serve(box!, mac!, ...server)
  const second = await serve(box!, other!)
  const agent = await bench.serve(box!.home, 'agent', ...local)
  const direct = ({ addresses }: Service): readonly string[] => addresses.filter((address) => !isRelayed(address))
  expect([direct(second), direct(agent)]).toEqual([direct(first), direct(first)])
  expect([first, second, agent].map(({ pid }) => listeningPorts(pid))).toEqual([[portOf(first)], [], []])
  const socket = join(bench.folder, box!.home, '.local/state/fairlead/reach/host.sock')
  expect((await stat(socket)).mode & 0o777).toBe(0o600)
  expect((await bench.run(box!.home, 'register', ...server)).exitCode).toBe(0)
  await expect.poll(async () => (await bench.run(mac!.home, 'peers', ...server)).stdout, { timeout: 10_000 }).toContain(first.addresses[0]!)
  const macHost = await bench.serve(mac!.home, 'agent', ...local) // mcp-connect through a host of its own side
  const clients = [mac!, other!].map(({ home }) => bench.client(home, box!.peerId, ...server))
  await Promise.all(clients.map((mcp) => mcp.initialize()))
  expect(await Promise.all(clients.map((mcp) => mcp.call('echo', { text: 'x' })))).toEqual(['x', 'x'])
  expect(clients.map((mcp) => listeningPorts(mcp.process.pid!))).toEqual([[], []])
  clients[0]!.process.stdin.end()
  expect(await clients[0]!.ended).toBe(0)
  expect(await macHost.stop()).toBe(0)
  expect(await second.stop()).toBe(0)
  const refused = bench.client(other!.home, box!.peerId, '--address', first.addresses[0]!)
  expect((await refused.initialize()).error).toMatchObject({ code: -32001, message: `not authorized by ${box!.peerId}` })
})

test('R14: SIGKILL of the process that listens: another one takes its address, its own session lives on, and the registry knows', async () => {
  const [box, mac, other] = await bench.people(2)
  const registry = await bench.serve('registry-2', 'registry', ...local)
  const server = ['--server', `localhost:${portOf(registry)}`]
  const agent = await bench.serve(box!.home, 'agent', ...local, ...server)
  const serving = [await serve(box!, mac!, ...server), await serve(box!, other!)]
  const clients = [mac!, other!].map(({ home }) => bench.client(home, box!.peerId, '--address', agent.addresses[0]!))
  await Promise.all(clients.map((mcp) => mcp.initialize()))
  const pids = await Promise.all(clients.map((mcp) => mcp.call('pid')))
  await agent.stop('SIGKILL')
  // no error and no second server: the tunnels are resumed
  expect(await Promise.all(clients.map((mcp) => mcp.call('pid')))).toEqual(pids)
  expect(serving.map(({ pid }) => listeningPorts(pid)).sort((a, b) => a.length - b.length)).toEqual([[], [portOf(agent)]])
  await registry.stop('SIGKILL')
  const again = await bench.serve('registry-2', 'registry', '--host', '127.0.0.1', '--port', String(portOf(registry)))
  expect(again.peerId).toBe(registry.peerId)
  const { stdout } = await bench.run(mac!.home, 'peers', ...server)
  expect(stdout).toContain(agent.addresses[0]!)
})

test('R14: SIGKILL of the host of mcp-connect: its session goes on by itself, and the next mcp-connect too', async () => {
  const [box, mac] = await bench.people(1)
  const serving = await serve(box!, mac!)
  const agent = await bench.serve(mac!.home, 'agent', ...local)
  const mcp = bench.client(mac!.home, box!.peerId, '--address', serving.addresses[0]!)
  await mcp.initialize()
  const pid = await mcp.call('pid')
  await agent.stop('SIGKILL')
  expect(await mcp.call('pid')).toBe(pid)
  const next = bench.client(mac!.home, box!.peerId, '--address', serving.addresses[0]!)
  await next.initialize()
  expect(await next.call('echo', { text: 'over the socket file that was left' })).toBe('over the socket file that was left')
})

test('R14: two processes that let the same peer in: when the host dies, the peer finds its session, whichever of them is the host then', async () => {
  const [box, mac] = await bench.people(1)
  const agent = await bench.serve(box!.home, 'agent', ...local)
  const [first, second] = [await serve(box!, mac!), await serve(box!, mac!)]
  const mcp = bench.client(mac!.home, box!.peerId, '--address', agent.addresses[0]!)
  await mcp.initialize()
  const pid = await mcp.call('pid')
  process.kill(first.pid, 'SIGSTOP') // so that it comes too late to be the host
  await agent.stop('SIGKILL')
  await expect.poll(() => listeningPorts(second.pid), { timeout: 5_000 }).toEqual([portOf(agent)])
  const call = mcp.call('pid')
  await expect.poll(() => second.log(), { timeout: 5_000 }).toContain('tunnel.refused') // the peer has met the other one
  process.kill(first.pid, 'SIGCONT')
  expect(await call).toBe(pid)
})

test('R4: a host that ran before any registry was known keeps what a later "register" published, and hears of revocations there', async () => {
  const [box, mac] = await bench.people(1)
  const serving = await serve(box!, mac!)
  const registry = await bench.serve('registry-4', 'registry', ...local)
  const server = ['--server', `localhost:${portOf(registry)}`]
  expect((await bench.run(box!.home, 'register', ...server)).exitCode).toBe(0)
  // only who runs has its way there proved
  await expect.poll(async () => (await bench.run(mac!.home, 'peers', ...server)).stdout, { timeout: 15_000 }).toContain('direct (proved)')
  const mcp = bench.client(mac!.home, box!.peerId, '--address', serving.addresses[0]!)
  await mcp.initialize()
  const open = mcp.request('tools/call', { name: 'sleep' })
  expect((await bench.run(mac!.home, 'revoke', '--yes', ...server)).exitCode).toBe(0)
  expect((await open).error).toMatchObject({ data: { reason: 'reach.tunnel_ended' } })
})
