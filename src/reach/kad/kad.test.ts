// The distributed hash table: on a network in memory every peer is found, whoever is dead, silent or lying on the way; on real hosts the same without the node where all began.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { createPeerHost } from '../../base/peer/host/host.ts'
import { readJson, writeJson } from '../json-frames.ts'
import { type Contact, type KadAsk, kadLookup } from './lookup.ts'
import { startKadNode } from './node.ts'
import { kadAsk, kadProtocol, openSigned } from './protocol.ts'
import { type SignedCard, bucketSize, distance, kadTable, placeOf } from './table.ts'
import { knownAddresses } from '../finding/known-addresses.ts'
import { type PeerCard, signCard } from '../node/peer-card.ts'

const now = clock.now()
const never = new AbortController().signal
const identities = Array.from({ length: 120 }, (_, at) => createIdentity(Buffer.alloc(32, at + 1)))
const ids = identities.map(({ peerId }) => peerId)
const cardOf = async (at: number, sequence = 1): Promise<SignedCard> => {
  const said = { name: `n${at}`, addresses: [`/ip4/192.0.2.${at + 1}/tcp/8766`], sequence, expiresAt: now + 3_600_000 }
  return openSigned(await signCard(identities[at]!, said), now)
}
const byDistance = (target: string) => (one: string, other: string) =>
  Buffer.compare(distance(placeOf(target), placeOf(one)), distance(placeOf(target), placeOf(other)))
const cards = await Promise.all(ids.map((_, at) => cardOf(at)))

describe('a table', () => {
  test('answers with the nearest it knows, in order; is bounded for each distance, and keeps the later card', async () => {
    const table = kadTable(ids[0]!)
    for (const card of cards) table.add(card)
    expect(table.count()).toBeLessThan(cards.length) // the far half alone is more than a bucket holds
    expect(table.closest(ids[0]!, now).map(({ peerId }) => peerId)).not.toContain(ids[0])
    for (const target of ids.slice(0, 10)) {
      const found = table.closest(target, now).map(({ peerId }) => peerId)
      expect(found).toHaveLength(bucketSize)
      expect(found).toEqual([...found].sort(byDistance(target)))
    }
    const [known] = table.closest(ids[5]!, now)
    const at = ids.indexOf(known!.peerId)
    table.add(await cardOf(at, 9))
    table.add(await cardOf(at, 3))
    expect(table.closest(known!.peerId, now)[0]).toMatchObject({ peerId: known!.peerId, sequence: 9 })
    table.remove(known!.peerId)
    expect(table.closest(known!.peerId, now)[0]?.peerId).not.toBe(known!.peerId)
    expect(table.closest(ids[1]!, now + 3_600_000)).toEqual([])
    expect(table.count()).toBe(0)
  })

  test('distance is that of a metric', () => {
    const peer = fc.constantFrom(...ids)
    fc.assert(
      fc.property(peer, peer, peer, (target, one, other) => {
        const order = byDistance(target)
        expect(order(target, one)).toBeLessThanOrEqual(0)
        expect(Math.sign(order(one, other))).toBe(-Math.sign(order(other, one)) + 0)
        expect(order(one, other) === 0).toBe(one === other)
      }),
    )
  })
})

test('places and distances are those of spec/kad.md', () => {
  type Vectors = { places: { peerId: string; place: string }[]; nearest: { target: string; order: string[] }[] }
  const file = join(import.meta.dirname, '../../../spec/vectors/kad/cases.json')
  const { places, nearest } = JSON.parse(readFileSync(file, 'utf8')) as Vectors
  expect(places.length).toBeGreaterThan(3)
  for (const { peerId, place } of places) expect(placeOf(peerId).toString('hex')).toBe(place)
  for (const { target, order } of nearest) expect([...order].sort(byDistance(target))).toEqual(order)
})

