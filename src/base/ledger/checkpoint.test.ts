// Checkpoints and what witnesses sign below them: exactly the forms of C2SP, and nothing that was altered.
import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fault } from '../../kernel/fault.ts'
import { createIdentity, verify } from '../identity/identity.ts'
import { cosign, openCheckpoint, originText, parseOrigin, signCheckpoint, withCosignature } from './checkpoint.ts'
import { keyIdOf, noteText, parseNote, plainType } from './note.ts'
import { leafHash } from './tree.ts'

const owner = createIdentity(Buffer.alloc(32, 1))
const witness = createIdentity(Buffer.alloc(32, 2))
const chain = 'A'.repeat(43)
const root = leafHash(Buffer.from('x'))
const note = await signCheckpoint(owner, { ledger: 'example/calls', chain, size: 7, root })
const now = 1_760_000_000_999
const cosigned = withCosignature(openCheckpoint(note), await cosign(witness, openCheckpoint(note), now), witness.peerId)

const attempt = (act: () => unknown): unknown => {
  try {
    return act()
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return error.code
  }
}

test('a note that another program signed is read and verified (from the tests of golang.org/x/mod/sumdb/note)', () => {
  const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
  const line = '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'
  const publicKey = Buffer.from('ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'base64').subarray(1)
  const parsed = parseNote(`${text}\n${line}`)
  expect(parsed.text).toBe(text)
  expect(parsed.signatures[0]!.keyId).toEqual(keyIdOf('PeterNeumann', plainType, publicKey))
  expect(verify(publicKey, Buffer.from(text), parsed.signatures[0]!.signature)).toBe(true)
  expect(noteText(parsed)).toBe(`${text}\n${line}`)
})

test('a checkpoint says origin, size and root, and its owner’s key is in its origin', () => {
  const lines = note.split('\n')
  expect(lines.slice(0, 4)).toEqual([`${owner.peerId}/example/calls/${chain}`, '7', root.toString('base64'), ''])
  expect(openCheckpoint(note)).toEqual({ owner: owner.peerId, ledger: 'example/calls', chain, size: 7, root, note, cosignatures: [] })
})

test('a cosignature is over time and text as the specification has it', () => {
  expect(cosigned.cosignatures).toEqual([{ by: witness.peerId, at: 1_760_000_000_000 }])
  const { name, keyId, signature } = parseNote(cosigned.note).signatures[1]!
  expect(name).toBe(witness.peerId)
  const id = createHash('sha256').update(`${name}\n\x04`).update(witness.publicKey).digest().subarray(0, 4)
  expect(keyId).toEqual(id)
  const said = `cosignature/v1\ntime 1760000000\n${owner.peerId}/example/calls/${chain}\n7\n${root.toString('base64')}\n`
  expect(signature.readBigUInt64BE()).toBe(1_760_000_000n)
  expect(verify(witness.publicKey, Buffer.from(said), signature.subarray(8))).toBe(true)
})

test('signed again by the same witness, the later one stands; signed by another, both', async () => {
  const later = withCosignature(cosigned, await cosign(witness, cosigned, now + 60_000), witness.peerId)
  expect(later.cosignatures).toEqual([{ by: witness.peerId, at: 1_760_000_060_000 }])
  const third = createIdentity(Buffer.alloc(32, 3))
  expect(withCosignature(later, await cosign(third, later, now), third.peerId).cosignatures).toHaveLength(2)
  const ofThird = await cosign(third, cosigned, now)
  expect(attempt(() => withCosignature(cosigned, ofThird, witness.peerId))).toBe('ledger.note_invalid')
})

test('altered in any byte it does not open, or says the same', () => {
  const bytes = Buffer.from(cosigned.note)
  const { note: _, cosignatures: __, ...said } = cosigned
  for (let at = 0; at < bytes.length; at++)
    for (const flip of [0x01, 0x20]) {
      const changed = Buffer.from(bytes)
      changed[at]! ^= flip
      const found = attempt(() => openCheckpoint(changed.toString('utf8')))
      // a witness whose name was altered is one that nobody knows: it does not count, and the owner's word stands
      if (found !== 'ledger.note_invalid') expect(found).toMatchObject({ ...said, cosignatures: [] })
    }
})

test('the signature for one ledger, owner, chain, size or root is none for another', async () => {
  const line = note.slice(note.lastIndexOf('\n\n') + 2)
  for (const other of [{ ledger: 'example/other' }, { chain: 'B'.repeat(43) }, { size: 8 }, { root: leafHash(root) }]) {
    const forged = (await signCheckpoint(witness, { ledger: 'example/calls', chain, size: 7, root, ...other })).split('\n\n')[0]!
    const body = forged.replace(witness.peerId, owner.peerId)
    expect(attempt(() => openCheckpoint(`${body}\n\n${line}`))).toBe('ledger.note_invalid')
  }
})

test('signed twice by its owner, or with more to say than a checkpoint has, it does not count', async () => {
  const { text, signatures } = parseNote(note)
  expect(attempt(() => openCheckpoint(noteText({ text, signatures: [...signatures, ...signatures] })))).toBe('ledger.note_invalid')
  const more = `${text}more\n`
  const [{ name, keyId }] = signatures as [(typeof signatures)[number]]
  const signedMore = noteText({ text: more, signatures: [{ name, keyId, signature: Buffer.from(await owner.sign(Buffer.from(more))) }] })
  expect(attempt(() => openCheckpoint(signedMore))).toBe('ledger.note_invalid')
})

test('whatever comes is read or refused, and what is read is written the same', () => {
  const line = fc.oneof(fc.string(), fc.constantFrom(...note.split('\n'), '— a AAAAAAA=', '— a+b AAAAAAA=', '—  AAAAAAA='))
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(line).map((lines) => `${lines.join('\n')}\n`),
      ),
      (text) => {
        const parsed = attempt(() => parseNote(text))
        if (typeof parsed === 'string') expect(parsed).toBe('ledger.note_invalid')
        else expect(noteText(parsed as ReturnType<typeof parseNote>)).toBe(text)
        attempt(() => openCheckpoint(text))
      },
    ),
    { numRuns: 1_000 },
  )
  const long = `${note}${'— a AAAAAAA=\n'.repeat(16)}`
  expect(attempt(() => parseNote(long))).toBe('ledger.note_invalid')
})

test('an origin is a peer, a name without spaces and a hash', () => {
  const origin = { owner: owner.peerId, ledger: 'fairlead/messages', chain }
  expect(parseOrigin(originText(origin))).toEqual(origin)
  for (const text of [
    '',
    owner.peerId,
    `${owner.peerId}/${chain}`,
    `${owner.peerId}//${chain}`,
    `x/y/${chain}`,
    `${owner.peerId}/a b/${chain}`,
    `${owner.peerId}/a+b/${chain}`,
    `${owner.peerId}/a/short`,
  ])
    expect(parseOrigin(text)).toBeUndefined()
})
