// What a recipient makes of mailbox items: judged by signature and end alone, taken once whatever way they come, and never a crash.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { signRecord } from '../../base/identity/record.ts'
import { seal } from '../../base/identity/seal.ts'
import { homeIn } from '../home.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { messagesAfter } from './inbox.ts'
import { maxItemBytes } from '../mailbox/protocol.ts'
import { digestOf, maxTextBytes, messageContext, signMessage } from './message.ts'
import { type MessageDesk, openMessageDesk } from './desk.ts'
import { openSeenMessages } from './seen.ts'
import { openStatement, signRevocation } from '../succession/statement.ts'
import { unreadableItems } from '../mailbox/unreadable.ts'

const [alice, bob] = [createIdentity(), createIdentity()]
const day = 24 * 3_600_000
let folder: string
let aheadMs = 0
let desk: MessageDesk
/** Bob's clock, whose wall time a test may move. */
const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs }
const needs = { identity: bob, clock, log }

beforeEach(() => {
  aheadMs = 0
  folder = mkdtempSync(join(tmpdir(), 'fairlead-desk-'))
  desk = openMessageDesk({ ...needs, home: homeIn(folder) })
})
afterEach(async () => {
  await desk.close()
  rmSync(folder, { recursive: true, force: true })
})

async function reopened(between = (): void => {}): Promise<void> {
  await desk.close()
  between()
  desk = openMessageDesk({ ...needs, home: homeIn(folder) })
}

const signed = async (text: string, to = bob.peerId) => (await signMessage(alice, to, text, systemClock.now(), { mayWait: true })).signed
const texts = (): string[] => messagesAfter(homeIn(folder).inbox).map(({ message }) => message.text)
const reasons = (): string[] => unreadableItems(homeIn(folder).unreadable).map(({ code }) => code)

describe('an item is taken', () => {
  test('days after it was sent, as from the one who signed it; the history says how it came', async () => {
    const message = await signed('hello')
    aheadMs = 6 * day
    expect(await desk.takeItem(await seal(bob.peerId, message))).toBe('taken')
    expect(messagesAfter(homeIn(folder).inbox)[0]!.message).toMatchObject({
      from: alice.peerId,
      text: 'hello',
      receivedAt: expect.any(Number) as number,
    })
    const [entry] = readFileSync(homeIn(folder).history, 'utf8').split('\n')
    expect(JSON.parse(entry!)).toMatchObject({ event: 'received', peer: alice.peerId, message: digestOf(message), mailbox: true })
  })

  test('once: handed out again by the registry, sealed again, after a restart, after the inbox was emptied, until its end', async () => {
    const message = await signed('once')
    const item = await seal(bob.peerId, message)
    expect([await desk.takeItem(item), await desk.takeItem(item)]).toEqual(['taken', 'known'])
    rmSync(homeIn(folder).inbox, { recursive: true })
    await reopened()
    aheadMs = 6 * day
    expect(await desk.takeItem(item)).toBe('known')
    expect(await desk.takeItem(await seal(bob.peerId, message))).toBe('known')
    aheadMs = 7 * day + 1
    expect(await desk.takeItem(item)).toBe('unreadable')
    expect([texts(), reasons()]).toEqual([[], ['reach.message_expired']])
  })

  test('once, when it came directly before', async () => {
    const message = await signed('both ways')
    await desk.take(alice.peerId, message)
    await reopened()
    aheadMs = day
    expect(await desk.takeItem(await seal(bob.peerId, message))).toBe('known')
    expect(texts()).toEqual(['both ways'])
  })

  test('whole, after a kill between any two steps of taking it', async () => {
    const message = await signMessage(alice, bob.peerId, 'killed', systemClock.now(), { mayWait: true })
    const item = await seal(bob.peerId, message.signed)
    await desk.close()
    const seen = openSeenMessages({ clock, log }, homeIn(folder).seen)
    await seen.noteItem(alice.peerId, message.id, systemClock.now() + day) // killed before it was stored
    await seen.close()
    await reopened()
    expect(await desk.takeItem(item)).toBe('taken')
    await reopened(() => rmSync(homeIn(folder).seen)) // killed before that was noted
    expect(await desk.takeItem(item)).toBe('known')
    expect(texts()).toEqual(['killed'])
  })

  test('when two registries hold it and both hand it out at once', async () => {
    const item = await seal(bob.peerId, await signed('twice'))
    const fates = await Promise.all([desk.takeItem(item), desk.takeItem(item)])
    expect(fates.toSorted()).toEqual(['known', 'taken'])
    expect(texts()).toEqual(['twice'])
  })

  test('of the largest size', async () => {
    const item = await seal(bob.peerId, await signed('ü'.repeat(maxTextBytes / 2)))
    expect(item.length).toBeLessThanOrEqual(maxItemBytes)
    expect(await desk.takeItem(item)).toBe('taken')
  })
})

