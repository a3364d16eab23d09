// The digest of arguments: as the specification says, by other means than ours.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Secret } from '../../kernel/secret.ts'
import { argumentDigests, argumentSalt } from './argument.ts'

test("the arguments' digest can be shown for one entry without telling of another", () => {
  const digest = argumentDigests(new Secret('ledger secret'))
  const bytes = Buffer.from('{"pin":1234}')
  expect(digest(7, bytes)).toMatch(/^[\w-]{43}$/)
  expect(digest(7, bytes)).not.toBe(digest(8, bytes))
  expect(argumentSalt(new Secret('ledger secret'), 7)).not.toEqual(argumentSalt(new Secret('another'), 7))
})

test('is SHA-256 of the salt and the bytes, whatever the lengths of the secret, the number and the bytes', () => {
  const lengths = fc.oneof(fc.nat({ max: 200 }), fc.integer({ min: 4_050, max: 4_150 }))
  fc.assert(
    fc.property(fc.string({ maxLength: 150 }), fc.array(fc.tuple(fc.maxSafeNat(), lengths), { maxLength: 5 }), (text, calls) => {
      const secret = new Secret(text)
      const digest = argumentDigests(secret) // one for all: nothing of a call may be left in the next
      for (const [seq, length] of calls) {
        const bytes = Buffer.alloc(length, `${seq}`)
        expect(digest(seq, bytes)).toBe(createHash('sha256').update(argumentSalt(secret, seq)).update(bytes).digest('base64url'))
      }
    }),
  )
})
