// The registry's rules for statements about keys, against a bucket in memory: what is kept, what is refused, and what comes out.
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { createMemoryKv } from '../../base/kv/memory.ts'
import { registryStatements } from './statements.ts'
import { maxRotations, signRevocation, signRotation } from '../succession/statement.ts'

const now = 1_700_000_000_000
const clock: Clock = { now: () => now, mono: () => 0, after: () => () => {}, wait: () => Promise.resolve() }
function bench() {
  const bucket = createMemoryKv({ clock }).bucket('statements')
  const open = () => registryStatements({ bucket, clock, log })
  return { open, book: open() }
}
const [old, next, newer, thief] = [createIdentity(), createIdentity(), createIdentity(), createIdentity()]

test('a chain is followed, from each of its keys, after a restart too; the same statement once more is no error', async () => {
  const { book, open } = bench()
  const [first, second] = [await signRotation(old, next, now), await signRotation(next, newer, now + 1)]
  for (const bytes of [second, first, first]) await book.announce(bytes)
  for (const each of [book, open()]) {
    expect((await each.about([old.peerId], 9)).map(({ signed }) => signed)).toEqual([first, second])
    expect((await each.about([next.peerId, thief.peerId], 9)).map(({ signed }) => signed)).toEqual([second])
    await expect(each.mustSpeak(old.peerId)).rejects.toMatchObject({ code: 'reach.key_rotated' })
    await each.mustSpeak(newer.peerId)
  }
})

test('revocations come first, so that they are not what is left out', async () => {
  const { book } = bench()
  await book.announce(await signRotation(old, next, now))
  await book.announce(await signRevocation(next, now))
  expect((await book.about([old.peerId], 1)).map(({ says }) => says)).toEqual(['revoked'])
})

describe('refused is', () => {
  const refused = async (before: readonly Uint8Array[], bytes: Uint8Array, code: string) => {
    const { book } = bench()
    for (const one of before) await book.announce(one)
    const known = await book.about([old.peerId, next.peerId, thief.peerId], 9)
    await expect(book.announce(bytes)).rejects.toMatchObject({ code })
    expect(await book.about([old.peerId, next.peerId, thief.peerId], 9)).toEqual(known)
  }
  test.each([now - 1, now, now + 1])('a second rotation of a key, at %d', async (at) =>
    refused([await signRotation(old, next, now)], await signRotation(old, thief, at), 'reach.key_rotated'),
  )
  test('a rotation of a revoked key, the one of before as well', async () => {
    const [rotation, revocation] = [await signRotation(old, next, now), await signRevocation(old, now)]
    await refused([revocation], rotation, 'reach.key_revoked')
    await refused([rotation, revocation], rotation, 'reach.key_revoked')
  })
  test('a rotation to a revoked key', async () =>
    refused([await signRevocation(next, now)], await signRotation(old, next, now), 'reach.record_invalid'))
  test('a circle', async () =>
    refused(
      [await signRotation(old, next, now), await signRotation(next, newer, now)],
      await signRotation(newer, old, now),
      'reach.record_invalid',
    ))
  test('a time that is still to come', async () => refused([], await signRevocation(old, now + 61_000), 'reach.record_invalid'))
  test('what is no statement', () => refused([], Buffer.from('nonsense'), 'reach.record_invalid'))
  test('more rotations in a row than anybody follows', async () => {
    const { book } = bench()
    const keys = Array.from({ length: maxRotations + 2 }, () => createIdentity())
    for (let at = maxRotations; at > 0; at--) await book.announce(await signRotation(keys[at]!, keys[at + 1]!, now))
    await expect(book.announce(await signRotation(keys[0]!, keys[1]!, now))).rejects.toMatchObject({ code: 'reach.record_invalid' })
  })
})

test('a revocation is final: a second one is no error, and changes nothing', async () => {
  const { book } = bench()
  await book.announce(await signRevocation(old, now, 'stolen'))
  await book.announce(await signRevocation(old, now + 1, 'found again'))
  expect(await book.about([old.peerId], 9)).toMatchObject([{ says: 'revoked', reason: 'stolen' }])
  await expect(book.mustSpeak(old.peerId)).rejects.toMatchObject({ code: 'reach.key_revoked' })
})

test('of two rotations that come at once through two registries, one stays', async () => {
  const { book, open } = bench()
  const other = open()
  const ends = await Promise.allSettled([
    book.announce(await signRotation(old, next, now)),
    other.announce(await signRotation(old, thief, now)),
  ])
  expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(await book.about([old.peerId], 9)).toEqual(await other.about([old.peerId], 9))
})
