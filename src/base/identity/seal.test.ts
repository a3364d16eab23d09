// What is sealed to a peer opens with its key and no other, here and with age itself.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { bech32 } from './bech32.ts'
import { createIdentity, peerIdOf } from './identity.ts'
import { ageRecipientOf, ageSecretOf, seal, sealOverheadBytes, unseal } from './seal.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-seal-'))
afterAll(() => rmSync(folder, { recursive: true }))
const bob = createIdentity()
const content = Buffer.from('the third oak')
const hasAge = spawnSync('age', ['--version']).status === 0

test('bech32 writes what BIP 173 gives as valid', () => {
  const bytes = Buffer.from('00443214c74254b635cf84653a56d7c675be77df', 'hex')
  expect(bech32('abcdef', bytes)).toBe('abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw')
})

test('any content comes out as it went in, and sealing adds as much as it says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (bytes) => {
      const identity = createIdentity()
      const sealed = await seal(identity.peerId, bytes)
      expect(sealed.length).toBe(bytes.length + sealOverheadBytes)
      expect(Buffer.from(await unseal(identity, sealed))).toEqual(Buffer.from(bytes))
    }),
    { numRuns: 50 },
  )
})

test('nobody else opens it, and changed anywhere it does not open', async () => {
  const sealed = await seal(bob.peerId, content)
  await expect(unseal(createIdentity(), sealed)).rejects.toMatchObject({ code: 'seal.not_opened' })
  await fc.assert(
    fc.asyncProperty(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const changed = Uint8Array.from(sealed)
      changed[at]! ^= flip
      await expect(unseal(bob, changed)).rejects.toMatchObject({ code: 'seal.not_opened' })
    }),
    { numRuns: 200 },
  )
  await expect(unseal(bob, sealed.subarray(0, -1))).rejects.toMatchObject({ code: 'seal.not_opened' })
})

test('bytes of any kind are refused, never worse', async () => {
  const starts = ['', 'age-encryption.org/v1\n', 'age-encryption.org/v1\n-> X25519 ', 'age-encryption.org/v1\n-> scrypt AAAA 30\n']
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 300 }), async (start, rest) => {
      await expect(unseal(bob, Buffer.concat([Buffer.from(start), rest]))).rejects.toMatchObject({ code: 'seal.not_opened' })
    }),
    { numRuns: 300 },
  )
})

test('nothing is sealed to a key that everybody knows the secret of', async () => {
  const points = [
    '01'.padEnd(64, '0'),
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '00'.repeat(32),
    'ff'.repeat(32),
  ]
  for (const hex of points) await expect(seal(peerIdOf(Buffer.from(hex, 'hex')), content)).rejects.toMatchObject({ code: 'seal.weak_key' })
})

describe('age itself', () => {
  test('opens what we sealed, and seals what we open', async ({ skip }) => {
    skip(!hasAge, 'there is no age: apt-get install age')
    const keyFile = join(folder, 'key.txt')
    writeFileSync(keyFile, `${await ageSecretOf(bob)}\n`, { mode: 0o600 })
    const opened = spawnSync('age', ['--decrypt', '-i', keyFile], { input: await seal(bob.peerId, content) })
    expect({ status: opened.status, text: opened.stdout.toString() }).toEqual({ status: 0, text: 'the third oak' })
    const theirs = spawnSync('age', ['--encrypt', '-r', await ageRecipientOf(bob.peerId)], { input: content })
    expect(Buffer.from(await unseal(bob, theirs.stdout))).toEqual(content)
  })
})
