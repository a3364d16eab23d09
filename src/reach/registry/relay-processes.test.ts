// The relay by its commands, as real processes: --relay goes through it and no other way, a relay that may not is said so, and everybody can see how a peer is reached.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type ReachBench, type Service, echoCommand, local, portOf, reachBench } from '../../../test/kit/reach-bench.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

/** The ports at the other end of a process's TCP connections (Linux: /proc). */
function connectedPorts(pid: number): number[] {
  const sockets = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)))
  const lines = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').trim().split('\n').slice(1)
  const columns = lines.map((line) => line.trim().split(/\s+/))
  return columns
    .filter((column) => column[3] === '01' && sockets.has(`socket:[${column[9]}]`))
    .map((column) => Number.parseInt(column[2]!.split(':')[1]!, 16))
}

async function scene(...registryWords: string[]) {
  const [box, mac] = await bench.people(1)
  const registry: Service = await bench.serve('registry', 'registry', ...local, ...registryWords)
  const server = ['--server', `localhost:${portOf(registry)}`]
  const words = ['--authorized-peer', mac!.peerId, '--command', echoCommand, ...local, ...server]
  for (const { home } of [box!, mac!]) await bench.run(home, 'register', ...server)
  const serving = await bench.serve(box!.home, 'mcp-serve', ...words)
  return { box: box!, mac: mac!, registry, serving }
}

test(
  'mcp-connect and send with --relay reach the peer by the relay alone; without it directly; status and peers say how',
  { timeout: 90_000 },
  async () => {
    const { box, mac, registry, serving } = await scene()
    await expect.poll(async () => (await bench.run(mac.home, 'peers')).stdout, { timeout: 15_000 }).toContain('direct (proved)')
    await expect.poll(async () => (await bench.run(box.home, 'status')).stdout, { timeout: 15_000 }).toContain('/p2p-circuit/')
    expect((await bench.run(box.home, 'status')).stdout).toMatch(/^reachability +direct \(proved\) or relayed$/m)
    expect((await bench.run(mac.home, 'status')).stdout).toMatch(/^reachability +none$/m)
    const relayed = bench.client(mac.home, box.peerId, '--relay')
    await relayed.initialize()
    expect(await relayed.call('echo', { text: 'through the relay' })).toBe('through the relay')
    expect(new Set(connectedPorts(relayed.process.pid!))).toEqual(new Set([portOf(registry)]))
    const direct = bench.client(mac.home, box.peerId)
    await direct.initialize()
    expect(await direct.call('echo', { text: 'directly' })).toBe('directly')
    expect(connectedPorts(direct.process.pid!)).toContain(portOf(serving))
    const sent = await bench.run(mac.home, 'send', box.peerId, 'by the relay', '--relay')
    expect(sent).toMatchObject({ exitCode: 0, stdout: `delivered to ${box.peerId}\n` })
  },
)

test('a registry that relays nothing: the peer is reached directly, and with --relay it is said why not', { timeout: 60_000 }, async () => {
  const { box, mac } = await scene('--no-relay')
  await expect.poll(async () => (await bench.run(mac.home, 'peers')).stdout, { timeout: 15_000 }).toContain(' direct (proved) ')
  const { exitCode, stderr } = await bench.run(mac.home, 'send', '--no-mailbox', box.peerId, 'hello', '--relay')
  expect(exitCode).toBe(5)
  expect(stderr).toContain('no relayed address')
  expect(await bench.run(mac.home, 'send', box.peerId, 'hello')).toMatchObject({ exitCode: 0 })
})
