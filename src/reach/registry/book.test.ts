// The rules for records, against a bucket in memory: whose, how late, how long, how many; and that they survive what a registry goes through.
import { describe, expect, test } from 'vitest'
import * as fc from 'fast-check'
import type { Clock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import { signRecord } from '../../base/identity/record.ts'
import type { Bucket, Change } from '../../base/kv/kv.ts'
import { createMemoryKv } from '../../base/kv/memory.ts'
import { cardContext, openCard, signCard } from '../node/peer-card.ts'
import { openRegistryBook } from './book.ts'

const hour = 3_600_000

function setClock(start = 1_700_000_000_000): Clock & { at: number } {
  const clock = { at: start, now: () => clock.at, mono: () => clock.at - start, after: () => () => {}, wait: () => Promise.resolve() }
  return clock
}

async function bench(maxRecords = 10) {
  const clock = setClock()
  const kv = createMemoryKv({ clock })
  const open = () => openRegistryBook({ bucket: kv.bucket('cards'), clock, log: silentLog }, { maxRecords })
  return { clock, kv, open, book: await open() }
}

const owner = createIdentity()
const card = (clock: Clock, more: Partial<Parameters<typeof signCard>[1]> = {}, identity: Identity = owner): Promise<Uint8Array> =>
  signCard(identity, { name: 'toy', addresses: ['/ip4/192.0.2.1/tcp/8766'], sequence: clock.now(), expiresAt: clock.now() + hour, ...more })

describe('a record is taken', () => {
  test('from its owner, and found by id, by the beginning of the id and by name', async () => {
    const { clock, book } = await bench()
    await book.publish(owner.peerId, await card(clock))
    for (const text of [owner.peerId, owner.peerId.slice(0, 14), 'toy'])
      expect(book.lookup(text, 9).map((entry) => entry.card.peerId)).toEqual([owner.peerId])
    expect(book.lookup('12D3KooW', 9)).toEqual([])
    expect(book.lookup('to', 9)).toEqual([])
  })

  test('again, byte for byte, without complaint; a later one replaces it', async () => {
    const { clock, book } = await bench()
    const first = await card(clock)
    await book.publish(owner.peerId, first)
    await book.publish(owner.peerId, first)
    await book.publish(owner.peerId, await card(clock, { sequence: clock.now() + 1, name: 'newer' }))
    expect(book.lookup(owner.peerId, 1)[0]!.card.name).toBe('newer')
    expect(book.lookup('toy', 1)).toEqual([])
  })
})

describe('a record is refused', () => {
  const refused = async (make: (clock: Clock) => Promise<Uint8Array>, code: string, from = owner.peerId) => {
    const { clock, book } = await bench()
    await expect(book.publish(from, await make(clock))).rejects.toMatchObject({ code })
    expect(book.list(undefined, 9)).toEqual([])
  }
  test('when another key sends it, though the owner signed it', () =>
    refused((clock) => card(clock), 'reach.record_invalid', createIdentity().peerId))
  test('when it has ended', () => refused((clock) => card(clock, { expiresAt: clock.now() - 1 }), 'reach.record_invalid'))
  test('when it would last for more than a day', () =>
    refused((clock) => card(clock, { expiresAt: clock.now() + 26 * hour }), 'reach.record_invalid'))
  test('when it was signed for another purpose', () =>
    refused(
      (clock) => signRecord(owner, 'fairlead/grant/1', { sequence: 1, expiresAt: clock.now() + hour, name: 'toy', addresses: [] }),
      'reach.record_invalid',
    ))
  test('when it is larger than 4 KiB', () =>
    refused(
      (clock) =>
        signRecord(owner, cardContext, { sequence: 1, expiresAt: clock.now() + hour, name: 'toy', addresses: [], pad: 'x'.repeat(4_096) }),
      'reach.record_invalid',
    ))

  test('when any bit of it was changed', async () => {
    const { clock, book } = await bench()
    const good = await card(clock)
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 0, max: 7 }), async (at, bit) => {
        const bad = Uint8Array.from(good)
        bad[at]! ^= 1 << bit
        await expect(book.publish(owner.peerId, bad)).rejects.toMatchObject({ code: 'reach.record_invalid' })
      }),
      { numRuns: 300 },
    )
  })

  test('when a later one is known, even after that one has ended', async () => {
    const { clock, book, open } = await bench(1)
    const old = await card(clock, { expiresAt: clock.now() + 20 * hour })
    await book.publish(owner.peerId, old)
    clock.at += 1_000
    await book.publish(owner.peerId, await card(clock, { expiresAt: clock.now() + hour }))
    await expect(book.publish(owner.peerId, old)).rejects.toMatchObject({ code: 'reach.record_too_old', details: { known: clock.now() } })
    clock.at += 2 * hour
    expect(book.list(undefined, 9)).toEqual([])
    const other = createIdentity() // there is no room for it while the owner's sequence must be remembered
    await expect(book.publish(other.peerId, await card(clock, {}, other))).rejects.toMatchObject({ code: 'reach.registry_full' })
    await expect((await open()).publish(owner.peerId, old)).rejects.toMatchObject({ code: 'reach.record_too_old' })
    clock.at += 20 * hour
    await book.publish(other.peerId, await card(clock, {}, other))
  })

  test('when there are as many as there may be, until some have ended', async () => {
    const { clock, book } = await bench(3)
    const others = Array.from({ length: 4 }, () => createIdentity())
    for (const other of others.slice(0, 3)) await book.publish(other.peerId, await card(clock, {}, other))
    await expect(book.publish(others[3]!.peerId, await card(clock, {}, others[3]))).rejects.toMatchObject({ code: 'reach.registry_full' })
    await book.publish(others[0]!.peerId, await card(clock, { sequence: clock.now() + 1 }, others[0])) // those who are in may go on
    clock.at += 2 * hour
    await book.publish(others[3]!.peerId, await card(clock, {}, others[3]))
    expect(book.list(undefined, 9)).toHaveLength(1)
  })
})