describe('a lookup in a network of 120, each of which knows those who asked it', () => {
  /** Every node joins through the first, as real ones do. */
  async function network(dead: ReadonlySet<string> = new Set()) {
    const tables = new Map(ids.map((id) => [id, kadTable(id)]))
    let asked = 0
    const askAs =
      (from: number | undefined): KadAsk =>
      async ({ peerId }, target) => {
        asked++
        if (dead.has(peerId!)) throw new Error('dead')
        const found = tables.get(peerId!)!.closest(target, now)
        if (from !== undefined) {
          tables.get(peerId!)!.add(cards[from]!)
          tables.get(ids[from]!)!.add(cards[ids.indexOf(peerId!)]!)
        }
        return [cards[ids.indexOf(peerId!)]!, ...found]
      }
    const first: Contact = cards[0]!
    for (let round = 0; round < 2; round++)
      for (const [at, id] of ids.entries()) await kadLookup(askAs(at), id, [first, ...tables.get(id)!.closest(id, now)], () => {}, never)
    return {
      askAs,
      asked: () => asked,
      async find(target: string, seeds: readonly Contact[], ask: KadAsk = askAs(undefined)) {
        const found: PeerCard[] = []
        asked = 0
        const answered = await kadLookup(ask, target, seeds, (card) => found.push(card), never)
        return { found, answered, asked }
      },
    }
  }

  test('finds everybody, with fewer questions than there are peers', async () => {
    const net = await network()
    for (const [at, target] of ids.entries()) {
      const { found, asked } = await net.find(target, [cards[(at * 7 + 3) % ids.length]!])
      expect(found.map(({ peerId }) => peerId)).toEqual([target])
      expect(asked).toBeLessThanOrEqual(64)
    }
  })

  test('finds those who live when the first node and every third one are gone; and ends when nobody is left', async () => {
    const dead = new Set<string>()
    const net = await network(dead)
    for (let at = 0; at < ids.length; at += 3) dead.add(ids[at]!)
    for (let at = 1; at < ids.length; at += 3) expect((await net.find(ids[at]!, [cards[(at + 4) % ids.length]!])).found).toHaveLength(1)
    for (const id of ids) dead.add(id)
    expect(await net.find(ids[1]!, cards.slice(2, 40))).toMatchObject({ found: [], answered: [] })
  })

  test('is bounded, whatever is answered: endless strangers, other cards, nothing', async () => {
    let asked = 0
    const flood: KadAsk = async () => {
      asked++
      const stranger = async (): Promise<SignedCard> => {
        const identity = createIdentity()
        const said = { name: 'x', addresses: ['/ip4/192.0.2.1/tcp/1'], sequence: 1, expiresAt: now + 1_000_000 }
        return openSigned(await signCard(identity, said), now)
      }
      return Promise.all(Array.from({ length: 21 }, stranger))
    }
    const found: unknown[] = []
    await kadLookup(flood, ids[0]!, [cards[1]!], (card) => found.push(card), never)
    expect(found).toEqual([])
    expect(asked).toBeLessThanOrEqual(64)
  })

  test('hands on a later card of the target, and an earlier one no more', async () => {
    const answers: KadAsk = async ({ peerId }) =>
      peerId === ids[1] ? [await cardOf(0, 5)] : peerId === ids[2] ? [await cardOf(0, 4)] : [await cardOf(0, 7)]
    const found: PeerCard[] = []
    await kadLookup(answers, ids[0]!, [cards[1]!, cards[2]!, cards[3]!], (card) => found.push(card), never)
    const sequences = found.map(({ sequence }) => sequence)
    expect(sequences).toEqual([...sequences].sort())
    expect(sequences.at(-1)).toBe(7)
  })
})

describe('on real hosts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-kad-'))
  let files = 0
  async function node(bootstrap: readonly Contact[] = []) {
    const identity = createIdentity()
    const host = await createPeerHost({ identity, clock, log }, { listen: ['/ip4/127.0.0.1/tcp/0'] })
    const nodes = knownAddresses(join(folder, String(++files)))
    const kad = startKadNode({ identity, host, nodes, clock, log }, { name: 'node', bootstrap })
    const close = async (): Promise<void> => {
      await kad.close()
      await host.close()
    }
    onTestFinished(close)
    return { identity, host, nodes, close, contact: { peerId: host.peerId, addresses: host.addresses() } }
  }
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('what is no question, a card of somebody else, or too much is not taken, and the node goes on', { timeout: 60_000 }, async () => {
    const first = await node()
    const second = await node([first.contact])
    await expect.poll(() => second.nodes.count(), { timeout: 20_000 }).toBe(1)
    const stranger = await createPeerHost({ identity: createIdentity(), clock, log }, { listen: [] })
    onTestFinished(() => stranger.close())
    const say = async (value: unknown): Promise<unknown> => {
      const stream = await stranger.dial(first.host.peerId, first.host.addresses(), kadProtocol)
      await writeJson(stream.duplex, value)
      const { value: answer } = await readJson(stream.duplex, 1 << 20).next()
      return answer
    }
    for (const bad of [null, 7, {}, { find: 'x' }, { find: first.host.peerId, card: 7 }, { find: first.host.peerId, card: '!' }])
      expect(await say(bad).catch(() => undefined)).toBeUndefined()
    const forged = Buffer.from(cards[3]!.signed).toString('base64url')
    await say({ find: first.host.peerId, card: forged })
    const { cards: told } = (await say({ find: ids[3] })) as { cards: string[] }
    const known = told.map((card) => openSigned(Buffer.from(card, 'base64url'), clock.now()).peerId)
    expect(known.sort()).toEqual([first.host.peerId, second.host.peerId].sort())
  })

  test('six nodes find each other after the one where all began has gone', { timeout: 120_000 }, async () => {
    const first = await node()
    const others: Awaited<ReturnType<typeof node>>[] = []
    for (let at = 0; at < 6; at++) others.push(await node([first.contact]))
    const seeker = await createPeerHost({ identity: createIdentity(), clock, log }, { listen: [] })
    onTestFinished(() => seeker.close())
    const find = async (target: string, seed: Contact): Promise<number> => {
      const found: PeerCard[] = []
      await kadLookup(kadAsk({ host: seeker, clock }), target, [seed], (card) => found.push(card), never)
      return found.length
    }
    for (const other of others) await expect.poll(() => find(other.host.peerId, first.contact), { timeout: 30_000 }).toBeGreaterThan(0)
    await expect.poll(() => others.every(({ nodes }) => nodes.count() >= 2), { timeout: 30_000 }).toBe(true)
    await first.close()
    for (const [at, other] of others.entries()) expect(await find(other.host.peerId, others[(at + 1) % 6]!.contact)).toBeGreaterThan(0)
  })
})
