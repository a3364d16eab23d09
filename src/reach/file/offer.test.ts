// The language-neutral cases of spec/vectors/files, and what must hold of every offer.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fault } from '../../kernel/fault.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { safeName } from '../../base/transfer/name.ts'
import { type Offer, openFileReceipt, openOffer, signFileReceipt, signOffer } from './offer.ts'
import { readFileAnswer, readOffer } from './protocol.ts'
import { progressText } from './progress.ts'
import { digestOf, judgeMessage } from '../message/message.ts'

type Case = { name: string; now?: number; says?: object; refused?: string }
type Vectors = {
  keys: Record<'alice' | 'bob' | 'eve', { seed: string; peerId: string }>
  now: number
  own: string
  peer: string
  offer: { signed: string; digest: string }
  offers: (Case & { signed: string })[]
  receipts: (Case & { receipt: string })[]
  names: { offered: string; stored: string }[]
}
const vectors = JSON.parse(readFileSync(join(import.meta.dirname, '../../../spec/vectors/files/cases.json'), 'utf8')) as Vectors
const { keys, own, peer, now, offer } = vectors
const bytesOf = (text: string): Buffer => Buffer.from(text, 'base64url')
const [alice, bob] = [createIdentity(Buffer.from(keys.alice.seed, 'hex')), createIdentity(Buffer.from(keys.bob.seed, 'hex'))]
const attempt = (act: () => unknown): unknown => {
  try {
    return { says: act() }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { refused: error.code }
  }
}
const expected = ({ says, refused }: Case): object => (refused === undefined ? { says } : { refused })

test.each(vectors.offers)('an offer: $name', (wanted) => {
  const read = (): unknown => {
    const opened = openOffer(bytesOf(wanted.signed))
    judgeMessage(opened, { own, peer, now: wanted.now ?? now })
    return opened
  }
  expect(attempt(read)).toEqual(expected(wanted))
})

test.each(vectors.receipts)('a receipt: $name', (wanted) => {
  expect(attempt(() => openFileReceipt(bytesOf(wanted.receipt), bytesOf(offer.signed)))).toEqual(expected(wanted))
})

test('what we sign is what the cases hold', async () => {
  expect(Buffer.from(await signOffer(alice, openOffer(bytesOf(offer.signed)), now)).toString('base64url')).toBe(offer.signed)
  expect(digestOf(bytesOf(offer.signed))).toBe(offer.digest)
  const receipt = await signFileReceipt(bob, openOffer(bytesOf(offer.signed)), bytesOf(offer.signed), now + 5)
  expect(Buffer.from(receipt).toString('base64url')).toBe(vectors.receipts[0]!.receipt)
})

test.each(vectors.names)('the name $offered is stored as $stored', ({ offered, stored }) => expect(safeName(offered)).toBe(stored))

test('any name and size that can be offered is read as it was signed', async () => {
  const facts = fc.record({
    name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }).filter((name) => Buffer.byteLength(name) <= 1_024),
    sizeBytes: fc.maxSafeNat(),
    sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
  })
  await fc.assert(
    fc.asyncProperty(facts, async (facts) => {
      const whole: Offer = { from: alice.peerId, sentAt: now, to: bob.peerId, id: openOffer(bytesOf(offer.signed)).id, ...facts }
      expect(openOffer(await signOffer(alice, whole, now))).toEqual(whole)
    }),
    { numRuns: 50 },
  )
})

test('what is no offer and no answer is said to be none', () => {
  const known = /^reach\.(?:offer_invalid|receipt_invalid)$/
  const of = (act: () => unknown): void => {
    const found = attempt(act) as { refused?: string }
    if (found.refused !== undefined) expect(found.refused).toMatch(known)
  }
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.record({ held: fc.jsonValue(), offer: fc.jsonValue(), receipt: fc.jsonValue() })), (value) => {
      of(() => openOffer(readOffer(value)))
      of(() => readFileAnswer(bob.peerId, 100, value))
    }),
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 4_000 }), (bytes) => of(() => openOffer(bytes))))
})

test('progress: share, amount, rate, time left', () => {
  expect(progressText('a\u001b[2J.bin', 90 << 20, 200 << 20, 10 << 20)).toBe(
    'a\\u{1b}[2J.bin  45 %  90.0 MiB of 200 MiB  10.0 MiB/s  11 s left',
  )
  expect(progressText('a', 5, 10, 0)).toBe('a  50 %  5 B of 10 B  0 B/s  waiting')
  expect(progressText('a', 0, 0, undefined)).toBe('a  100 %  0 B of 0 B')
})
