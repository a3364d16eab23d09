// Hostile ends of a group's streams against real processes: who knows the secret and lies, who does not know it, and a host that lies. Nothing of theirs is given to anybody.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Identity, createIdentity } from '../../src/base/identity/identity.ts'
import { type OwnHost, type PeerStream, createPeerHost } from '../../src/base/peer/host/host.ts'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { type Message, type Received, encode, messagesIn } from '../../src/share/cluster/messages.ts'
import { NoMember, admit, join } from '../../src/share/cluster/proof.ts'
import { type Entry, maxBodyBytes, maxSealedBytes, seal } from '../../src/share/entry/entry.ts'
import { type Group, aloneGroup, groupOf } from '../../src/share/entry/group.ts'
import { shareProtocol } from '../../src/share/group-peers.ts'
import { keyOf } from '../../src/share/request/request.ts'
import { type Member, type Runners, startRunners } from '../bed/runners.ts'

const [liar, other] = [createIdentity(), createIdentity()]
const poison = 'poison'
let bed: Runners
let group: Group
const opened: OwnHost[] = []

beforeAll(async () => {
  bed = await startRunners()
  group = await groupOf(new Secret(bed.secret), 'o/r')
}, 60_000)
afterAll(async () => {
  for (const each of opened) await each.close()
  await bed?.close()
})

async function peer(identity: Identity, listen: readonly string[] = []): Promise<OwnHost> {
  const made = await createPeerHost({ identity, clock, log }, { listen })
  opened.push(made)
  return made
}

/** Of what a runner of the bed asks for. */
const keyFor = (target: string): string =>
  keyOf(
    { method: 'GET', host: new URL(bed.api.url).host, target, headers: { authorization: 'token one' }, body: new Uint8Array() },
    { keyBytes: group.nameKey, shared: 'ci' },
  )

type Lie = (key: string) => Promise<Uint8Array>
const entry = (key: string, more: Partial<Entry> = {}): Entry => ({
  key,
  atMs: clock.now(),
  ttlMs: 60_000,
  asker: 'a',
  answer: { status: 200, headers: [], body: Buffer.from(poison) },
  ...more,
})
const answer = (more: Partial<Entry['answer']>): Entry['answer'] => ({ ...entry('').answer, ...more })
const lie =
  (more: Partial<Entry> = {}, by = liar, of = () => group): Lie =>
  (key) =>
    seal(entry(key, more), of(), by)
const changed =
  (change: (sealed: Buffer) => Uint8Array): Lie =>
  async (key) =>
    change(Buffer.from(await seal(entry(key), group, liar)))
const hour = 3_600_000

/** Each is sealed with the secret of the group, but for one of them. */
const lies: readonly (readonly [what: string, lie: Lie])[] = [
  ['altered in its body', changed((sealed) => ((sealed[sealed.length - 80]! ^= 1), sealed))],
  ['altered in its signature', changed((sealed) => ((sealed[sealed.length - 1]! ^= 1), sealed))],
  [
    'given another time to live',
    changed((sealed) => Buffer.from(sealed.toString('latin1').replace('"ttl":60000', '"ttl":90000'), 'latin1')),
  ],
  ['replayed under another key', () => seal(entry('f'.repeat(64)), group, liar)],
  ['replayed after its time', (key) => seal(entry(key, { atMs: clock.now() - hour }), group, liar)],
  ['truncated by one byte', changed((sealed) => sealed.subarray(0, -1))],
  ['truncated to its head', changed((sealed) => sealed.subarray(0, sealed.indexOf(10) + 1))],
  ['empty', async () => new Uint8Array()],
  ['dated into the future', lie({ atMs: Date.now() + hour })],
  ['oversized in its body', lie({ answer: answer({ body: Buffer.alloc(maxBodyBytes + 1, 'x') }) })],
  ['with a header that breaks an answer', lie({ answer: answer({ headers: [['x', 'a\r\nset-cookie: b']] }) })],
  ['with a cookie', lie({ answer: answer({ headers: [['Set-Cookie', 'a=b']] }) })],
  ['with a status that is not kept', lie({ answer: answer({ status: 403 }) })],
  ['sealed with another secret', lie({}, liar, () => aloneGroup(new Uint8Array(32)))],
]

