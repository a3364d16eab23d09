// Statements about keys: what both keys signed is believed, whoever brings it, and nothing else is.
import { describe, expect, test } from 'vitest'
import * as fc from 'fast-check'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import { signRecord } from '../../base/identity/record.ts'
import {
  type Statement,
  acceptanceContext,
  maxRotations,
  maxStatementBytes,
  openStatement,
  readStatements,
  rotationsTo,
  signRevocation,
  signRotation,
  standingAmong,
  statementContext,
  statementsFrom,
  statementsText,
} from './statement.ts'

const never = Number.MAX_SAFE_INTEGER
const [old, next, thief] = [createIdentity(), createIdentity(), createIdentity()]
const at = 1_700_000_000_000
const rotation = async (from: Identity, to: Identity, time = at): Promise<Statement> => openStatement(await signRotation(from, to, time))
const revocation = async (of: Identity): Promise<Statement> => openStatement(await signRevocation(of, at + 1))

test('a rotation and a revocation say what was signed', async () => {
  expect(await rotation(old, next)).toMatchObject({ says: 'rotated', peerId: old.peerId, next: next.peerId, at })
  expect(openStatement(await signRevocation(old, at, 'laptop stolen'))).toMatchObject({
    says: 'revoked',
    peerId: old.peerId,
    reason: 'laptop stolen',
  })
  expect((await signRotation(old, next, at)).length).toBeLessThan(maxStatementBytes)
  expect((await signRevocation(old, at, '\u{1F600}'.repeat(200))).length).toBeLessThanOrEqual(maxStatementBytes)
  for (const reason of ['', 'x'.repeat(201), 'a\nb']) await expect(signRevocation(old, at, reason)).rejects.toThrow(/visible/)
})

describe('a rotation is refused', () => {
  const accepted = (by: Identity, body: Record<string, unknown> = {}, context = acceptanceContext): Promise<Uint8Array> =>
    signRecord(by, context, { sequence: at, expiresAt: never, previous: old.peerId, ...body })
  type Body = Record<string, unknown> & { readonly accepted?: Promise<Uint8Array> | undefined }
  const made = async (by: Identity, body: Body, context = statementContext): Promise<Uint8Array> => {
    const proof = 'accepted' in body ? body.accepted : accepted(next)
    return signRecord(by, context, { sequence: at, expiresAt: never, says: 'rotated', next: next.peerId, ...body, accepted: await proof })
  }

  test('unless it is whole: this one would be taken', async () =>
    expect(openStatement(await made(old, {}))).toMatchObject({ next: next.peerId }))
  test.each<[string, Promise<Uint8Array>]>([
    ['without proof that the new key is in somebody’s hands', made(old, { accepted: undefined })],
    ['when the new key’s proof is the old key’s own', made(old, { accepted: accepted(old) })],
    ['when the proof is another key’s', made(old, { accepted: accepted(thief) })],
    ['when the proof is for the rotation of another key', made(old, { accepted: accepted(next, { previous: thief.peerId }) })],
    ['when another key signs it with the proof of this one: a swapped statement', made(thief, {})],
    ['when the proof is of another time: a replayed one', made(old, { accepted: accepted(next, { sequence: at - 1 }) })],
    ['when the proof would end', made(old, { accepted: accepted(next, { expiresAt: at + 1 }) })],
    ['when the proof was signed for another purpose', made(old, { accepted: accepted(next, {}, statementContext) })],
    ['when it was signed for another purpose', made(old, {}, acceptanceContext)],
    ['when it would end', made(old, { expiresAt: at + 1 })],
    ['when it leads to itself', made(old, { next: old.peerId, accepted: accepted(old) })],
    ['when it leads to no peer id', made(old, { next: 'somewhere' })],
    ['when it says something else', made(old, { says: 'rented' })],
    ['when it is larger than 1 KiB', made(old, { pad: 'x'.repeat(1_024) })],
  ])('%s', async (_, signed) => {
    const bytes = await signed
    expect(() => openStatement(bytes)).toThrow(/statement|record|signature/)
  })

  test('when any bit of it was changed', async () => {
    const good = await signRotation(old, next, at)
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 7 }), (place, bit) => {
        const bad = Uint8Array.from(good)
        bad[place]! ^= 1 << bit
        expect(() => openStatement(bad)).toThrow(/./)
      }),
      { numRuns: 500 },
    )
  })
  test('and so is whatever else comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1_200 }), (bytes) => {
        expect(() => openStatement(bytes)).toThrow(/./)
      }),
    )
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(readStatements(value, 4) ?? []).toEqual([])
      }),
    )
  })
})

describe('what became of a key', () => {
  const standing = ({ peerId }: Identity, statements: readonly Statement[]) => standingAmong(peerId, statements)
  test('nothing, one rotation, or several', async () => {
    const newer = createIdentity()
    expect(standing(old, [])).toEqual({ is: 'valid' })
    expect(standing(old, [await rotation(next, newer, at + 5), await rotation(old, next)])).toEqual({
      is: 'rotated',
      to: newer.peerId,
      at: at + 5,
    })
  })
  test('the first rotation counts, whatever time a later one claims', async () => {
    for (const time of [at - 1, at, at + 1])
      expect(standing(old, [await rotation(old, next), await rotation(old, thief, time)])).toMatchObject({ to: next.peerId })
  })
  test('a revocation is final and voids a rotation, known before or after', async () => {
    const orders = [
      [await rotation(old, next), await revocation(old)],
      [await revocation(old), await rotation(old, next)],
    ]
    for (const order of orders) expect(standing(old, order)).toMatchObject({ is: 'revoked', peerId: old.peerId })
    expect(standing(old, [await rotation(old, next), await revocation(next)])).toMatchObject({ is: 'revoked', peerId: next.peerId })
  })
  test('where rotations lead in a circle, or too far, no key speaks', async () => {
    expect(standing(old, [await rotation(old, next), await rotation(next, old)])).toMatchObject({ is: 'revoked' })
    const keys = Array.from({ length: maxRotations + 2 }, () => createIdentity())
    const chain = await Promise.all(keys.slice(1).map((key, i) => rotation(keys[i]!, key)))
    expect(standing(keys[1]!, chain)).toMatchObject({ is: 'rotated', to: keys.at(-1)!.peerId })
    expect(standing(keys[0]!, chain)).toMatchObject({ is: 'revoked' })
  })
  test('of many statements only those count that lead from, or to, the key in question', async () => {
    const all = [await rotation(old, next), await rotation(thief, createIdentity()), await revocation(next)]
    expect(statementsFrom([old.peerId], all)).toEqual([all[0], all[2]])
    expect(rotationsTo(next.peerId, all)).toEqual([all[0]])
    expect(rotationsTo(old.peerId, [...all, await rotation(next, old)])).toHaveLength(2) // a circle ends
    expect(readStatements(statementsText(all), 3)).toEqual(all)
    expect(readStatements(statementsText(all), 2)).toBeUndefined()
  })
})
