// Proves that mcp-connect leaves nothing behind on either machine, a hundred times in a row: whoever ends it, in whatever way, alone or attached to a host.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Person, type ReachBench, type Service, echoCommand, local, reachBench } from '../../../test/kit/reach-bench.ts'
import type { McpClient } from '../../../test/kit/mcp-client.ts'
import { descriptors, everyProcess, isRunning } from '../../base/supervise/processes.fixture.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

const patience = { timeout: 20_000 }
/** Sessions that are open at once. */
const side = 5

/** Every running process of this bench, on both machines: each was given a home in its folder, or was started by one that was. */
function processes(): number[] {
  const isOurs = (pid: number): boolean => {
    try {
      return isRunning(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(bench.folder)
    } catch {
      return false // it has ended meanwhile
    }
  }
  return everyProcess().flatMap(({ pid }) => (isOurs(pid) ? [pid] : []))
}

/** What a process holds that could pile up: sockets, pipes, files. */
const held = ({ pid }: Service): number => Object.keys(descriptors(pid)).length
const files = ({ home }: Person): string[] => readdirSync(join(bench.folder, home), { recursive: true, encoding: 'utf8' }).sort()

const serve = (box: Person, macs: readonly Person[]): Promise<Service> => {
  const allowed = macs.flatMap(({ peerId }) => ['--authorized-peer', peerId])
  return bench.serve(box.home, 'mcp-serve', ...allowed, '--command', echoCommand, '--keep', '1', ...local)
}

/** A session that works: its client, and the process that serves it. */
async function session(mac: Person, { peerId, addresses }: Service): Promise<{ client: McpClient; server: number }> {
  const client = bench.client(mac.home, peerId, '--address', addresses[0]!)
  await client.initialize()
  return { client, server: Number(await client.call('pid')) }
}

type Way = readonly [how: string, end: (client: McpClient) => unknown, result: number | string]

const ways: readonly Way[] = [
  ['the end of its stdin', ({ process }) => process.stdin.end(), 0],
  ['SIGTERM', ({ process }) => process.kill('SIGTERM'), 0],
  ['SIGKILL', ({ process }) => process.kill('SIGKILL'), 'SIGKILL'],
]

describe('nothing is left behind', () => {
  test.each(ways)('25 times, after %s', { timeout: 300_000 }, async (_, end, result) => {
    const [box, alone, attached] = await bench.people(2)
    const agent = await bench.serve(attached!.home, 'agent', ...local)
    const serving = await serve(box!, [alone!, attached!])
    const round = async (): Promise<void> => {
      const open = await Promise.all(Array.from({ length: side }, (_, at) => session(at % 2 === 0 ? alone! : attached!, serving)))
      const seen = processes()
      for (const { client, server } of open) expect(seen).toEqual(expect.arrayContaining([client.process.pid, server]))
      for (const { client } of open) end(client)
      expect(await Promise.all(open.map(({ client }) => client.ended))).toEqual(open.map(() => result))
    }
    const before = processes()
    await round() // of what is made once, such as known addresses, the first makes it
    await expect.poll(processes, patience).toEqual(before)
    const first = [serving, agent].map(held)
    const written = [alone!, attached!].map(files)
    for (let count = side; count < 25; count += side) await round()
    await expect.poll(processes, patience).toEqual(before)
    await expect.poll(() => [serving, agent].every((service, at) => held(service) <= first[at]!), patience).toBe(true)
    expect([alone!, attached!].map(files)).toEqual(written)
  })

  test('25 times, after SIGKILL of the other end, and then the end of its stdin', { timeout: 300_000 }, async () => {
    const [box, alone, attached] = await bench.people(2)
    const agent = await bench.serve(attached!.home, 'agent', ...local)
    const before = processes()
    const round = async (): Promise<void> => {
      const serving = await serve(box!, [alone!, attached!])
      const open = await Promise.all(Array.from({ length: side }, (_, at) => session(at % 2 === 0 ? alone! : attached!, serving)))
      await serving.stop('SIGKILL')
      await expect.poll(() => open.filter(({ server }) => isRunning(server)), patience).toEqual([])
      for (const { client } of open) {
        expect(isRunning(client.process.pid!)).toBe(true) // it waits for the other end to come back
        client.process.stdin.end()
      }
      expect(await Promise.all(open.map(({ client }) => client.ended))).toEqual(open.map(() => 0))
      await expect.poll(processes, patience).toEqual(before)
    }
    await round()
    const [first, written] = [held(agent), [alone!, attached!].map(files)]
    for (let count = side; count < 25; count += side) await round()
    await expect.poll(() => held(agent), patience).toBeLessThanOrEqual(first)
    expect([alone!, attached!].map(files)).toEqual(written)
  })
})
