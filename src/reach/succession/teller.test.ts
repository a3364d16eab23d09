// What a peer shows of its earlier keys, over real connections: only what leads from an id that is known to the key that it proved.
import { afterEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import { type PeerHost, createPeerHost } from '../../base/peer/host/host.ts'
import { type Statement, openStatement, signRevocation, signRotation } from './statement.ts'
import { askSuccession, tellSuccession } from './teller.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).toReversed()) await undo()
})
async function hostOf(identity: Identity): Promise<PeerHost> {
  const host = await createPeerHost({ identity, clock, log }, { listen: ['/ip4/127.0.0.1/tcp/0'] })
  cleanup.push(() => host.close())
  return host
}
async function toldBy(teller: Identity, told: readonly Statement[], from: readonly Identity[]): Promise<readonly Statement[]> {
  const host = await hostOf(teller)
  tellSuccession({ host, clock }, () => told)
  const asker = await hostOf(createIdentity())
  return askSuccession({ host: asker, clock }, { from: from.map(({ peerId }) => peerId), addresses: host.addresses() })
}
const [first, old, next, thief] = [createIdentity(), createIdentity(), createIdentity(), createIdentity()]
const rotation = async (from: Identity, to: Identity): Promise<Statement> => openStatement(await signRotation(from, to, 1))
const chain = [await rotation(first, old), await rotation(old, next)]

test('leads from an id that is known, over others, to the one who shows it', async () => {
  expect(await toldBy(next, chain, [first])).toEqual(chain)
  expect(await toldBy(next, chain, [old, thief])).toEqual([chain[1]])
})

test('counts for nothing when somebody else shows it, when it is of others, or when it is no rotation', async () => {
  expect(await toldBy(thief, chain, [first, old])).toEqual([])
  expect(await toldBy(thief, [...chain, await rotation(createIdentity(), thief)], [first, old])).toEqual([])
  expect(await toldBy(next, chain, [thief])).toEqual([])
  expect(await toldBy(next, [openStatement(await signRevocation(old, 1))], [old])).toEqual([])
})
