// The language-neutral cases of spec/vectors/mailbox: each key, item and request is judged as spec/mailbox.md says.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createIdentity } from '../../src/base/identity/identity.ts'
import { ageRecipientOf, ageSecretOf } from '../../src/base/identity/seal.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { asFault } from '../../src/kernel/fault.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import { homeIn } from '../../src/reach/home.ts'
import { messagesAfter } from '../../src/reach/message/inbox.ts'
import { readRequest } from '../../src/reach/mailbox/protocol.ts'
import { openMessageDesk } from '../../src/reach/message/desk.ts'
import { unreadableItems } from '../../src/reach/mailbox/unreadable.ts'

type Vectors = {
  readonly keys: Readonly<Record<'alice' | 'bob' | 'eve', { seed: string; peerId: string; recipient: string; secret: string }>>
  readonly weak: readonly string[]
  readonly now: number
  readonly items: readonly { name: string; item: string; now?: number; outcome: string; says?: object; expiresAt?: number }[]
  readonly requests: readonly { name: string; request: object; itemLength?: number; outcome: string; waitMs?: number }[]
}
const file = join(import.meta.dirname, '../../spec/vectors/mailbox/cases.json')
const { keys, weak, now, items, requests } = JSON.parse(readFileSync(file, 'utf8')) as Vectors
const folder = mkdtempSync(join(tmpdir(), 'fairlead-mailbox-cases-'))
afterAll(() => rmSync(folder, { recursive: true }))
const identityOf = (seed: string) => createIdentity(Buffer.from(seed, 'hex'))

test.each(Object.values(keys))('the keys of $peerId', async ({ seed, peerId, recipient, secret }) => {
  expect(await ageRecipientOf(peerId)).toBe(recipient)
  expect(await ageSecretOf(identityOf(seed))).toBe(secret)
})

test.each(weak)('nothing is sealed to %s', async (peerId) => {
  await expect(ageRecipientOf(peerId)).rejects.toMatchObject({ code: 'seal.weak_key' })
})

const outcomes: Readonly<Record<string, string>> = {
  'seal.not_opened': 'not opened',
  'reach.message_invalid': 'invalid',
  'reach.message_misdirected': 'misdirected',
  'reach.message_expired': 'expired',
}

test.each(items.map((item, index) => ({ index, ...item })))('an item: $name: $outcome', async ({ index, item, now: at, outcome, says }) => {
  const home = homeIn(join(folder, String(index)))
  const clock = { ...systemClock, now: () => at ?? now }
  const desk = openMessageDesk({ identity: identityOf(keys.bob.seed), home, clock, log })
  const fate = await desk.takeItem(Buffer.from(item, 'base64url'))
  await desk.close()
  const [unreadable] = unreadableItems(home.unreadable)
  expect(fate === 'taken' ? fate : outcomes[unreadable!.code]).toBe(outcome)
  const found = messagesAfter(home.inbox).map(({ message }) => message)
  expect(found).toEqual(says ? [{ ...says, receivedAt: expect.any(Number) as number }] : [])
})

test.each(requests)('a request: $name: $outcome', ({ request, itemLength, outcome, waitMs }) => {
  let read: unknown
  try {
    read = readRequest(itemLength === undefined ? request : { ...request, item: 'A'.repeat(itemLength) })
  } catch (error) {
    expect(asFault(error).code).toBe('reach.request_invalid')
  }
  expect(read === undefined ? 'refused' : 'accepted').toBe(outcome)
  if (waitMs !== undefined) expect(read).toMatchObject({ waitMs })
})
