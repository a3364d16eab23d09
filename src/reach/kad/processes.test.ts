// The distributed hash table with real processes: a peer is found by its id after the registry, where all began, was killed.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Person, type ReachBench, echoCommand, local, portOf, reachBench } from '../../../test/kit/reach-bench.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterAll(() => bench.close())

const fileOf = ({ home }: Person, name: string): string => join(bench.folder, home, '.local/state/fairlead/reach', name)
const nodesOf = (person: Person): Record<string, string[]> => {
  try {
    return JSON.parse(readFileSync(fileOf(person, 'nodes.json'), 'utf8')) as Record<string, string[]>
  } catch {
    return {} // not yet
  }
}

test('six hosts meet at a registry; it is killed, and each peer is still found by its id', { timeout: 180_000 }, async () => {
  const [box, mac, ...others] = (await bench.people(5)) as [Person, Person, ...Person[]]
  const registry = await bench.serve('registry', 'registry', '--dht', ...local)
  const server = ['--server', `localhost:${portOf(registry)}`, '--dht']
  await Promise.all(others.map((person) => bench.serve(person.home, 'agent', ...local, ...server)))
  await bench.serve(box.home, 'mcp-serve', '--authorized-peer', mac.peerId, '--command', echoCommand, ...local, ...server)
  await bench.serve(mac.home, 'agent', ...local, ...server)
  for (const person of [box, mac, ...others])
    await expect.poll(() => Object.keys(nodesOf(person)).length, { timeout: 60_000 }).toBeGreaterThanOrEqual(2)
  expect(Object.keys(nodesOf(box))).toContain(registry.peerId)
  const isOther = ([id]: [string, unknown]): boolean => others.some(({ peerId }) => peerId === id)
  await expect.poll(() => Object.entries(nodesOf(mac)).some(isOther), { timeout: 60_000 }).toBe(true)
  await registry.stop('SIGKILL')

  // it knows one node alone, and that is not the one it looks for
  const other = Object.entries(nodesOf(mac)).find(isOther)
  writeFileSync(fileOf(mac, 'nodes.json'), JSON.stringify(Object.fromEntries([other!])))
  const lost = await bench.run(mac.home, 'send', box.peerId, 'hello', '--no-mailbox')
  expect(lost).toMatchObject({ exitCode: 5, stdout: '' })
  const client = bench.client(mac.home, box.peerId, ...server)
  await client.initialize()
  expect(await client.call('echo', { text: 'without a registry' })).toBe('without a registry')

  // and so does somebody new, who is told of one node and listens nowhere
  const [, guest] = (await bench.people(1)) as [Person, Person]
  const message = await bench.run(guest.home, 'send', mac.peerId, 'hello', '--no-mailbox', '--dht-node', other![1][0]!)
  expect(message).toMatchObject({ exitCode: 0, stdout: `delivered to ${mac.peerId}\n` })
  const nobody = (await bench.people(0))[0]!
  const missed = await bench.run(guest.home, 'send', nobody.peerId, 'hello', '--no-mailbox', '--dht')
  expect(missed).toMatchObject({ exitCode: 5, stdout: '' })

  // the doctor tells the two apart, and remembers nothing
  const asked = await bench.run(guest.home, 'doctor', mac.peerId, '--dht-node', other![1][0]!)
  expect(asked.stdout).toMatch(/^good +peer-in-table +\d+ nodes? answers?, and its signed card is there: /m)
  const lonely = await bench.run(nobody.home, 'doctor', nobody.peerId, '--dht')
  expect(lonely.stdout).toMatch(/^bad +peer-in-table +no node of the hash table answers/m)
  expect(nodesOf(nobody)).toEqual({})
  const unknown = await bench.run(guest.home, 'doctor', nobody.peerId, '--dht')
  expect(unknown.stdout).toMatch(/^bad +peer-in-table +\d+ nodes? answers?, and none of them knows the peer/m)
})