/** The API's own words come, by a call. */
async function isTrue(runner: Member, path: string): Promise<void> {
  await bed.api.seen()
  expect(await runner.ask(path, { token: 'one' })).toMatchObject({ status: 200, text: expect.stringContaining('"version":1') as string })
  expect((await bed.api.seen()).map(({ url }) => url)).toEqual([path])
}

describe('a member that knows the secret', () => {
  let host: Awaited<ReturnType<Runners['host']>>
  let runner: Member
  let stream: PeerStream
  let say: (message: Message, bytes?: Uint8Array) => void
  let next: () => Promise<Message>
  let paths = 0

  const joinHost = async (): Promise<void> => {
    const own = await peer(liar)
    stream = await own.dial(host.address.split('/').at(-1), [host.address], shareProtocol)
    const { messages } = await join(clock, stream.duplex, group, { host: stream.remotePeer, member: own.peerId })
    say = (message, bytes) => void stream.duplex.write(encode(message, bytes))
    next = async () => {
      for (;;) {
        const { message } = (await messages.next()).value as Received
        if (message.is === 'offer' || message.is === 'entry') return message // a host tells other things unasked
      }
    }
  }
  beforeAll(async () => {
    host = await bed.host()
    runner = await bed.runner(host.address)
    await joinHost()
  }, 60_000)

  const refused = async (): Promise<number> => (await host.stats())['refused']!
  const lease = async (key: string): Promise<void> => {
    say({ is: 'want', id: 1, key })
    expect(await next()).toEqual({ is: 'offer', id: 1, offer: 'lease' })
  }
  const done = (key: string): Message => ({ is: 'done', key, subject: 'a'.repeat(64), outcome: 'kept' })
  /** Its answer tells that all before it was taken. */
  const isTaken = async (): Promise<void> => lease(`barrier-${paths}`)

  test('is believed when it tells what it was to ask for: whom else?', async () => {
    const path = '/repos/o/told'
    const key = keyFor(path)
    await lease(key)
    say(done(key), await seal(entry(key, { answer: answer({ body: Buffer.from('told') }) }), group, liar))
    expect((await runner.ask(path, { token: 'one' })).text).toBe('told')
  })

  test.each([...lies, ['signed by another member', lie({}, other)] as const])(
    'an entry %s is refused, counted, and given to nobody',
    async (_, made) => {
      const path = `/repos/o/lie${++paths}`
      const key = keyFor(path)
      const before = await refused()
      await lease(key)
      say(done(key), await made(key))
      await isTaken()
      expect(await refused()).toBe(before + 1)
      await isTrue(runner, path)
      expect(await runner.stats()).toMatchObject({ refused: 0 })
    },
  )

  test('an entry that it had no leave to ask for is refused and counted', async () => {
    const path = `/repos/o/lie${++paths}`
    const before = await refused()
    say(done(keyFor(path)), await seal(entry(keyFor(path)), group, liar))
    await isTaken()
    expect(await refused()).toBe(before + 1)
    await isTrue(runner, path)
  })

  test.each([
    ['a message longer than any', Buffer.concat([Buffer.from([0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff]), Buffer.from('{}')])],
    ['an entry longer than any', encode({ is: 'done', key: 'k', subject: 's', outcome: 'kept' }, new Uint8Array(maxSealedBytes + 1))],
    ['what is no message', Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0x6e, 0x75, 0x6c, 0x6c])],
    ['a key of another kind', encode({ is: 'want', id: 1, key: { a: 1 } as unknown as string })],
  ])('%s: it is cut off, and it is counted', async (_, bytes) => {
    const before = await refused()
    stream.duplex.on('error', () => {})
    stream.duplex.write(bytes)
    await expect.poll(async () => (await host.stats())['connected_peers']).toBe(1)
    expect(await refused()).toBe(before + 1)
    await joinHost()
    await isTrue(runner, `/repos/o/lie${++paths}`)
  })
})