test('records are there after a restart, those of two registries on one bucket are seen by both, and damage to one harms no other', async () => {
  const { clock, kv, book, open } = await bench()
  await book.publish(owner.peerId, await card(clock))
  const foreign = createIdentity()
  await kv.bucket('cards').create(foreign.peerId, Buffer.from('nonsense'))
  await kv
    .bucket('cards')
    .create(
      createIdentity().peerId,
      Buffer.from(JSON.stringify({ card: Buffer.from(await card(clock)).toString('base64url'), cameAt: 0, forgetAt: 0 })),
    )
  const second = await open()
  expect(second.list(undefined, 9).map((entry) => entry.card.peerId)).toEqual([owner.peerId])
  const third = createIdentity()
  await book.publish(third.peerId, await card(clock, { name: 'third' }, third))
  await expect.poll(() => second.lookup('third', 9)).toHaveLength(1)
  await Promise.all(
    [book, second].map(async (each, i) =>
      each.publish(owner.peerId, await card(clock, { sequence: clock.now() + 10 + i })).catch(() => {}),
    ),
  )
  await second.publish(owner.peerId, await card(clock, { sequence: clock.now() + 100, name: 'late' }))
  await expect.poll(() => book.lookup(owner.peerId, 1)[0]?.card.name).toBe('late')
})

test('pages follow each other by id', async () => {
  const { clock, book } = await bench(50)
  const ids = Array.from({ length: 9 }, () => createIdentity())
  for (const id of ids) await book.publish(id.peerId, await card(clock, {}, id))
  const first = book.list(undefined, 4)
  const rest = book.list(first.at(-1)!.card.peerId, 9)
  expect([...first, ...rest].map((entry) => entry.card.peerId)).toEqual(ids.map(({ peerId }) => peerId).sort())
})

test('a card says what it said, and nothing that is no name or address gets in', async () => {
  const now = 1_700_000_000_000
  const said = { name: 'Größe 7', addresses: ['/ip4/192.0.2.1/tcp/8766', '/dns/example.org/tcp/1'], sequence: 7, expiresAt: now + 1 }
  expect(openCard(await signCard(owner, said), now)).toEqual({ ...said, peerId: owner.peerId })
  const wrong = [
    { name: '' },
    { name: 'a\u0007b' },
    { name: 'x'.repeat(65) },
    { addresses: ['nowhere'] },
    { addresses: ['/ip4/\u001b[31m/tcp/1'] },
    { addresses: Array<string>(17).fill('/ip4/192.0.2.1/tcp/1') },
  ]
  for (const change of wrong) {
    await expect(signCard(owner, { ...said, ...change })).rejects.toThrow(/not a peer card/)
    const forged = await signRecord(owner, cardContext, { ...said, ...change })
    expect(() => openCard(forged, now)).toThrow(/not a peer card/)
  }
})

test('a card that another registry wrote, and of which this one has not heard yet, is removed all the same', async () => {
  const { clock, kv, book } = await bench()
  const bucket = kv.bucket('cards')
  const silent = { ...bucket, watch: scripted([{ is: 'ready' }]) }
  const deaf = await openRegistryBook({ bucket: silent, clock, log: silentLog })
  await book.publish(owner.peerId, await card(clock))
  await deaf.remove(owner.peerId)
  expect(await bucket.get(owner.peerId)).toBeUndefined()
})

test('after missed changes all is answered from what was known, until what is there has been told', async () => {
  const { clock, kv, book } = await bench()
  const other = createIdentity()
  await book.publish(owner.peerId, await card(clock))
  await book.publish(other.peerId, await card(clock, { name: 'other' }, other))
  const bucket = kv.bucket('cards')
  const [first, second] = await Promise.all([owner, other].map(async ({ peerId }) => (await bucket.get(peerId))!))
  const set = (entry: typeof first): Change => ({ is: 'set', entry: entry! })
  const told = Promise.withResolvers<Change>()
  const script = [set(first), set(second), { is: 'ready' }, { is: 'reset' }, set(first), told.promise] as const
  const resumed = await openRegistryBook({ bucket: { ...bucket, watch: scripted(script) }, clock, log: silentLog })
  await new Promise(setImmediate)
  const names = () => resumed.list(undefined, 9).map((entry) => entry.card.name).sort() // prettier-ignore
  expect(names()).toEqual(['other', 'toy'])
  told.resolve({ is: 'ready' })
  await expect.poll(names).toEqual(['toy'])
})

/** A watch that tells these changes, and no more. */
function scripted(changes: readonly (Change | Promise<Change>)[]): Bucket['watch'] {
  return async function* () {
    for (const change of changes) yield await change
    await new Promise(() => {})
  }
}
