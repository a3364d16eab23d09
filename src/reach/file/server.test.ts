// Bad input and abuse on `/fairlead/file/1`, over real connections: each refused, nothing left where it should not be, and the next honest file is taken.
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { randomBytes, randomId } from '../../kernel/random.ts'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import { signRecord } from '../../base/identity/record.ts'
import { type PeerHost, type PeerStream, createPeerHost } from '../../base/peer/host/host.ts'
import { openOutgoing } from '../../base/transfer/outgoing-file.ts'
import { sendFile } from './client.ts'
import { type Offer, openFileReceipt, signFileReceipt, signOffer } from './offer.ts'
import { fileProtocol, offerValue } from './protocol.ts'
import { fileSenders } from './senders.ts'
import { type FileServer, type FileServerSettings, serveFiles } from './server.ts'
import { pastEntries } from '../history.ts'
import { homeIn } from '../home.ts'
import { messagesAfter } from '../message/inbox.ts'
import { jsonFrame, readJson } from '../json-frames.ts'
import { maxAnswerBytes } from '../message/protocol.ts'

const undo: (() => unknown)[] = []
let folder: string
let bob: { identity: Identity; host: PeerHost; server: FileServer }
let alice: Sender
let aheadMs = 0
const maxBytes = 8 << 20
const bobsClock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs }
const home = () => homeIn(join(folder, 'bob'))

beforeEach(async () => {
  aheadMs = 0
  folder = mkdtempSync(join(tmpdir(), 'fairlead-files-'))
  undo.push(() => rmSync(folder, { recursive: true, force: true }))
  await receiving()
  alice = await sender()
  fileSenders(home().fileSenders).put(alice.identity.peerId, { maxBytes })
})
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step()
})

async function host(identity: Identity, listen: readonly string[] = []): Promise<PeerHost> {
  const made = await createPeerHost({ identity, clock: systemClock, log }, { listen })
  undo.push(() => made.close())
  return made
}

async function receiving(settings: FileServerSettings = {}, isBusy = () => false): Promise<void> {
  const identity = createIdentity()
  const made = await host(identity, ['/ip4/127.0.0.1/tcp/0'])
  const server = serveFiles({ identity, host: made, home: home(), clock: bobsClock, log, isBusy }, settings)
  undo.push(() => server.close())
  bob = { identity, host: made, server }
}

type Talk = { readonly stream: PeerStream; next(): Promise<unknown> }
type Sender = { identity: Identity; talk(first: Uint8Array): Promise<Talk> }