describe('a member that does not know the secret', () => {
  let host: Awaited<ReturnType<Runners['host']>>
  const dial = async (identity: Identity): Promise<PeerStream> =>
    (await peer(identity)).dial(host.address.split('/').at(-1), [host.address], shareProtocol)
  beforeAll(async () => {
    host = await bed.host()
    await host.ask('/repos/o/kept', { token: 'one' })
  }, 60_000)
  afterEach(async () => expect(await host.stats()).toMatchObject({ connected_peers: 0, cache_size: 1 }))

  test('is told that it has another, and that is all it is told', async () => {
    const stream = await dial(liar)
    const ends = { host: stream.remotePeer, member: liar.peerId }
    await expect(join(clock, stream.duplex, aloneGroup(new Uint8Array(32)), ends)).rejects.toThrow(NoMember)
    const again = await dial(liar)
    const messages = messagesIn(again.duplex)
    expect((await messages.next()).value).toMatchObject({ message: { is: 'hello' } })
    again.duplex.write(encode({ is: 'want', id: 1, key: keyFor('/repos/o/kept') }))
    expect((await messages.next()).value).toMatchObject({ message: { is: 'refused', why: 'another secret' } })
    expect((await messages.next()).done).toBe(true)
  })

  test('gains nothing by a proof that it overheard: it was for other ends, and for once', async () => {
    const honest = await dial(other)
    const written: Uint8Array[] = []
    const write = honest.duplex.write.bind(honest.duplex)
    honest.duplex.write = (bytes: Uint8Array) => (written.push(bytes), write(bytes))
    await join(clock, honest.duplex, group, { host: honest.remotePeer, member: other.peerId })
    await honest.close()
    for (const identity of [liar, other]) {
      const stream = await dial(identity)
      const messages = messagesIn(stream.duplex)
      await messages.next()
      stream.duplex.write(written[0]!)
      expect((await messages.next()).value).toMatchObject({ message: { is: 'refused' } })
    }
    await expect.poll(async () => (await host.stats())['connected_peers']).toBe(0)
  })
})

describe('a host that lies', () => {
  let runner: Member
  let made: Lie | undefined
  let raw: Uint8Array | undefined
  let paths = 0

  beforeAll(async () => {
    const host = await peer(liar, ['/ip4/127.0.0.1/tcp/0'])
    host.handle(shareProtocol, (stream) => void serve(stream, host.peerId).catch(() => {}))
    runner = await bed.runner(host.addresses()[0]!)
  }, 60_000)

  const serve = async ({ duplex, remotePeer }: PeerStream, own: string): Promise<void> => {
    const { messages } = await admit(clock, duplex, group, { host: own, member: remotePeer })
    for await (const { message } of messages)
      if (message.is === 'want') duplex.write(raw ?? encode({ is: 'entry', id: message.id }, await made!(message.key)))
  }

  test.each(lies)('an entry %s is refused and counted, and the runner asks for itself', async (_, given) => {
    made = given
    const before = (await runner.stats())['refused']!
    await isTrue(runner, `/repos/o/false${++paths}`)
    expect(await runner.stats()).toMatchObject({ refused: before + 1, peer_hits: 0 })
  })

  test('a message longer than any ends the stream, and the runner goes on', async () => {
    raw = Buffer.from([0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff])
    const before = (await runner.stats())['refused']!
    await isTrue(runner, `/repos/o/false${++paths}`)
    expect((await runner.stats())['refused']).toBeGreaterThan(before) // it comes again, and hears the same
  })
})

describe('two who may not read the same', () => {
  test('an answer is given to its own credential alone, on every machine; with a shared scope to all who have one', async () => {
    const host = await bed.host({ isShared: false })
    const [one, two] = await Promise.all([bed.runner(host.address, { isShared: false }), bed.runner(host.address, { isShared: false })])
    await bed.api.seen()
    const etag = async (runner: Member, token: string): Promise<unknown> => (await runner.ask('/user', { token })).headers['etag']
    const [mine, theirs, nobodys] = [await etag(one, 'mine'), await etag(two, 'theirs'), await etag(two, '')]
    expect(new Set([mine, theirs, nobodys]).size).toBe(3) // the API's differ by token
    expect(await bed.api.seen()).toHaveLength(3)
    expect([await etag(two, 'mine'), await etag(one, 'theirs'), await etag(one, '')]).toEqual([mine, theirs, nobodys])
    expect(await bed.api.seen()).toEqual([])
  })
})
