// A registry that lies, over real libp2p: whatever it tells, only what the keys signed counts, and nobody is reached in another's place.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import { signRecord } from '../../base/identity/record.ts'
import { type OwnHost, type PeerHost, createPeerHost } from '../../base/peer/host/host.ts'
import { findPeer, peerDial } from './find-peer.ts'
import { readJson, writeJson } from '../json-frames.ts'
import { knownAddresses } from './known-addresses.ts'
import { knownRegistries, parseServer } from '../registry/known-registries.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { signCard } from '../node/peer-card.ts'
import { type RegistryClient, connectRegistry } from '../registry/client.ts'
import { maxRequestBytes, registryProtocol } from '../registry/protocol.ts'
import { publishCard } from '../registry/registration.ts'
import { startRegistry } from '../registry/registry.ts'
import { signRevocation, signRotation, statementContext } from '../succession/statement.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).toReversed()) await undo()
})

async function hostOf(identity: Identity, listen: readonly string[] = ['/ip4/127.0.0.1/tcp/0']): Promise<OwnHost> {
  const host = await createPeerHost({ identity, clock, log }, { listen })
  cleanup.push(() => host.close())
  return host
}

const protocol = '/fairlead/test/1'
const [old, next, thief] = [createIdentity(), createIdentity(), createIdentity()]
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')
const cardOf = async (identity: Identity, host: PeerHost): Promise<unknown> => ({
  card: base64(await signCard(identity, { name: 'Box', addresses: host.addresses(), sequence: 1, expiresAt: clock.now() + 60_000 })),
  ageMs: 0,
})

/** Peers that listen, a registry that answers every question with what it is given, and somebody who asks. */
async function bench(
  answer: (hosts: { next: PeerHost; thief: PeerHost }) => { cards?: Promise<unknown>[]; statements?: Promise<Uint8Array>[] },
) {
  const hosts = { next: await hostOf(next), thief: await hostOf(thief) }
  for (const host of Object.values(hosts)) host.handle(protocol, (stream) => stream.duplex.resume())
  const registry = await hostOf(createIdentity())
  const told = answer(hosts)
  const [cards, statements] = await Promise.all([Promise.all(told.cards ?? []), Promise.all(told.statements ?? [])])
  registry.handle(registryProtocol, (stream) => {
    void (async () => {
      for await (const _ of readJson(stream.duplex, maxRequestBytes))
        await writeJson(stream.duplex, { ok: { now: clock.now(), cards, more: false, statements: statements.map(base64) } })
    })().catch(() => {})
  })
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-find-'))
  cleanup.push(() => rmSync(folder, { recursive: true, force: true }))
  const host = await hostOf(createIdentity(), [])
  const server = parseServer(/127\.0\.0\.1\/tcp\/(\d+)/.exec(registry.addresses()[0]!)![0].replace('/tcp/', ':'))
  const statementsKnown = knownStatements(join(folder, 'statements.json'))
  const connect = (): Promise<RegistryClient> =>
    connectRegistry({ host, clock, known: knownRegistries(join(folder, 'registries.json')) }, server)
  const dial = peerDial(
    { host, clock, known: knownAddresses(join(folder, 'addresses.json')), statements: statementsKnown, registry: connect },
    { peer: old.peerId, addresses: [], protocol, searches: [], followRotations: true },
  )
  return { connect, dial, statements: statementsKnown }
}

test('what it should be: the statement of both keys, and the card of the new one', async () => {
  const { dial, connect } = await bench((hosts) => ({ cards: [cardOf(next, hosts.next)], statements: [signRotation(old, next, 1)] }))
  expect((await dial()).remotePeer).toBe(next.peerId)
  await expect(findPeer(await connect(), old.peerId)).rejects.toMatchObject({ code: 'reach.peer_rotated', details: { next: next.peerId } })
})

test('another’s card for a whole id leads nowhere', async () => {
  const { dial } = await bench((hosts) => ({ cards: [cardOf(thief, hosts.thief)] }))
  await expect(dial()).rejects.toMatchObject({ code: 'reach.peer_not_found' })
})