async function sender(): Promise<Sender> {
  const identity = createIdentity()
  const own = await host(identity)
  return {
    identity,
    async talk(first) {
      const stream = await own.dial(bob.identity.peerId, bob.host.addresses(), fileProtocol)
      stream.duplex.write(first)
      const answers = readJson(stream.duplex, maxAnswerBytes)
      return { stream, next: async () => (await answers.next().catch(() => undefined))?.value as unknown }
    },
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const offerOf = (bytes: Uint8Array, more: Partial<Offer> = {}) => ({
  to: bob.identity.peerId,
  id: randomId(),
  name: 'a.txt',
  sizeBytes: bytes.length,
  sha256: sha256(bytes),
  ...more,
})
const signed = (offer: Parameters<typeof signOffer>[1], by = alice.identity, now = systemClock.now()) => signOffer(by, offer, now)
const framed = (offer: Uint8Array) => jsonFrame(offerValue(offer))
/** Offers and sends as an honest sender does; answers what bob says at the end. */
async function bring(bytes: Uint8Array, more: Partial<Offer> = {}): Promise<unknown> {
  const { stream, next } = await alice.talk(framed(await signed(offerOf(bytes, more))))
  let answer = (await next()) as { held?: number } | undefined
  if (answer?.held === undefined) return answer
  stream.duplex.write(bytes.subarray(answer.held))
  while (answer && 'held' in answer) answer = (await next()) as typeof answer
  stream.abort()
  return answer
}
const refusedAs = (code: string) => ({ refused: { code } })
const taken = { receipt: expect.any(String) as string }
const downloads = (): string[] => {
  try {
    return readdirSync(home().downloads).filter((name) => name !== '.partial')
  } catch {
    return []
  }
}

test.each([
  ['../../x', 'x'],
  ['/etc/cron.d/evil', 'evil'],
  ['a/b', 'b'],
  ['..', 'file'],
  ['a\u0000.txt', 'a.txt'],
  ['.ssh', 'ssh'],
  ['photo\u202egnp.exe', 'photognp.exe'],
  ['Grüße 👋.txt', 'Grüße 👋.txt'],
])('the name %j is stored as %j, in the folder of downloads', async (name, stored) => {
  const before = readdirSync(folder, { recursive: true }).length
  expect(await bring(Buffer.from('bytes'), { name })).toMatchObject(taken)
  expect(downloads()).toEqual([stored])
  expect(readFileSync(join(home().downloads, stored), 'utf8')).toBe('bytes')
  expect(messagesAfter(home().inbox)).toMatchObject([{ message: { from: alice.identity.peerId, file: { name: stored, sizeBytes: 5 } } }])
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => !/\/(?:downloads|inbox)/.test(path))
  expect(files.length - before).toBeLessThan(7) // its history, what is signed of that, the locks
})

describe('who may send, and what', () => {
  test('a stranger learns that it is not authorized, whatever it says, and nothing of it is stored', async () => {
    const eve = await sender()
    const good = await signed(offerOf(Buffer.from('x')), eve.identity)
    for (const first of [framed(good), Buffer.alloc(0), randomBytes(20_000), framed(await signed(offerOf(randomBytes(9))))]) {
      const { stream, next } = await eve.talk(first)
      expect(await next()).toEqual({ refused: { code: 'reach.files_not_taken', kind: 'denied', message: 'not authorized' } })
      stream.abort()
    }
    expect(downloads()).toEqual([])
    writeFileSync(home().fileSenders, '{"not": "a list"}') // and nobody is on a list that cannot be read
    expect(await bring(Buffer.from('x'))).toMatchObject({ refused: { message: 'it cannot take files now' } })
  })

  test('taken off the list in the middle of a file: it ends', async () => {
    const { stream, next } = await alice.talk(framed(await signed(offerOf(randomBytes(1_000)))))
    expect(await next()).toEqual({ held: 0 })
    fileSenders(home().fileSenders).remove(alice.identity.peerId)
    while ((await next()) !== undefined); // it is told how much is there until then
    stream.abort()
    expect(await bring(Buffer.from('x'))).toMatchObject(refusedAs('reach.files_not_taken'))
  })

  test('larger than allowed, for somebody else, signed by somebody else, as another purpose, off by more than a minute', async () => {
    const eve = createIdentity()
    const offer = offerOf(Buffer.from('x'))
    const answer = async (bytes: Uint8Array) => (await alice.talk(framed(bytes))).next()
    expect(await answer(await signed({ ...offer, sizeBytes: maxBytes + 1 }))).toMatchObject(refusedAs('reach.file_too_large'))
    expect(await answer(await signed({ ...offer, to: eve.peerId }))).toMatchObject(refusedAs('reach.message_misdirected'))
    expect(await answer(await signed(offer, eve))).toMatchObject(refusedAs('reach.message_foreign'))
    const body = { sequence: systemClock.now(), expiresAt: systemClock.now() + 1e5, ...offer, size: 1 }
    expect(await answer(await signRecord(alice.identity, 'fairlead/message/1', body))).toMatchObject(refusedAs('reach.offer_invalid'))
    aheadMs = 61_000
    expect(await answer(await signed(offer))).toMatchObject(refusedAs('reach.message_skewed'))
    aheadMs = 0
    expect(downloads()).toEqual([])
    expect(await bring(Buffer.from('x'))).toMatchObject(taken)
  })
})

describe('what is offered and what comes', () => {
  test('other bytes than offered, more of them, or fewer: nothing is stored', async () => {
    const bytes = randomBytes(300_000)
    const { stream, next } = await alice.talk(framed(await signed(offerOf(bytes))))
    expect(await next()).toEqual({ held: 0 })
    stream.duplex.write(Buffer.alloc(bytes.length))
    expect(await next()).toMatchObject(refusedAs('transfer.damaged'))
    const longer = await alice.talk(framed(await signed(offerOf(bytes))))
    await longer.next()
    longer.stream.duplex.write(Buffer.concat([bytes, Buffer.alloc(1)]))
    expect(await longer.next()).toMatchObject({ refused: { kind: 'usage' } })
    const fewer = await alice.talk(framed(await signed(offerOf(bytes))))
    const { held } = (await fewer.next()) as { held: number }
    fewer.stream.duplex.end(bytes.subarray(held, bytes.length - 1))
    expect(await fewer.next()).toMatchObject(refusedAs('reach.file_cut'))
    expect(downloads()).toEqual([])
    expect(await bring(bytes)).toMatchObject(taken)
    expect(downloads()).toEqual(['a.txt'])
  })

  test('an offer that comes again is carried out once, and answered by another receipt for it', async () => {
    const bytes = Buffer.from('pay 5')
    const offer = offerOf(bytes)
    const first = await signed(offer)
    const talk = await alice.talk(framed(first))
    expect(await talk.next()).toEqual({ held: 0 })
    talk.stream.duplex.write(bytes)
    expect(await talk.next()).toMatchObject(taken)
    for (const again of [first, await signed(offer)]) {
      const { receipt } = (await (await alice.talk(framed(again))).next()) as { receipt: string }
      expect(openFileReceipt(Buffer.from(receipt, 'base64url'), again)).toMatchObject({ from: bob.identity.peerId, id: offer.id })
    }
    aheadMs = 61_000
    expect(await (await alice.talk(framed(first))).next()).toMatchObject(refusedAs('reach.message_skewed'))
    expect(downloads()).toEqual(['a.txt'])
    expect(messagesAfter(home().inbox)).toHaveLength(1)
    expect(pastEntries(home(), 9)).toMatchObject([{ event: 'received', id: offer.id, file: { sizeBytes: 5, sha256: sha256(bytes) } }])
  })

  test('whoever comes back takes the place of the connection that it lost, and goes on from what is there', async () => {
    const bytes = randomBytes(4_000_000)
    const offer = offerOf(bytes)
    const lost = await alice.talk(framed(await signed(offer)))
    await lost.next()
    lost.stream.duplex.write(bytes.subarray(0, 3_000_000))
    await expect
      .poll(() => lost.next(), { timeout: 20_000 })
      .toMatchObject({ held: expect.toSatisfy((held: number) => held > 0) as number })
    const again = await alice.talk(framed(await signed(offer)))
    const { held } = (await again.next()) as { held: number }
    expect(held).toBeGreaterThan(0)
    again.stream.duplex.write(bytes.subarray(held))
    let answer = await again.next()
    while (answer && typeof answer === 'object' && 'held' in answer) answer = await again.next()
    expect(answer).toMatchObject(taken)
    expect(Buffer.compare(bytes, readFileSync(join(home().downloads, 'a.txt')))).toBe(0)
  })

  test('any first bytes: a refusal or the end of the stream, and the next file is taken', async () => {
    const frame = framed(await signed(offerOf(Buffer.from('x'))))
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((text) => jsonFrame(JSON.parse(text))),
      fc.tuple(fc.nat(frame.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, change]) => {
        const bytes = Buffer.from(frame)
        bytes[at]! ^= change
        return bytes
      }),
    )
    await fc.assert(
      fc.asyncProperty(anything, async (bytes) => {
        const { stream, next } = await alice.talk(Buffer.alloc(0))
        stream.duplex.end(bytes)
        expect([undefined, 'refused']).toContain(Object.keys((await next()) ?? {})[0])
        stream.abort()
      }),
      { numRuns: 60 },
    )
    expect(downloads()).toEqual([])
    expect(await bring(Buffer.from('x'))).toMatchObject(taken)
  })
})

