// Registries that name one NATS cluster, as real processes: what is written at one holds at the other, and what nobody can say is not said.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { cleanUp, keep, later } from '../../../test/kit/cleanup.ts'
import { type NatsCluster, hasNats, startNats } from '../../../test/kit/nats.ts'
import { type ReachBench, type Service, local, portOf, reachBench } from '../../../test/kit/reach-bench.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { createPeerHost } from '../../base/peer/host/host.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { signCard } from '../node/peer-card.ts'
import { signRevocation } from '../succession/statement.ts'
import { connectRegistry } from './client.ts'
import { knownRegistries, parseServer } from './known-registries.ts'

/** Elections take a while, and far longer on a busy machine. */
const isLong = process.env['FAIRLEAD_LONG'] !== undefined

let nats: NatsCluster
let bench: ReachBench
beforeAll(async () => {
  if (!hasNats) return
  ;[nats, bench] = await Promise.all([startNats(), reachBench()])
  later(() => bench.close())
  keep()
}, 60_000)
beforeEach(({ skip }) => {
  if (!hasNats) skip('there is no nats-server here')
})
afterEach(() => bench?.reset())
afterAll(cleanUp)

/** A registry, with a folder and key of its own; in the cluster whose buckets begin with `name`, or by itself. */
function registry(home: string, name?: string): Promise<Service> {
  if (name === undefined) return bench.serve(home, 'registry', ...local)
  mkdirSync(join(bench.folder, home), { recursive: true })
  const file = join(bench.folder, home, 'cluster.toml')
  writeFileSync(file, `[cluster]\nname = "${name}"\nnats = ${JSON.stringify(nats.urls)}\n`)
  return bench.serve(home, 'registry', ...local, '--config', file)
}

/** Somebody, at one or more registries. */
async function somebody(...registries: Service[]) {
  const identity = createIdentity()
  const host = await createPeerHost({ identity, clock, log }, { listen: [] })
  later(() => host.close())
  const known = knownRegistries(join(bench.folder, `${identity.peerId}.json`))
  const at = (service: Service) => connectRegistry({ host, clock, known }, parseServer(`127.0.0.1:${portOf(service)}`))
  const card = (sequence: number, name = 'toy') => signCard(identity, { name, addresses: [], sequence, expiresAt: clock.now() + 600_000 })
  return { identity, peerId: identity.peerId, card, at: await Promise.all(registries.map(at)) }
}

const patience = { timeout: 20_000 }

test(
  'a card that is written at one is found at the other, the later one counts at both, and a revocation too',
  { timeout: 60_000 },
  async () => {
    const [one, two] = await Promise.all([registry('a1', 'both'), registry('a2', 'both')])
    const owner = await somebody(one, two)
    const [here, there] = owner.at
    await here!.publish(await owner.card(10))
    await expect.poll(() => there!.lookup(owner.peerId), patience).toMatchObject([{ name: 'toy' }])
    await there!.publish(await owner.card(20, 'later'))
    await expect.poll(() => here!.lookup('later'), patience).toMatchObject([{ peerId: owner.peerId }])
    for (const each of owner.at)
      await expect(each.publish(await owner.card(15))).rejects.toMatchObject({ details: { code: 'reach.record_too_old' } })
    await there!.publish(await owner.card(30, 'last'))
    await here!.announce(await signRevocation(owner.identity, clock.now())) // at once: it need not have seen the last card yet
    for (const each of owner.at) {
      await expect(each.publish(await owner.card(40))).rejects.toMatchObject({ details: { code: 'reach.key_revoked' } })
      expect(await each.statements([owner.peerId])).toMatchObject([{ says: 'revoked' }])
      await expect.poll(() => each.list(), patience).toEqual([])
    }
  },
)

test(
  'what was revoked before there was a cluster is revoked in it, and stays so at a registry that leaves it',
  { timeout: 60_000 },
  async () => {
    const alone = await registry('b1')
    const before = await somebody(alone)
    await before.at[0]!.announce(await signRevocation(before.identity, clock.now()))
    await alone.stop()
    const [one, two] = [await registry('b1', 'moved'), await registry('b2', 'moved')]
    const asking = await somebody(two)
    expect(await asking.at[0]!.statements([before.peerId])).toMatchObject([{ says: 'revoked' }])
    const during = await somebody(two)
    await during.at[0]!.announce(await signRevocation(during.identity, clock.now()))
    const left = async () => {
      await one.stop()
      const again = await registry('b1')
      const { at } = await somebody(again)
      const found = await at[0]!.statements([before.peerId, during.peerId])
      await again.stop()
      return found.map(({ peerId }) => peerId).sort()
    }
    await expect.poll(left, patience).toEqual([before.peerId, during.peerId].sort())
  },
)

test('a file without the table is a fault, not a registry by itself', async () => {
  mkdirSync(join(bench.folder, 'd1'), { recursive: true })
  const file = join(bench.folder, 'd1', 'none.toml')
  writeFileSync(file, '')
  const { exitCode, stderr } = await bench.run('d1', 'registry', ...local, '--config', file)
  expect(exitCode).toBe(2)
  expect(stderr).toContain('has no table [cluster]')
})

test(
  `without a majority cards are found, but nothing is written and no key is said to be good${isLong ? '; then all goes on' : ''}`,
  { timeout: 120_000 },
  async () => {
    const one = await registry('c1', 'quorum')
    const owner = await somebody(one)
    const [here] = owner.at
    await here!.publish(await owner.card(10))
    const leader = await nats.leaderOf('KV_quorum-registry-key-statements') // who led, and is cut off, takes itself for the leader for 10 s more
    const gone = [leader, (leader + 1) % 3]
    await Promise.all(gone.map((server) => nats.kill(server)))
    const began = performance.now()
    const refused = {
      details: { code: expect.stringMatching(/^(kv\.unavailable|reach\.registry_unsure)$/) as string },
      message: expect.stringContaining('does not reach what keeps its records') as string,
    }
    await expect(here!.publish(await owner.card(20))).rejects.toMatchObject(refused)
    await expect(here!.statements([owner.peerId])).rejects.toMatchObject(refused)
    expect(performance.now() - began).toBeLessThan(20_000)
    expect(await here!.lookup('toy')).toMatchObject([{ peerId: owner.peerId }])
    if (!isLong) return
    for (const server of gone) nats.start(server)
    await expect.poll(async () => here!.publish(await owner.card(20)).then(() => 'taken', () => 'not yet'), { timeout: 60_000, interval: 1_000 }).toBe('taken') // prettier-ignore
  },
)
