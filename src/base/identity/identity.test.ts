// Proves that our own peer ids and keys are libp2p's, and that signatures hold.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createIdentity, isPeerId, peerIdOf, publicKeyOf, verify } from './identity.ts'

const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 })

test('the test vector of RFC 8032 gives its public key and signature', async () => {
  const identity = createIdentity(Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex'))
  expect(Buffer.from(identity.publicKey).toString('hex')).toBe('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')
  const signature = Buffer.from(await identity.sign(Buffer.from('72', 'hex'))).toString('hex')
  expect(signature).toBe(
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  )
})

test('a peer id is the one that libp2p makes of the same key', async () => {
  const { privateKeyFromRaw } = await import('@libp2p/crypto/keys')
  const { peerIdFromPrivateKey } = await import('@libp2p/peer-id')
  fc.assert(
    fc.property(seeds, (seed) => {
      const identity = createIdentity(seed)
      const theirs = peerIdFromPrivateKey(privateKeyFromRaw(Buffer.concat([seed, identity.publicKey])))
      expect(identity.peerId).toBe(theirs.toString())
      expect(identity.peerId).toMatch(/^12D3KooW/)
      expect(publicKeyOf(identity.peerId)).toEqual(identity.publicKey)
    }),
    { numRuns: 50 },
  )
})

test('what is no peer id is refused', () => {
  const { peerId } = createIdentity()
  for (const text of [
    '',
    'x',
    peerId.slice(1),
    `${peerId}1`,
    `1${peerId.slice(0, -1)}`,
    peerId.replace('12D3', '12D4'),
    peerId.replace(/.$/, '0'),
    'Qm'.padEnd(52, 'a'),
  ]) {
    expect(() => publicKeyOf(text)).toThrowError(expect.objectContaining({ code: 'identity.bad_peer_id' }))
    expect(isPeerId(text)).toBe(false)
  }
  fc.assert(fc.property(fc.string({ maxLength: 80 }), (text) => void isPeerId(text)))
  expect(() => peerIdOf(new Uint8Array(31))).toThrowError(expect.objectContaining({ code: 'identity.bad_key' }))
})

test('a signature holds for its key and bytes only', async () => {
  await fc.assert(
    fc.asyncProperty(seeds, fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), async (seed, bytes, at) => {
      const identity = createIdentity(seed)
      const signature = await identity.sign(bytes)
      expect(verify(identity.publicKey, bytes, signature)).toBe(true)
      const other = Uint8Array.from(bytes)
      other[at % other.length]! ^= 1
      expect(verify(identity.publicKey, other, signature)).toBe(false)
      expect(verify(createIdentity().publicKey, bytes, signature)).toBe(false)
    }),
    { numRuns: 50 },
  )
  expect(verify(new Uint8Array(32), new Uint8Array(1), new Uint8Array(63))).toBe(false)
})

test('an identity prints and serializes without its key', async () => {
  const { inspect } = await import('node:util')
  const identity = createIdentity()
  const key = Buffer.from(identity.privateKeyRaw)
  const shown = inspect(identity, { depth: 9, showHidden: true }) + JSON.stringify({ identity })
  expect(shown).toContain(identity.peerId)
  for (const form of [key.toString('hex'), key.toString('base64url'), key.toString('base64'), [...key].join(', ')])
    expect(shown).not.toContain(form)
})