test('no more files at once than are allowed: the next is told so, and taken when one has ended', async () => {
  const open: Talk[] = []
  for (let count = 0; count < 4; count++) {
    open.push(await alice.talk(framed(await signed(offerOf(randomBytes(1_000), { name: `${count}` })))))
    expect(await open.at(-1)!.next()).toEqual({ held: 0 })
  }
  expect(await bring(Buffer.from('x'))).toMatchObject(refusedAs('reach.too_many_files'))
  open[0]!.stream.abort()
  await expect.poll(() => bring(Buffer.from('x')), { timeout: 20_000 }).toMatchObject(taken)
})

test('beside something that is in use a file goes gently, and at full speed when that ends', async () => {
  const use = { isBusy: true }
  await receiving({}, () => use.isBusy)
  const { stream, next } = await alice.talk(framed(await signed(offerOf(randomBytes(1_000)))))
  expect(await next()).toEqual({ held: 0, rate: 16 << 20 })
  use.isBusy = false
  let answer = await next()
  while (answer && typeof answer === 'object' && 'rate' in answer) answer = await next()
  expect(answer).toEqual({ held: 0 })
  stream.abort()
})

describe('the sender', () => {
  async function offering(
    settings: Partial<Parameters<typeof sendFile>[1]> = {},
    bytes: Uint8Array = Buffer.from('hello'),
  ): Promise<ReturnType<typeof sendFile>> {
    const path = join(folder, 'out.txt')
    writeFileSync(path, bytes)
    const file = await openOutgoing(path)
    undo.push(() => file.close())
    const own = await host(alice.identity)
    const dial = () => own.dial(bob.identity.peerId, bob.host.addresses(), fileProtocol)
    const silent = { onOffer: () => {}, onProgress: () => {}, onRetry: () => {} }
    const needs = { identity: alice.identity, clock: systemClock, dial, ...silent }
    return sendFile(needs, { file, id: randomId(), patienceMs: 0, signal: new AbortController().signal, ...settings })
  }

  test('believes no receipt but the recipient’s for this very offer, and no claim to hold more than there is', async () => {
    expect(await offering()).toMatchObject({ from: bob.identity.peerId, sentBytes: 5, attempts: 1 })
    const eve = createIdentity()
    const other = { ...offerOf(Buffer.from('hello')), from: alice.identity.peerId, sentAt: 0 }
    const lies = [
      { held: 6 },
      { held: -1 },
      { held: 'all' },
      { held: 0, rate: 0 },
      {},
      7,
      { receipt: 'AAAA' },
      { receipt: Buffer.from(await signFileReceipt(eve, other, Buffer.from('x'), 0)).toString('base64url') },
      { receipt: Buffer.from(await signFileReceipt(bob.identity, other, Buffer.from('x'), 0)).toString('base64url') },
    ]
    for (const lie of lies) {
      const liar = await host(bob.identity, ['/ip4/127.0.0.1/tcp/0'])
      liar.handle(fileProtocol, ({ duplex }) => void duplex.write(jsonFrame(lie)))
      bob = { ...bob, host: liar }
      await expect(offering()).rejects.toMatchObject({ code: 'reach.receipt_invalid' })
    }
  })

  test('sends no faster than it is asked to', async () => {
    await receiving({}, () => true)
    const from = performance.now()
    await offering({}, Buffer.alloc(8 << 20))
    expect(performance.now() - from).toBeGreaterThan(450) // 8 of 16 MiB a second; the clock of timers may be a little early
  })

  test('what an earlier attempt left there damaged is sent once more, whole', async () => {
    const bytes = Buffer.from('hello')
    const { stream, next } = await alice.talk(framed(await signed(offerOf(bytes, { name: 'out.txt' }))))
    await next()
    stream.duplex.write('HEL')
    stream.abort()
    const parts = join(home().downloads, '.partial')
    writeFileSync(join(parts, readdirSync(parts)[0]!), 'HEL')
    expect((await offering({ patienceMs: 60_000 })).attempts).toBeGreaterThan(1)
    expect(readFileSync(join(home().downloads, 'out.txt'), 'utf8')).toBe('hello')
  })
})
