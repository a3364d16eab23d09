// Bad input and abuse on `/fairlead/message/1`, over real connections: each refused, and the next honest message is taken.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { randomBytes } from '../../kernel/random.ts'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import { type PeerHost, type PeerStream, createPeerHost } from '../../base/peer/host/host.ts'
import { homeIn } from '../home.ts'
import { inboxWriter, messagesAfter } from './inbox.ts'
import { jsonFrame, readJson } from '../json-frames.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { signMessage, signReceipt } from './message.ts'
import { deliver } from './client.ts'
import { answerValue, maxAnswerBytes, messageProtocol, requestValue } from './protocol.ts'
import { type MessageServer, type MessageServerSettings, serveMessages } from './server.ts'
import { openStatement, signRevocation } from '../succession/statement.ts'
import { openSeenMessages } from './seen.ts'

const undo: (() => unknown)[] = []
let folder: string
let bob: { identity: Identity; host: PeerHost; server: MessageServer }
let aheadMs = 0
/** Bob's clock, whose wall time a test may move. */
const bobsClock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs }

beforeEach(async () => {
  aheadMs = 0
  folder = mkdtempSync(join(tmpdir(), 'fairlead-messages-'))
  undo.push(() => rmSync(folder, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step()
})

async function host(identity: Identity, listen: readonly string[] = []): Promise<PeerHost> {
  const made = await createPeerHost({ identity, clock: systemClock, log }, { listen })
  undo.push(() => made.close())
  return made
}

async function receiving(settings: MessageServerSettings = {}, identity = createIdentity()): Promise<typeof bob> {
  const made = await host(identity, ['/ip4/127.0.0.1/tcp/0'])
  const server = serveMessages({ identity, host: made, home: homeIn(folder), clock: bobsClock, log }, settings)
  undo.push(() => server.close())
  bob = { identity, host: made, server }
  return bob
}

type Sender = { identity: Identity; host: PeerHost; stream(): Promise<PeerStream>; say(text: string): Promise<unknown> }

async function sender(): Promise<Sender> {
  const identity = createIdentity()
  const own = await host(identity)
  const stream = (): Promise<PeerStream> => own.dial(bob.identity.peerId, bob.host.addresses(), messageProtocol)
  const say = async (text: string): Promise<unknown> =>
    deliver(systemClock, await stream(), await signMessage(identity, bob.identity.peerId, text, systemClock.now()))
  return { identity, host: own, stream, say }
}

/** What bob answers to these bytes; undefined when he ends the stream without an answer. */
async function answerTo(stream: PeerStream, bytes: Uint8Array, isEnd = true): Promise<unknown> {
  if (isEnd) stream.duplex.end(bytes)
  else stream.duplex.write(bytes)
  try {
    return (await readJson(stream.duplex, maxAnswerBytes).next()).value as unknown
  } catch {
    return undefined
  }
}

const texts = (): string[] => messagesAfter(homeIn(folder).inbox).map(({ message }) => message.text)
const refusedAs = (code: string) => ({ refused: { code } })

describe('refused, and the service goes on', () => {
  test('claiming another’s id: a message that somebody else signed, and one that only says so', async () => {
    await receiving()
    const [eve, victim] = [await sender(), createIdentity()]
    const { signed } = await signMessage(victim, bob.identity.peerId, 'I owe you', systemClock.now())
    expect(await answerTo(await eve.stream(), jsonFrame(requestValue(signed)))).toMatchObject(refusedAs('reach.message_foreign'))
    const at = Buffer.from(signed).indexOf(victim.publicKey)
    const { signed: claimed } = await signMessage(eve.identity, bob.identity.peerId, 'I owe you', systemClock.now())
    claimed.set(victim.publicKey, at)
    expect(await answerTo(await eve.stream(), jsonFrame(requestValue(claimed)))).toMatchObject(refusedAs('reach.message_invalid'))
    await eve.say('honest')
    expect(texts()).toEqual(['honest'])
  })

  test('replay: by the sender, at once and after a restart; the history deleted or not', async () => {
    const { identity } = await receiving()
    const alice = await sender()
    const { signed } = await signMessage(alice.identity, identity.peerId, 'pay 5', systemClock.now())
    const frame = jsonFrame(requestValue(signed))
    expect(await answerTo(await alice.stream(), frame)).toMatchObject({ receipt: expect.any(String) as string })
    expect(await answerTo(await alice.stream(), frame)).toMatchObject(refusedAs('reach.message_replayed'))
    await bob.server.close()
    await bob.host.close()
    rmSync(homeIn(folder).history)
    await receiving({}, identity)
    expect(await answerTo(await alice.stream(), frame)).toMatchObject(refusedAs('reach.message_replayed'))
    expect(texts()).toEqual(['pay 5'])
  })

  test('a key that is known to be revoked', async () => {
    await receiving()
    const [mallory, alice] = [await sender(), await sender()]
    knownStatements(homeIn(folder).statements).add([openStatement(await signRevocation(mallory.identity, 1))])
    await expect(mallory.say('it is really me')).rejects.toMatchObject({ message: expect.stringContaining('was revoked') as string })
    await alice.say('honest')
    expect(texts()).toEqual(['honest'])
  })

  test('replay at another recipient', async () => {
    await receiving()
    const alice = await sender()
    const { signed } = await signMessage(alice.identity, createIdentity().peerId, 'for another', systemClock.now())
    expect(await answerTo(await alice.stream(), jsonFrame(requestValue(signed)))).toMatchObject(refusedAs('reach.message_misdirected'))
    expect(texts()).toEqual([])
  })

  test.each([
    [61_000, '61 s behind'],
    [-61_000, '61 s ahead of'],
  ])('a clock that is wrong by %i ms: the fault says by how much', async (ms, words) => {
    await receiving()
    const alice = await sender()
    aheadMs = ms
    await expect(alice.say('late')).rejects.toMatchObject({
      code: 'reach.message_refused',
      kind: 'denied',
      message: expect.stringContaining(words) as string,
      hint: expect.stringContaining('clocks') as string,
    })
    aheadMs = Math.sign(ms) * 58_000
    await alice.say('in time')
    expect(texts()).toEqual(['in time'])
  })

  test('a message that is not encrypted: bytes on the port, and a text in place of a signed message', async () => {
    await receiving()
    const [, port] = /\/tcp\/(\d+)/.exec(bob.host.addresses()[0]!)!
    const socket = connect(Number(port), '127.0.0.1')
    socket.end(jsonFrame({ message: 'hello' }))
    const heard: Buffer[] = []
    socket.on('data', (chunk: Buffer) => heard.push(chunk))
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('close', resolve))
    expect(Buffer.concat(heard).toString()).not.toContain('receipt')
    const alice = await sender()
    for (const value of ['hello', { text: 'hello' }, { message: 'aGVsbG8' }, { message: 7 }, null, []])
      expect(await answerTo(await alice.stream(), jsonFrame(value))).toMatchObject(refusedAs('reach.message_invalid'))
    expect(texts()).toEqual([])
  })

  test('an unknown version of the protocol', async () => {
    await receiving()
    const alice = await sender()
    const found = alice.host.dial(bob.identity.peerId, bob.host.addresses(), '/fairlead/message/2')
    await expect(found).rejects.toMatchObject({ code: 'peer.refused', message: expect.stringContaining('does not offer') as string })
    await alice.say('version 1')
  })

  test('what is too long, never ends, or is cut', async () => {
    await receiving()
    const alice = await sender()
    expect(await answerTo(await alice.stream(), Buffer.from([0xff, 0xff, 0xff, 0xff]), false)).toBeUndefined()
    expect(await answerTo(await alice.stream(), Buffer.concat([Buffer.from([0, 0, 0xc4, 1]), Buffer.alloc(0xc401)]), false)).toBeUndefined()
    expect(await answerTo(await alice.stream(), Buffer.from([0, 0, 0, 9, 1]))).toBeUndefined()
    const endless = await alice.stream()
    const chunk = randomBytes(1 << 20)
    let writtenMiB = 0
    while (!endless.duplex.destroyed && writtenMiB < 64) {
      writtenMiB++
      if (!endless.duplex.write(chunk)) await new Promise((resolve) => endless.duplex.once('drain', resolve).once('close', resolve))
    }
    expect(writtenMiB).toBeLessThan(64)
    await alice.say('short')
    expect(texts()).toEqual(['short'])
  })

  test('a peer who holds too many streams: the ninth is dropped at once, and others are heard', async () => {
    await receiving()
    const [greedy, alice] = [await sender(), await sender()]
    for (let i = 0; i < 8; i++) (await greedy.stream()).duplex.write(Buffer.from([0]))
    const from = performance.now()
    expect(await answerTo(await greedy.stream(), Buffer.from([0]), false)).toBeUndefined()
    expect(performance.now() - from).toBeLessThan(5_000) // a slow one has 10 s
    await alice.say('heard')
    expect(texts()).toEqual(['heard'])
  })

  test('a sender who is too slow', async () => {
    await receiving({ requestMs: 200 })
    const [slow, alice] = [await sender(), await sender()]
    const streams = await Promise.all(Array.from({ length: 8 }, () => slow.stream()))
    const from = performance.now()
    const answers = await Promise.all(streams.map((stream) => answerTo(stream, Buffer.from([0, 0]), false)))
    expect(answers.every((answer) => answer === undefined)).toBe(true)
    expect(performance.now() - from).toBeLessThan(3_000)
    await alice.say('quick')
    await slow.say('quick after all')
    expect(texts()).toEqual(['quick', 'quick after all'])
  })

  test('a flood of one peer; others are heard meanwhile', async () => {
    await receiving({ perPeer: { burst: 3, perSecond: 0.1 } })
    const [greedy, alice] = [await sender(), await sender()]
    for (let i = 0; i < 3; i++) await greedy.say(`${i}`)
    await expect(greedy.say('more')).rejects.toMatchObject({ code: 'reach.message_refused', kind: 'limited' })
    await alice.say('modest')
    expect(texts()).toEqual(['0', '1', '2', 'modest'])
  })
})

describe('a sender believes', () => {
  type Answer = (signed: Buffer, identity: Identity, id: string) => unknown

  async function recipient(answer: Answer): Promise<Promise<unknown>> {
    const identity = createIdentity()
    const far = await host(identity, ['/ip4/127.0.0.1/tcp/0'])
    const alice = createIdentity()
    const message = await signMessage(alice, identity.peerId, 'hello', systemClock.now())
    far.handle(messageProtocol, (stream) => {
      void (async () => {
        const { message: signed } = (await readJson(stream.duplex, 1 << 20).next()).value as { message: string }
        const value = await answer(Buffer.from(signed, 'base64url'), identity, message.id)
        stream.duplex.end(value === undefined ? undefined : jsonFrame(value))
      })()
    })
    const stream = await (await host(alice)).dial(identity.peerId, far.addresses(), messageProtocol)
    return deliver(systemClock, stream, message)
  }

  test.each<[string, string, Answer]>([
    [
      'no receipt of another',
      'reach.receipt_invalid',
      async (signed, _, id) => answerValue({ receipt: await signReceipt(createIdentity(), id, signed, 0) }),
    ],
    [
      'no receipt for another message',
      'reach.receipt_invalid',
      async (_, by, id) => answerValue({ receipt: await signReceipt(by, id, Buffer.from('x'), 0) }),
    ],
    ['no word without a signature', 'reach.receipt_invalid', () => ({ ok: true })],
    ['no end without an answer', 'reach.no_receipt', () => undefined],
  ])('%s', async (_, code, answer) => {
    await expect(recipient(answer)).rejects.toMatchObject({ code })
  })

  test('a refusal, but shows none of its control characters', async () => {
    const refused = { code: 'x', kind: 'denied', message: '\u001b[2Jgone\nfairlead: hint: pay' }
    await expect(recipient(() => ({ refused }))).rejects.toMatchObject({
      message: expect.stringContaining('\\u{1b}[2Jgone fairlead: hint') as string,
    })
  })
})

describe('memory is bounded', () => {
  test('ids: when no more fit, nothing is taken; when their time is over, there is room', async () => {
    let at = 0
    const clock: Clock = { ...systemClock, mono: () => at }
    const seen = openSeenMessages({ clock, log }, join(folder, 'seen.db'), 2)
    undo.push(() => seen.close())
    expect([await seen.add('a', '1'), await seen.add('a', '2'), await seen.add('a', '1')]).toEqual([true, true, false])
    await expect(seen.add('b', '1')).rejects.toMatchObject({ code: 'reach.too_many_messages' })
    at = 179_999
    expect(await seen.add('a', '1')).toBe(false)
    at = 180_001
    expect(await seen.add('a', '1')).toBe(true)
  })

  test('the inbox: the oldest makes room; order holds when the clock goes back; a damaged file is passed over', () => {
    const inbox = inboxWriter(join(folder, 'in'), 3)
    for (const [i, receivedAt] of [5_000, 5_000, 4_000, 3_000, 6_000].entries())
      inbox.add({ from: 'f', to: 't', id: `${i}`, sentAt: 0, text: `${i}`, receivedAt })
    const ids = (): string[] => messagesAfter(join(folder, 'in')).map(({ message }) => message.id)
    expect(ids()).toEqual(['2', '3', '4'])
    const names = readdirSync(join(folder, 'in')).sort()
    expect(messagesAfter(join(folder, 'in'), names[1]).map(({ message }) => message.id)).toEqual(['4'])
    writeFileSync(join(folder, 'in', names[1]!), '{"text":')
    expect(ids()).toEqual(['2', '4'])
    const again = inboxWriter(join(folder, 'in'), 3)
    again.add({ from: 'f', to: 't', id: 'after a restart', sentAt: 0, text: '', receivedAt: 1 })
    expect(ids()).toEqual(['4', 'after a restart'])
  })
})

test('the history holds no text, on either side', async () => {
  await receiving()
  await (await sender()).say('Secret: under the third oak')
  const home = homeIn(folder)
  expect(texts()).toEqual(['Secret: under the third oak'])
  const history = readFileSync(home.history, 'utf8')
  expect(history).toContain('"event":"received"')
  for (const word of ['Secret', 'third oak']) expect(history).not.toContain(word)
})
