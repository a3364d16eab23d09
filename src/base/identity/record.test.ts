// Proves that a record opens only as what was signed, and that no bytes from outside do more than a fault.
import { decode, encode } from 'cborg'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fault } from '../../kernel/fault.ts'
import { createIdentity } from './identity.ts'
import { type RecordBody, maxRecordBytes, openRecord, signRecord } from './record.ts'

const identity = createIdentity(new Uint8Array(32).fill(7))
const context = 'fairlead/test/1'
const good = { sequence: 3, expiresAt: 2_000, name: 'Zoë', addresses: ['/ip4/127.0.0.1/tcp/1'], raw: Uint8Array.of(1, 2) }
const codeOf = (error: unknown): string => {
  if (error instanceof Fault) return error.code
  throw error
}
const faultOf = (act: () => unknown): string => {
  try {
    act()
    return 'opened'
  } catch (error) {
    return codeOf(error)
  }
}
const refusalOf = (body: object): Promise<string> => signRecord(identity, context, body as RecordBody).then(() => 'signed', codeOf)

test('a record opens as it was signed, and says who signed it', async () => {
  const { signer, body } = openRecord(context, await signRecord(identity, context, good), 1_999)
  expect(signer).toBe(identity.peerId)
  expect(body).toEqual(good)
})

test('it is a COSE_Sign1 message: tag 18, four parts, EdDSA and the key in the protected header; the same body gives the same bytes', async () => {
  const bytes = await signRecord(identity, context, good)
  const { addresses, raw, name, expiresAt, sequence } = good
  expect(await signRecord(identity, context, { raw, name, sequence, expiresAt, addresses })).toEqual(bytes)
  let parts: unknown
  decode(bytes, { tags: { 18: (read) => (parts = read()) }, useMaps: true })
  const [header, loose, , signature] = parts as [Uint8Array, Map<unknown, unknown>, Uint8Array, Uint8Array]
  expect(decode(header, { useMaps: true })).toEqual(
    new Map<number, unknown>([
      [1, -8],
      [4, identity.publicKey],
    ]),
  )
  expect(loose.size).toBe(0)
  expect(signature.length).toBe(64)
})

test('another purpose, another key, a late reader and a bad body are each told apart', async () => {
  const bytes = await signRecord(identity, context, good)
  expect(faultOf(() => openRecord('fairlead/other/1', bytes, 0))).toBe('record.bad_signature')
  expect(faultOf(() => openRecord(context, bytes, 2_000))).toBe('record.expired')
  const key = Buffer.from(bytes).indexOf(identity.publicKey)
  const stolen = Buffer.concat([bytes.subarray(0, key), createIdentity().publicKey, bytes.subarray(key + 32)])
  expect(faultOf(() => openRecord(context, stolen, 0))).toBe('record.bad_signature')
  expect(faultOf(() => openRecord(context, new Uint8Array(maxRecordBytes + 1), 0))).toBe('record.too_large')
  for (const body of [
    { sequence: -1, expiresAt: 1 },
    { sequence: 0.5, expiresAt: 1 },
    { sequence: 1, expiresAt: Number.NaN },
    { sequence: 1 },
    [],
  ]) {
    expect(await refusalOf(body)).toBe('record.malformed')
  }
  expect(await refusalOf({ ...good, pad: 'x'.repeat(maxRecordBytes) })).toBe('record.too_large')
})

test('a body nested beyond reason is refused, not followed', async () => {
  let deep: unknown = 1
  for (let level = 0; level < 40; level++) deep = [deep]
  const bytes = await signRecord(identity, context, { sequence: 1, expiresAt: 2_000, deep })
  expect(faultOf(() => openRecord(context, bytes, 0))).toBe('record.malformed')
  const bomb = Buffer.concat([Buffer.from([0xd2]), Buffer.alloc(60_000, 0x81)])
  expect(faultOf(() => openRecord(context, bomb, 0))).toBe('record.malformed')
})

test('random bytes never do more than a fault', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => faultOf(() => openRecord(context, bytes, 0)) !== 'opened'),
    { numRuns: 2_000 },
  )
  fc.assert(
    fc.property(fc.anything({ withBigInt: false, withDate: false, withMap: false, withSet: false, maxDepth: 3 }), (value) => {
      let inner: Uint8Array
      try {
        inner = encode(value)
      } catch {
        return true // what CBOR cannot say
      }
      return faultOf(() => openRecord(context, Buffer.concat([Buffer.from([0xd2]), inner]), 0)) !== 'opened'
    }),
    { numRuns: 1_000 },
  )
})

test('a changed record never opens: every mutation of a good one is a fault', async () => {
  const bytes = await signRecord(identity, context, good)
  fc.assert(
    fc.property(
      fc.nat(bytes.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.nat(3),
      fc.uint8Array({ maxLength: 4 }),
      (at, flip, cut, more) => {
        const changed = Buffer.from(bytes)
        changed[at]! ^= flip
        expect(faultOf(() => openRecord(context, changed, 0))).not.toBe('opened')
        expect(faultOf(() => openRecord(context, Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at + 1 + cut)]), 0))).toSatisfy(
          (outcome: string) => outcome !== 'opened' || (more.length === 1 && cut === 0 && more[0] === bytes[at]),
        )
      },
    ),
    { numRuns: 1_000 },
  )
})