test.each<[string, Promise<Uint8Array>]>([
  ['of another key, leading to its own', signRotation(createIdentity(), thief, 1)],
  [
    'that the other key alone has signed',
    signRecord(thief, statementContext, { sequence: 1, expiresAt: Number.MAX_SAFE_INTEGER, says: 'rotated', next: thief.peerId }),
  ],
  [
    'of the right key without the new one’s proof',
    signRecord(old, statementContext, { sequence: 1, expiresAt: Number.MAX_SAFE_INTEGER, says: 'rotated', next: thief.peerId }),
  ],
  ['that is a revocation of somebody else', signRevocation(createIdentity(), 1)],
])('a statement %s changes nothing', async (_, statement) => {
  const { dial, statements } = await bench((hosts) => ({ cards: [cardOf(thief, hosts.thief)], statements: [statement] }))
  await expect(dial()).rejects.toMatchObject({ code: 'reach.peer_not_found' })
  expect(statements.standing(old.peerId)).toEqual({ is: 'valid' })
  expect(statements.mark()).toBe('') // nor is it kept
})

test('a second rotation, of a later time, does not take the place of the first one that was seen', async () => {
  const { dial, statements } = await bench((hosts) => ({
    cards: [cardOf(thief, hosts.thief), cardOf(next, hosts.next)],
    statements: [signRotation(old, next, 1), signRotation(old, thief, 2)],
  }))
  expect((await dial()).remotePeer).toBe(next.peerId)
  expect(statements.standing(old.peerId)).toMatchObject({ to: next.peerId })
})

test('a revocation, however old, ends it all', async () => {
  const { dial } = await bench((hosts) => ({
    cards: [cardOf(next, hosts.next)],
    statements: [signRotation(old, next, 5), signRevocation(old, 1, 'stolen')],
  }))
  await expect(dial()).rejects.toMatchObject({ code: 'reach.peer_revoked', message: expect.stringContaining('stolen') as string })
})

test('how the registry was reached is a way to whoever has a place there, whatever it announces itself', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-find-'))
  cleanup.push(() => rmSync(folder, { recursive: true, force: true }))
  const registry = await startRegistry({ clock, log }, { folder, listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'] })
  cleanup.push(() => registry.close())
  const [direct, web] = [/tcp\/(\d+)\/p2p/, /tcp\/(\d+)\/ws/].map((form) => form.exec(registry.addresses().join(' '))![1]!) as [
    string,
    string,
  ]
  const clientOf = (host: PeerHost, server: string): Promise<RegistryClient> =>
    connectRegistry({ host, clock, known: knownRegistries(join(folder, `${host.peerId}.json`)) }, parseServer(server))
  const box = await hostOf(next, [])
  box.handle(protocol, (stream) => stream.duplex.resume())
  const unreachable = `/ip4/127.0.0.1/tcp/1/p2p/${registry.peerId}/p2p-circuit/p2p/${box.peerId}`
  const card = { name: 'Box', addresses: [unreachable], expiresAt: clock.now() + 60_000 }
  await publishCard(await clientOf(box, `127.0.0.1:${direct}`), next, clock, card)
  box.keepPlace(registry.peerId, `/ip4/127.0.0.1/tcp/${direct}`)
  await expect.poll(() => box.addresses().length, { timeout: 10_000 }).toBeGreaterThan(0)
  const laptop = await hostOf(createIdentity(), [])
  const dial = peerDial(
    {
      host: laptop,
      clock,
      known: knownAddresses(join(folder, 'addresses.json')),
      statements: knownStatements(join(folder, 'statements.json')),
      registry: () => clientOf(laptop, `ws://127.0.0.1:${web}`),
    },
    { peer: box.peerId, addresses: [], protocol, searches: [] },
  )
  expect(await dial()).toMatchObject({ remotePeer: box.peerId, isRelayed: true })
})
