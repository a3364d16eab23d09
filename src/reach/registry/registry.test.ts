// A registry and its clients over real libp2p on loopback: publishing, finding, restarts, a changed key, floods and nonsense.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import * as fc from 'fast-check'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import { createMemoryKv } from '../../base/kv/memory.ts'
import { type OwnHost, type PeerHost, createPeerHost } from '../../base/peer/host/host.ts'
import { jsonFrame, readJson } from '../json-frames.ts'
import { knownRegistries, parseServer } from './known-registries.ts'
import { signCard } from '../node/peer-card.ts'
import { signRevocation, signRotation } from '../succession/statement.ts'
import { keepRegistered, publishCard } from './registration.ts'
import { type RegistryClient, connectRegistry } from './client.ts'
import { maxAnswerBytes, readAnswer, readRequest, registryProtocol } from './protocol.ts'
import { type Registry, type RegistrySettings, startRegistry } from './registry.ts'

const cleanup: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).toReversed()) await undo()
})

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'fairlead-registry-'))
  cleanup.push(() => rm(path, { recursive: true, force: true }))
  return path
}

async function registryIn(
  path: string,
  port = 0,
  more: Partial<RegistrySettings> = {},
): Promise<Registry & { port: number; stop(): Promise<void> }> {
  const registry = await startRegistry({ clock, log }, { folder: path, listen: [`/ip4/127.0.0.1/tcp/${port}`], ...more })
  let isStopped = false
  const stop = async (): Promise<void> => {
    if (!isStopped) await registry.close()
    isStopped = true
  }
  cleanup.push(stop)
  return { ...registry, stop, port: Number(/\/tcp\/(\d+)/.exec(registry.addresses()[0]!)![1]) }
}

async function hostOf(identity: Identity, listen: readonly string[] = []): Promise<OwnHost> {
  const host = await createPeerHost({ identity, clock, log }, { listen })
  cleanup.push(() => host.close())
  return host
}

async function client(
  port: number,
  identity = createIdentity(),
  known = join(tmpdir(), `fairlead-none-${createIdentity().peerId}`),
): Promise<RegistryClient & { identity: Identity; host: PeerHost }> {
  cleanup.push(() => rm(known, { force: true }))
  const host = await hostOf(identity)
  const registry = await connectRegistry({ host, clock, known: knownRegistries(known) }, parseServer(`localhost:${port}`))
  return { ...registry, identity, host }
}

const card = (name = 'toy', addresses: readonly string[] = ['/ip4/127.0.0.1/tcp/9']) => ({
  name,
  addresses,
  expiresAt: clock.now() + 60_000,
})

test('R3: what one peer publishes another finds, and a restarted registry, same key, still knows it', async () => {
  const path = await folder()
  const first = await registryIn(path)
  const a = await client(first.port)
  await publishCard(a, a.identity, clock, card())
  const b = await client(first.port)
  expect(await b.lookup(a.identity.peerId)).toMatchObject([{ peerId: a.identity.peerId, name: 'toy', addresses: ['/ip4/127.0.0.1/tcp/9'] }])
  await first.stop()
  const second = await registryIn(path, first.port)
  expect(second.peerId).toBe(first.peerId)
  const c = await client(second.port)
  expect(await c.list()).toMatchObject([{ peerId: a.identity.peerId, name: 'toy' }])
})

test('R3: it is a plain TCP port: telnet connects', async () => {
  const { port } = await registryIn(await folder())
  const socket = connect(port, '127.0.0.1')
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.destroy()
})

test('R4: the key is pinned when it is first met; another key at that place is a fault that says how to go on', async () => {
  const known = join(await folder(), 'registries.json')
  const first = await registryIn(await folder())
  const server = parseServer(`127.0.0.1:${first.port}`)
  await client(first.port, createIdentity(), known)
  await first.stop()
  const other = await registryIn(await folder(), first.port)
  const found = await client(other.port, createIdentity(), known).catch((error: unknown) => error)
  expect(found).toMatchObject({
    code: 'reach.registry_key_changed',
    details: { pinned: first.peerId, found: other.peerId },
    hint: expect.stringContaining(known) as string,
  })
  expect(knownRegistries(known).keyOf(parseServer(`localhost:${server.port}`))).toBe(first.peerId)
})

