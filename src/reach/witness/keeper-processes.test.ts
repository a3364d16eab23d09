// A history that is witnessed by itself, with real processes: at once, when much was added, after the witness was away, and what people are told of it.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Person, type ReachBench, local, portOf, reachBench } from '../../../test/kit/reach-bench.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

test(
  'a host with --witness has its history witnessed, again when enough was added, and by a witness that was away; status says when',
  { timeout: 120_000 },
  async () => {
    const [box, mac] = (await bench.people(1)) as [Person, Person]
    const registry = await bench.serve('registry', 'registry', ...local)
    const server = ['--server', `localhost:${portOf(registry)}`]
    const words = ['agent', ...local, ...server]
    const witness = await bench.serve(box.home, ...words)
    await bench.run(box.home, 'witness', 'add', mac.peerId)
    expect((await bench.run(mac.home, 'send', box.peerId, 'one', ...server)).exitCode).toBe(0)
    expect((await bench.run(mac.home, 'status')).stdout).toMatch(/^history +signed up to 1, witnessed by nobody$/m)
    await bench.serve(mac.home, ...words, '--witness', box.peerId, '--witness-after', '2')
    const seen = async (): Promise<string> => (await bench.run(box.home, 'witness', 'list')).stdout
    await expect.poll(seen, { timeout: 15_000 }).toContain('fairlead/messages: 1 entries') // what the other end says
    await expect
      .poll(async () => (await bench.run(mac.home, 'status')).stdout)
      .toMatch(new RegExp(`^history +signed up to 1, witnessed up to 1 by ${box.peerId} \\d+ s ago$`, 'm'))
    await witness.stop()
    for (const text of ['two', 'three']) await bench.run(mac.home, 'send', box.peerId, text, '--no-mailbox', ...server)
    await bench.serve(box.home, ...words)
    for (const text of ['four', 'five']) await bench.run(mac.home, 'send', box.peerId, text, ...server)
    await bench.run(mac.home, 'history', '--prove', '3') // signs what is there, as happens once a minute by itself
    await expect.poll(seen, { timeout: 60_000 }).toContain('fairlead/messages: 3 entries')
    expect(await bench.run(mac.home, 'history', '--verify')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('witnessed up to 3 by') as string,
    })
  },
)

test('what cannot be is said at the start', async () => {
  const [box] = (await bench.people(0)) as [Person]
  const run = async (...words: string[]) => bench.run(box.home, 'agent', ...local, ...words)
  expect(await run('--witness', 'LinuxBox')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('"LinuxBox" in --witness is no peer id') as string,
  })
  expect((await run('--witness', box.peerId, '--witness-every', '0')).exitCode).toBe(2)
})
