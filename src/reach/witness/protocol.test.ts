// Requests and answers of a witness: whatever comes from outside is read or refused, and nothing is believed that was not signed.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fault } from '../../kernel/fault.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { cosign, openCheckpoint, signCheckpoint, withCosignature } from '../../base/ledger/checkpoint.ts'
import { maxNoteBytes } from '../../base/ledger/note.ts'
import { jsonFrame } from '../json-frames.ts'
import { knownAnswer, maxAnswerBytes, openWitnessed, readAnswer, readRequest } from './protocol.ts'

const [owner, watcher, other] = [createIdentity(), createIdentity(), createIdentity()]
const plain = openCheckpoint(await signCheckpoint(owner, { ledger: 'x/y', chain: 'A'.repeat(43), size: 3, root: Buffer.alloc(32, 1) }))
const signed = withCosignature(plain, await cosign(watcher, plain, 1_760_000_000_000), watcher.peerId)
const attempt = (act: () => unknown): unknown => {
  try {
    return act()
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return error.code
  }
}

test('requests and answers of any shape are read or refused, never worse', () => {
  const some = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(fc.constantFrom('sign', 'known', 'signed', 'refused', 'code', 'kind', 'message'), fc.jsonValue()),
  )
  fc.assert(
    fc.property(some, (value) => {
      const request = attempt(() => readRequest(value))
      if (typeof request === 'string') expect(request).toBe('reach.witness_request_invalid')
      const answer = attempt(() => readAnswer('p', value))
      if (typeof answer === 'string') expect(answer).toBe('reach.witness_garbled')
    }),
    { numRuns: 500 },
  )
  expect(readRequest({ sign: 'text' })).toEqual({ sign: 'text' })
  for (const value of [{}, { sign: 'a', known: 'b' }, { known: 'x'.repeat(257) }, { sign: 1 }, null, []])
    expect(attempt(() => readRequest(value))).toBe('reach.witness_request_invalid')
  for (const value of [
    { known: ['a', 1] },
    { known: Array.from({ length: 17 }, () => '') },
    { refused: { code: 'x', kind: 'no', message: '' } },
  ])
    expect(attempt(() => readAnswer('p', value))).toBe('reach.witness_garbled')
  expect(readAnswer('p', { refused: { code: 'x', kind: 'bug', message: 'm'.repeat(9_999) } })).toEqual({
    refused: { code: 'x', kind: 'unavailable', message: 'm'.repeat(500) },
  })
})

test('the largest answer fits into its limit', () => {
  const note = `${'x'.repeat(maxNoteBytes / 2)}${'\n'.repeat(maxNoteBytes / 2)}` // a line feed takes two bytes in JSON
  const some = Array.from({ length: 40 }, () => ({ ...signed, note: note.slice(0, 700) }))
  expect(jsonFrame(knownAnswer(some)).length).toBeLessThan(maxAnswerBytes)
  expect((knownAnswer(some) as { known: string[] }).known).toHaveLength(16)
})

test('a checkpoint counts as seen only with the signatures of both', () => {
  expect(openWitnessed(signed.note, watcher.peerId, owner.peerId)).toMatchObject({ size: 3 })
  for (const [note, by, of] of [
    [plain.note, watcher.peerId, owner.peerId],
    [signed.note, other.peerId, owner.peerId],
    [signed.note, watcher.peerId, other.peerId],
    [signed.note.replace('\n3\n', '\n4\n'), watcher.peerId, owner.peerId],
    ['', watcher.peerId, owner.peerId],
  ] as const)
    expect(attempt(() => openWitnessed(note, by, of))).toBe('reach.witness_garbled')
})
