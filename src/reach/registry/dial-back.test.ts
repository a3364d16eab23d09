// The registry dials back over real TCP: what it proves, and whom it cannot be made to dial.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { reachability } from '../../base/peer/address.ts'
import { type OwnHost, createPeerHost } from '../../base/peer/host/host.ts'
import { type RegistryClient, connectRegistry } from './client.ts'
import { createDialBack } from './dial-back.ts'
import { knownRegistries, parseServer } from './known-registries.ts'
import { publishCard } from './registration.ts'
import { type RegistrySettings, startRegistry } from './registry.ts'

const loopback = '/ip4/127.0.0.1/tcp/0'
const undo: (() => unknown)[] = []
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-back-'))
  undo.push(() => rmSync(folder, { recursive: true }))
})
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step()
})

type Peer = { readonly host: OwnHost; readonly registry: RegistryClient; publish(addresses: readonly string[]): Promise<unknown> }

async function scene(settings: Partial<RegistrySettings> = {}): Promise<() => Promise<Peer>> {
  const registry = await startRegistry({ clock, log }, { folder: join(folder, 'registry'), listen: [loopback], ...settings })
  undo.push(() => registry.close())
  const server = parseServer(`127.0.0.1:${/\/tcp\/(\d+)/.exec(registry.addresses()[0]!)![1]}`)
  return async () => {
    const identity = createIdentity()
    const host = await createPeerHost({ identity, clock, log }, { listen: [loopback] })
    undo.push(() => host.close())
    const client = await connectRegistry({ host, clock, known: knownRegistries(join(folder, 'registries.json')) }, server)
    const publish = (addresses: readonly string[]) =>
      publishCard(client, identity, clock, { name: 'toy', addresses, expiresAt: clock.now() + 60_000 })
    return { host, registry: client, publish }
  }
}

/** A plain port that counts who connects. */
async function counter(address: string): Promise<{ readonly port: number; count(): number }> {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.on('error', () => {}).destroy()
  }).listen(0, address)
  await once(server, 'listening')
  undo.push(() => server.close())
  return { port: (server.address() as AddressInfo).port, count: () => connections }
}

test('an address that leads to the peer is proved, for everybody to see, and is so no more when it does not', async () => {
  const peer = await scene()
  const [box, mac] = [await peer(), await peer()]
  await box.publish(box.host.addresses())
  const seen = async () => {
    const { addresses, proved } = (await mac.registry.lookup(box.host.peerId))[0]!
    return [proved, reachability(addresses, proved)]
  }
  expect(await seen()).toEqual([[], 'direct (not proved)'])
  expect(await box.registry.prove()).toEqual(box.host.addresses())
  expect(await seen()).toEqual([box.host.addresses(), 'direct (proved)'])
  expect((await mac.registry.list()).map(({ proved }) => proved)).toEqual([box.host.addresses()])
  const { port } = await counter('127.0.0.1')
  const gone = `/ip4/127.0.0.1/tcp/${port}/p2p/${box.host.peerId}`
  await box.publish([gone])
  expect(await seen()).toEqual([[], 'direct (not proved)'])
  expect(await box.registry.prove()).toEqual([])
  await box.publish(box.host.addresses())
  expect(await seen()).toEqual([[], 'direct (not proved)'])
})

test('what leads to another key is not proved, whoever listens there', async () => {
  const peer = await scene()
  const [box, thief] = [await peer(), await peer()]
  await thief.publish(box.host.addresses().map((address) => address.replace(/\/p2p\/.*/, '')))
  expect(await thief.registry.prove()).toEqual([])
})

test('nobody but the one who asks is dialled: no other IP address, no name, and no more than three ports', async () => {
  const peer = await scene()
  const box = await peer()
  const [other, here] = [await counter('127.0.0.2'), await counter('127.0.0.1')]
  await box.publish([
    `/ip4/127.0.0.2/tcp/${other.port}`,
    `/dns4/localhost/tcp/${here.port}`,
    `/ip4/127.0.0.1/tcp/${here.port}/p2p/${box.host.peerId}/p2p-circuit`,
    `/ip4/127.0.0.1/udp/${here.port}`,
  ])
  expect(await box.registry.prove()).toEqual([])
  expect([other.count(), here.count()]).toEqual([0, 0])
  await box.publish(Array.from({ length: 16 }, (_, n) => `/ip4/127.0.0.1/tcp/${here.port}${n % 2 ? '' : `/p2p/${box.host.peerId}`}`))
  expect(await box.registry.prove()).toEqual([])
  expect(here.count()).toBe(3)
})

test('only so often, by peer and by IP address; and never for who comes through a relay', async () => {
  const peer = await scene({ proofsPerPeer: { burst: 1, perSecond: 0.001 }, proofsPerAddress: { burst: 2, perSecond: 0.001 } })
  const [one, two, three] = [await peer(), await peer(), await peer()]
  for (const { publish, host } of [one, two, three]) await publish(host.addresses())
  const tooOften = { code: 'reach.registry_refused', details: { code: 'reach.too_often' } }
  expect(await one.registry.prove()).toEqual(one.host.addresses())
  await expect(one.registry.prove()).rejects.toMatchObject(tooOften)
  expect(await two.registry.prove().catch(() => 'the address has had its share')).toBe('the address has had its share')
  await expect(three.registry.prove()).rejects.toMatchObject(tooOften)
  const { port, count } = await counter('127.0.0.1')
  const dialBack = createDialBack({ host: one.host, clock, log })
  const from = { remotePeer: two.host.peerId, remoteAddress: '127.0.0.1', isRelayed: true }
  expect(await dialBack.prove(from, [`/ip4/127.0.0.1/tcp/${port}`])).toEqual([])
  expect(count()).toBe(0)
})

test('a port that says nothing is left after a moment', async () => {
  const peer = await scene()
  const box = await peer()
  const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  undo.push(() => silent.close())
  await box.publish([`/ip4/127.0.0.1/tcp/${(silent.address() as AddressInfo).port}`])
  const from = clock.mono()
  expect(await box.registry.prove()).toEqual([])
  expect(clock.mono() - from).toBeLessThan(5_000)
})
