// A server that a peer serves, behind the gate of a node: reached under the node's own identity, for a client that knows nothing of peers.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createWallet } from '../../src/base/identity/wallet.ts'
import { openSession, textOf } from '../kit/raw-client.ts'
import { type ReachBench, echoCommand, portOf, reachBench } from '../kit/reach-bench.ts'
import { bed, run, up } from './bed.ts'

let far: ReachBench
beforeAll(async () => {
  far = await reachBench()
})
afterAll(() => far.close())

test('calls go through it, in a session that outlives the peer; who is not authorized there is told so', { timeout: 60_000 }, async () => {
  const [box, other] = await far.people(1)
  const place = bed()
  const { identity } = await createWallet(join(place.home, 'state', 'reach', 'wallet.json'), { name: 'node' })
  const serve = (port: string, who: string) =>
    far.serve(box!.home, 'mcp-serve', '--authorized-peer', who, '--command', echoCommand, '--host', '127.0.0.1', '--port', port)
  const first = await serve('0', identity.peerId)
  const port = portOf(first)
  writeFileSync(
    join(place.home, 'config', 'fairlead.toml'),
    `[gate.upstreams.far]\npeer = "${box!.peerId}"\naddresses = ["/ip4/127.0.0.1/tcp/${port}"]\n`,
  )
  const node = await up(place)
  const session = await openSession(node.url('far'), { token: node.token })
  expect(textOf(await (await session.call(1, 'echo', { text: 'from afar' })).answer())).toBe('from afar')
  await first.stop('SIGKILL')
  const second = await serve(String(port), identity.peerId)
  // what was on its way when the peer died has an unknown fate, and says so; the session goes on
  await expect
    .poll(async () => JSON.stringify(await (await session.call(2, 'echo', { text: 'again' })).answer()), { timeout: 20_000 })
    .toContain('"text":"again"')
  await second.stop()
  await serve(String(port), other!.peerId)
  await expect(openSession(node.url('far'), { token: node.token })).rejects.toThrow(/not authorized|denied|refused/)
  expect((await node.stop('SIGTERM')).exitCode).toBe(0)
})

test('a gate by itself has no identity to reach peers with, and says so', async () => {
  const place = bed('[gate]\nlisten = "127.0.0.1:0"\n[gate.upstreams.far]\npeer = "12D3KooWExample"\n')
  const { exitCode, stderr } = await run(place, ['gate', 'serve'])
  expect(exitCode).toBe(2)
  expect(stderr).toMatch(/the upstream far is a peer's.*\n.*fairlead up/)
})