test('R4: nobody writes the card of another, replays it or puts back an earlier one', async () => {
  const { port } = await registryIn(await folder())
  const owner = await client(port)
  const thief = await client(port)
  const early = await signCard(owner.identity, { ...card('early'), sequence: 1 })
  const late = await signCard(owner.identity, { ...card('late'), sequence: 2 })
  await owner.publish(early)
  await owner.publish(late)
  await expect(owner.publish(early)).rejects.toMatchObject({
    code: 'reach.registry_refused',
    details: { code: 'reach.record_too_old', known: 2 },
  })
  const newer = await signCard(owner.identity, { ...card('newer'), sequence: 3 })
  await expect(thief.publish(newer)).rejects.toMatchObject({ details: { code: 'reach.record_invalid' } })
  const forged = Uint8Array.from(newer)
  forged[forged.length - 1]! ^= 1
  await expect(owner.publish(forged)).rejects.toMatchObject({ details: { code: 'reach.record_invalid' } })
  expect(await thief.lookup(owner.identity.peerId)).toMatchObject([{ name: 'late' }])
})

test('R4: a process that lives long keeps its card fresh, through a registry that forgets and comes back, and takes its addresses along when it ends', async () => {
  const path = await folder()
  const first = await registryIn(path)
  const identity = createIdentity()
  const host = await hostOf(identity, ['/ip4/127.0.0.1/tcp/0'])
  const known = knownRegistries(join(path, 'registries.json'))
  const registration = keepRegistered(
    { identity, host, clock, log, known },
    { name: 'toy', server: parseServer(`localhost:${first.port}`), renewEveryMs: 200 },
  )
  cleanup.push(() => registration.close())
  const a = await client(first.port)
  await expect.poll(() => a.lookup('toy'), { timeout: 5_000 }).toMatchObject([{ addresses: host.addresses() }])
  await first.stop()
  for (const name of ['registry.db', 'registry.db-wal', 'registry.db-shm']) await rm(join(path, name), { force: true })
  await registryIn(path, first.port)
  const b = await client(first.port)
  await expect.poll(() => b.lookup('toy'), { timeout: 5_000 }).toMatchObject([{ addresses: host.addresses() }])
  await registration.close()
  expect(await b.lookup('toy')).toMatchObject([{ addresses: [] }])
})

test('asking again and again leaves no connection behind', async () => {
  const { port } = await registryIn(await folder())
  const known = knownRegistries(join(await folder(), 'registries.json'))
  const host = await hostOf(createIdentity())
  const connections = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
  const before = connections()
  for (let i = 0; i < 10; i++) {
    const asked = await connectRegistry({ host, clock, known }, parseServer(`127.0.0.1:${port}`))
    await asked.lookup('nobody')
    await asked.close()
  }
  await expect.poll(connections).toBe(before)
})

test('a list longer than a page comes whole', async () => {
  const { port } = await registryIn(await folder(), 0, { pageSize: 2 })
  const clients = await Promise.all(Array.from({ length: 3 }, () => client(port)))
  for (const each of clients) await each.publish(await signCard(each.identity, { ...card(), sequence: 1 }))
  expect((await clients[0]!.list()).map(({ peerId }) => peerId)).toEqual(clients.map(({ identity }) => identity.peerId).sort())
})

test('R11: a rotated or revoked key is told of in look-ups, across a restart; its card is given out no more, and no new one is taken', async () => {
  const path = await folder()
  const first = await registryIn(path)
  const [old, asker] = [await client(first.port), await client(first.port)]
  const next = await client(first.port)
  await publishCard(old, old.identity, clock, card())
  await asker.announce(await signRotation(old.identity, next.identity, clock.now())) // whoever brings it
  expect(await asker.lookup('toy')).toEqual([])
  await expect(publishCard(old, old.identity, clock, card())).rejects.toMatchObject({ details: { code: 'reach.key_rotated' } })
  await publishCard(next, next.identity, clock, card())
  await first.stop()
  const second = await registryIn(path, first.port)
  const later = await client(second.port)
  const told = [{ says: 'rotated', peerId: old.identity.peerId, next: next.identity.peerId }]
  expect(await later.find(old.identity.peerId)).toMatchObject({ peers: [], statements: told })
  expect(await later.find('toy')).toMatchObject({ peers: [{ peerId: next.identity.peerId }], statements: [] })
  await later.announce(await signRevocation(next.identity, clock.now()))
  expect(await later.statements([asker.identity.peerId, old.identity.peerId])).toHaveLength(2)
  expect(await later.list()).toEqual([])
})