describe('an item is set aside, with the reason', () => {
  const record = (more: object) => {
    const now = systemClock.now()
    return signRecord(alice, messageContext, {
      sequence: now,
      expiresAt: now + day,
      to: bob.peerId,
      id: 'A'.repeat(24),
      text: 'x',
      ...more,
    })
  }
  test.each<[string, string, () => Promise<Uint8Array> | Uint8Array]>([
    ['sealed to another key', 'seal.not_opened', async () => seal(createIdentity().peerId, await signed('x'))],
    ['not sealed', 'seal.not_opened', () => signed('x')],
    ['empty', 'seal.not_opened', () => new Uint8Array()],
    ['sealed, but nothing that was signed', 'reach.message_invalid', () => seal(bob.peerId, Buffer.from('{"text":"hello"}'))],
    ['signed for another', 'reach.message_misdirected', async () => seal(bob.peerId, await signed('x', createIdentity().peerId))],
    [
      'signed for now only, and late',
      'reach.message_expired',
      async () => seal(bob.peerId, await record({ expiresAt: systemClock.now() - 1 })),
    ],
    ['signed for ever', 'reach.message_invalid', async () => seal(bob.peerId, await record({ expiresAt: systemClock.now() + 9 * day }))],
    [
      'a message with a forged signature',
      'reach.message_invalid',
      async () => {
        const forged = await signed('x')
        forged[forged.length - 1]! ^= 1
        return seal(bob.peerId, forged)
      },
    ],
  ])('%s', async (_, code, make) => {
    const item = await make()
    expect(await desk.takeItem(item)).toBe('unreadable')
    expect(await desk.takeItem(item)).toBe('unreadable')
    await reopened()
    expect(await desk.takeItem(item)).toBe('unreadable')
    const [kept, ...more] = unreadableItems(homeIn(folder).unreadable)
    expect(more).toEqual([])
    expect(kept).toMatchObject({ code, id: digestOf(item), sealed: Buffer.from(item).toString('base64') })
    expect(texts()).toEqual([])
    expect(await desk.takeItem(await seal(bob.peerId, await signed('honest')))).toBe('taken')
  })

  test('of a key that was revoked meanwhile; it is not taken directly either', async () => {
    const message = await signed('it is really me')
    knownStatements(homeIn(folder).statements).add([openStatement(await signRevocation(alice, systemClock.now()))])
    expect(await desk.takeItem(await seal(bob.peerId, message))).toBe('unreadable')
    await expect(desk.take(alice.peerId, message)).rejects.toMatchObject({ code: 'reach.key_revoked' })
    expect([texts(), reasons()]).toEqual([[], ['reach.key_revoked']])
  })

  test('changed anywhere', async () => {
    const item = await seal(bob.peerId, await signed('hello'))
    await fc.assert(
      fc.asyncProperty(fc.nat(item.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Uint8Array.from(item)
        changed[at]! ^= flip
        expect(await desk.takeItem(changed)).toBe('unreadable')
      }),
      { numRuns: 60 },
    )
    expect(texts()).toEqual([])
  })

  test('the newest 100', async () => {
    for (let i = 0; i < 105; i++) await desk.takeItem(Buffer.from(`${i}`))
    expect(unreadableItems(homeIn(folder).unreadable).map(({ sealed }) => Buffer.from(sealed, 'base64').toString())).toEqual(
      Array.from({ length: 100 }, (_, i) => `${i + 5}`),
    )
  })
})

test('no more ids than there is room for: an item beyond them is a fault, and not taken', async () => {
  const seen = openSeenMessages({ clock, log }, join(folder, 'few.db'), 1)
  const note = await seen.noteItem('a', '1', systemClock.now() + day)
  await note.done()
  expect((await seen.noteItem('a', '1', systemClock.now() + day)).isTaken).toBe(true)
  await expect(seen.noteItem('a', '2', systemClock.now() + day)).rejects.toMatchObject({ code: 'reach.too_many_messages' })
  expect(await seen.add('a', '2')).toBe(true) // those who come directly have room of their own
  await seen.close()
  aheadMs = 3 * day
  const later = openSeenMessages({ clock, log }, join(folder, 'few.db'), 1)
  await expect
    .poll(() =>
      later.noteItem('a', '2', systemClock.now() + 9 * day).then(
        ({ isTaken }) => isTaken,
        () => undefined,
      ),
    )
    .toBe(false)
  await later.close()
})
