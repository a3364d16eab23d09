// The language-neutral cases of spec/vectors/messages, and what must hold of every message.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fault } from '../../kernel/fault.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { signRecord } from '../../base/identity/record.ts'
import { digestOf, judgeMessage, maxTextBytes, messageContext, openMessage, openReceipt, signMessage, signReceipt } from './message.ts'
import { readAnswer, readRequest } from './protocol.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { messageText } from '../shown.ts'

type Case = {
  name: string
  signed?: string
  receipt?: string
  make?: { text: string; times: number }
  now?: number
  peer?: string
  says?: object
  refused?: string
}
type Vectors = {
  keys: Record<'alice' | 'bob' | 'eve', { seed: string; peerId: string }>
  now: number
  own: string
  peer: string
  message: { signed: string; id: string; digest: string }
  messages: Case[]
  receipts: Case[]
}
const vectors = JSON.parse(readFileSync(join(import.meta.dirname, '../../../spec/vectors/messages/cases.json'), 'utf8')) as Vectors
const { keys, own, peer, now, message } = vectors
const bytesOf = (text: string): Buffer => Buffer.from(text, 'base64url')
const identityOf = (name: keyof Vectors['keys']) => createIdentity(Buffer.from(keys[name].seed, 'hex'))
const attempt = (act: () => unknown): unknown => {
  try {
    return { says: act() }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { refused: error.code }
  }
}

test.each(vectors.messages)('a message: $name', async ({ signed, make, says, refused, ...at }) => {
  const made =
    make &&
    (await signRecord(identityOf('alice'), messageContext, {
      sequence: now,
      expiresAt: now + 120_000,
      to: own,
      id: message.id,
      text: make.text.repeat(make.times),
    }))
  const read = (): unknown => {
    const opened = openMessage(made ?? bytesOf(signed!))
    judgeMessage(opened, { own, peer, now, ...at })
    return opened
  }
  expect(attempt(read)).toEqual(says ? { says } : { refused })
})

test.each(vectors.receipts)('a receipt: $name', ({ receipt, says, refused }) => {
  const signed = bytesOf(message.signed)
  expect(attempt(() => openReceipt(bytesOf(receipt!), { to: own, id: message.id, signed }))).toEqual(says ? { says } : { refused })
})

test('the vectors are what this program signs, and the digest is what the prose says', async () => {
  const { alice, bob } = { alice: identityOf('alice'), bob: identityOf('bob') }
  const body = { sequence: now, expiresAt: now + 120_000, to: bob.peerId, id: message.id, text: 'hello, Bob' }
  const signed = await signRecord(alice, messageContext, body)
  expect(Buffer.from(signed).toString('base64url')).toBe(message.signed)
  expect(createHash('sha256').update(signed).digest('base64url')).toBe(message.digest)
  expect(digestOf(signed)).toBe(message.digest)
  const receipt = await signReceipt(bob, message.id, signed, now + 5)
  expect(Buffer.from(receipt).toString('base64url')).toBe(vectors.receipts[0]!.receipt)
})

test('every text of up to 32 KiB comes out as it went in; a message changed anywhere does not open', async () => {
  const [alice, bob] = [identityOf('alice'), identityOf('bob')]
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (text, at, flip) => {
        const { signed, id } = await signMessage(alice, bob.peerId, text, now)
        expect(openMessage(signed)).toEqual({ from: alice.peerId, to: bob.peerId, id, sentAt: now, text })
        const changed = Uint8Array.from(signed)
        changed[at % changed.length]! ^= flip
        expect(attempt(() => openMessage(changed))).toEqual({ refused: 'reach.message_invalid' })
      },
    ),
    { numRuns: 200 },
  )
  const longest = 'ü'.repeat(maxTextBytes / 2)
  expect(openMessage((await signMessage(alice, bob.peerId, longest, now)).signed).text).toBe(longest)
  for (const text of ['', `${longest}x`, '\ud800'])
    await expect(signMessage(alice, bob.peerId, text, now)).rejects.toMatchObject({ code: 'reach.text_invalid' })
})

test('requests and answers of any shape are read or refused, never worse', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      for (const read of [readRequest, (value: unknown) => readAnswer('peer', value)]) attempt(() => read(value))
    }),
  )
  expect(readAnswer('p', { refused: { code: 'x', kind: 'bug', message: 'm'.repeat(9_999) } })).toEqual({
    refused: { code: 'x', kind: 'unavailable', message: 'm'.repeat(500) },
  })
})

test('what a terminal would obey is shown instead, and no line of a text passes for one of ours', () => {
  expect(visibleText('a\u001b[2Jb\u009bc\u202ed\u2028e\r\u0007\u200b')).toBe(
    'a\\u{1b}[2Jb\\u{9b}c\\u{202e}d\\u{2028}e\\u{d}\\u{7}\\u{200b}',
  )
  expect(visibleText('Zoë 👩‍💻\n漢字')).toBe('Zoë 👩‍💻\n漢字')
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !/[^\P{C}\n\u200d]/u.test(visibleText(text))))
  const shown = messageText({ from: 'F', to: 'T', id: 'i', sentAt: 0, receivedAt: 0, text: 'one\n1970-01-01T00:00:00.000Z from X\n\nend' })
  const kept = { from: 'F', to: 'T', id: 'i', text: 'x', receivedAt: 86_400_000 }
  expect(messageText({ ...kept, sentAt: 1_000 })).toBe('1970-01-02T00:00:00.000Z from F, sent 1970-01-01T00:00:01.000Z\n  x')
  expect(messageText({ ...kept, sentAt: 86_399_000 })).toBe('1970-01-02T00:00:00.000Z from F\n  x')
  expect(
    shown
      .split('\n')
      .slice(1)
      .every((line) => line.startsWith('  ')),
  ).toBe(true)
})