describe('abuse', () => {
  test('a flood of statements, which stay for ever, is refused by address; what is asked and published is not', async () => {
    const { port } = await registryIn(await folder(), 0, { statementsPerAddress: { burst: 2, perSecond: 0.001 } })
    const greedy = await client(port)
    for (let i = 0; i < 2; i++) await greedy.announce(await signRevocation(createIdentity(), clock.now()))
    const other = await client(port)
    await expect(other.announce(await signRevocation(other.identity, clock.now()))).rejects.toMatchObject({
      details: { code: 'reach.too_often' },
    })
    await publishCard(other, other.identity, clock, card())
    expect(await greedy.lookup('toy')).toHaveLength(1)
  })

  test('ids that cost nothing do not fill the registry: first cards are taken only so often from one address, later ones of the same peers always', async () => {
    const { port } = await registryIn(await folder(), 0, { newPerAddress: { burst: 2, perSecond: 0.001 } })
    const [one, two, three] = [await client(port), await client(port), await client(port)]
    for (const each of [one, two]) await publishCard(each, each.identity, clock, card())
    await expect(publishCard(three, three.identity, clock, card())).rejects.toMatchObject({ details: { code: 'reach.too_often' } })
    for (const each of [one, two]) await publishCard(each, each.identity, clock, card('later'))
    expect(await three.lookup('later')).toHaveLength(2)
  })

  test('a flood is refused by rate, and others are served meanwhile', async () => {
    const { port } = await registryIn(await folder(), 0, { perPeer: { burst: 5, perSecond: 0.1 } })
    const greedy = await client(port)
    const modest = await client(port)
    for (let i = 0; i < 5; i++) await greedy.lookup('nobody')
    await expect(greedy.lookup('nobody')).rejects.toMatchObject({ details: { code: 'reach.too_often' } })
    expect(await modest.lookup('nobody')).toEqual([])
  })

  test('nonsense ends the stream it came on, no more: the registry goes on', async () => {
    const { port, peerId } = await registryIn(await folder())
    const good = await client(port)
    const host = await hostOf(createIdentity())
    const hostile = [
      Buffer.from([0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0, 0, 0, 2, 1, 2]),
      Buffer.from([0, 0]),
      Buffer.alloc(70_000, 0x41),
    ]
    for (const bytes of hostile) {
      const stream = await host.dial(peerId, [`/ip4/127.0.0.1/tcp/${port}`], registryProtocol)
      stream.duplex.end(bytes)
      const answers: unknown[] = []
      try {
        for await (const value of readJson(stream.duplex, maxAnswerBytes)) answers.push(value)
      } catch (error) {
        expect((error as Error).message).toMatch(/reset|ended/)
      }
      expect(answers).toEqual([])
    }
    const stream = await host.dial(peerId, [`/ip4/127.0.0.1/tcp/${port}`], registryProtocol)
    const answers = readJson(stream.duplex, maxAnswerBytes)
    for (const value of [
      null,
      [],
      7,
      {},
      { do: 'publish' },
      { do: 'publish', card: 'x' },
      { do: 'lookup', peer: 5 },
      { do: 'list', limit: -1 },
      { do: 'erase' },
    ]) {
      stream.duplex.write(jsonFrame(value))
      expect(await answers.next()).toMatchObject({
        value: { refused: { code: expect.stringMatching(/^reach\.(request|record)_invalid$/) as string } },
      })
    }
    expect(await good.lookup('nobody')).toEqual([])
  })

  test('requests and answers of any shape are read or refused, never worse', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const read of [readRequest, readAnswer]) {
          try {
            read(value)
          } catch (error) {
            expect((error as { code: string }).code).toMatch(/^reach\./)
          }
        }
      }),
    )
  })

  test('a registry that is not there is said to be so', async () => {
    const path = await folder()
    await writeFile(join(path, 'registries.json'), '{"keys":{}}')
    const host = await hostOf(createIdentity())
    const found = await connectRegistry(
      { host, clock, known: knownRegistries(join(path, 'registries.json')) },
      { host: '127.0.0.1', port: 1 },
    ).catch((error: unknown) => error)
    expect(found).toMatchObject({ code: 'reach.registry_unreachable' })
  })
})

test('a key that is revoked at another registry while its card is written here has no card here', async () => {
  const identity = createIdentity()
  const revocation = await signRevocation(identity, clock.now())
  const kv = createMemoryKv({ clock })
  const cards = kv.bucket('peer-cards')
  const create: typeof cards.create = async (key, value) => {
    await kv.bucket('key-statements').create(identity.peerId, revocation) // as the other one does at this moment
    return cards.create(key, value)
  }
  const openShared = async () => ({ ...kv, bucket: (name: string) => (name === 'peer-cards' ? { ...cards, create } : kv.bucket(name)) })
  const registry = await startRegistry({ clock, log, openShared }, { folder: await folder(), listen: ['/ip4/127.0.0.1/tcp/0'] })
  cleanup.push(() => registry.close())
  const owner = await client(Number(/\/tcp\/(\d+)/.exec(registry.addresses()[0]!)![1]), identity)
  await expect(publishCard(owner, identity, clock, card())).rejects.toMatchObject({ details: { code: 'reach.key_revoked' } })
  expect(await owner.list()).toEqual([])
})
