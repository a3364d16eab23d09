// R5: mailboxes at a registry over real connections: whose, how much, how long; what survives; and what no registry can do to their owner.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { randomBytes } from '../../kernel/random.ts'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import { type PeerHost, createPeerHost } from '../../base/peer/host/host.ts'
import { jsonFrame, readJson } from '../json-frames.ts'
import { knownRegistries, parseServer } from '../registry/known-registries.ts'
import { type MailboxClient, connectMailbox, leaveMessage } from './client.ts'
import { emptyMailbox, keepMailbox } from './keeper.ts'
import { answerValue, mailboxProtocol, maxItemBytes, maxItems, readAnswer, readRequest, requestValue } from './protocol.ts'
import { digestOf } from '../message/message.ts'
import { publishCard } from '../registry/registration.ts'
import { connectRegistry } from '../registry/client.ts'
import { type MailboxSettings, type Registry, startRegistry } from '../registry/registry.ts'

const undo: (() => unknown)[] = []
let folder: string
let aheadMs = 0
/** The registry's clock, whose wall time a test may move. */
const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs }
const hour = 3_600_000

beforeEach(() => {
  aheadMs = 0
  folder = mkdtempSync(join(tmpdir(), 'fairlead-mailbox-'))
  undo.push(() => rmSync(folder, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step()
})

type Served = Registry & { readonly server: ReturnType<typeof parseServer>; stop(): Promise<void> }

async function registry(mailbox: MailboxSettings = {}, port = 0): Promise<Served> {
  const made = await startRegistry({ clock, log }, { folder: join(folder, 'registry'), listen: [`/ip4/127.0.0.1/tcp/${port}`], mailbox })
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => (stopping ??= made.close())
  undo.push(stop)
  return { ...made, stop, server: parseServer(`localhost:${/\/tcp\/(\d+)/.exec(made.addresses()[0]!)![1]}`) }
}

type Person = { readonly identity: Identity; readonly host: PeerHost; readonly needs: Parameters<typeof connectMailbox>[0] }

async function person(identity = createIdentity()): Promise<Person> {
  const host = await createPeerHost({ identity, clock: systemClock, log }, { listen: [] })
  undo.push(() => host.close())
  return { identity, host, needs: { host, clock: systemClock, known: knownRegistries(join(folder, `${identity.peerId}.json`)) } }
}

async function mailbox({ needs }: Person, { server }: Served): Promise<MailboxClient> {
  const client = await connectMailbox(needs, server)
  undo.push(client.close)
  return client
}

async function register({ identity, needs }: Person, { server }: Served): Promise<void> {
  const client = await connectRegistry(needs, server)
  await publishCard(client, identity, systemClock, { name: 'other', addresses: [], expiresAt: clock.now() + hour })
  await client.close()
}

/** One who has a mailbox, and one who leaves items. */
async function pair(at: Served) {
  const [owner, sender] = [await person(), await person()]
  await register(owner, at)
  const [own, leaving] = [await mailbox(owner, at), await mailbox(sender, at)]
  expect(await own.fetch()).toEqual([])
  const to = owner.identity.peerId
  return { owner, sender, own, leaving, to, leave: (item: Uint8Array) => leaving.leave(to, item) }
}

const refusedWith = (code: string) => ({ code: 'reach.registry_refused', details: { code } })
const bytesOf = (items: readonly Uint8Array[]): Buffer[] => items.map((item) => Buffer.from(item))

describe('whose it is', () => {
  test('what anybody leaves, its owner alone fetches and removes', async () => {
    const at = await registry()
    const { own, leave, sender, to } = await pair(at)
    const items = [randomBytes(10), randomBytes(maxItemBytes)]
    for (const item of items) expect(await leave(item)).toBeGreaterThan(clock.now() + 6 * 24 * hour)
    const thief = await mailbox(await person(), at)
    for (const other of [thief, await mailbox(sender, at)]) {
      expect(await other.fetch()).toEqual([])
      await other.remove(items.map(digestOf))
    }
    expect(bytesOf(await own.fetch())).toEqual(bytesOf(items))
    await own.remove([digestOf(items[0]!)])
    expect(bytesOf(await own.fetch())).toEqual(bytesOf([items[1]!]))
    expect(to).not.toBe(sender.identity.peerId)
  })

  test('nobody gets one who was never here; who is registered has one', async () => {
    const at = await registry()
    const { sender, leaving } = await pair(at)
    const other = await person()
    const { peerId } = other.identity
    await expect(leaving.leave(peerId, randomBytes(9))).rejects.toMatchObject(refusedWith('reach.no_mailbox'))
    await register(other, at)
    await leaving.leave(peerId, randomBytes(9))
    await expect(leaving.leave(sender.identity.peerId, randomBytes(9))).rejects.toMatchObject(refusedWith('reach.no_mailbox'))
  })

  test('asking makes none for an id that nobody registered: such ids cost nothing, and each would take the room of another for 30 days', async () => {
    const at = await registry()
    const [made, sender] = [await person(), await person()]
    expect(await (await mailbox(made, at)).fetch()).toEqual([])
    await expect((await mailbox(sender, at)).leave(made.identity.peerId, randomBytes(9))).rejects.toMatchObject(
      refusedWith('reach.no_mailbox'),
    )
  })

  test('it stays for 30 days after its owner was there', async () => {
    const at = await registry()
    const { leave } = await pair(at)
    aheadMs = 29 * 24 * hour
    await leave(randomBytes(9))
    aheadMs = 31 * 24 * hour
    await expect(leave(randomBytes(9))).rejects.toMatchObject(refusedWith('reach.no_mailbox'))
  })

  test('a registry without mailboxes does not offer them', async () => {
    const at = await registry({ maxBytes: 0 })
    await expect(connectMailbox((await person()).needs, at.server)).rejects.toMatchObject({
      code: 'reach.registry_unreachable',
      message: expect.stringContaining('does not offer') as string,
    })
  })
})

describe('what survives', () => {
  test('items are there after a restart; one that was left again is there once; an ended one is gone', async () => {
    const first = await registry({ keepMs: hour })
    const { owner, leave, to, sender } = await pair(first)
    const items = [randomBytes(50), randomBytes(50)]
    for (const item of [...items, items[0]!]) await leave(item)
    await first.stop()
    const second = await registry({ keepMs: hour }, first.server.port)
    await (await mailbox(sender, second)).leave(to, items[1]!)
    const own = await mailbox(owner, second)
    expect(bytesOf(await own.fetch())).toEqual(bytesOf(items))
    aheadMs = 2 * hour
    expect(await own.fetch()).toEqual([])
    await (await mailbox(sender, second)).leave(to, items[0]!)
    expect(bytesOf(await own.fetch())).toEqual(bytesOf([items[0]!]))
  })

  test('the files hold neither the sender nor the plaintext', async () => {
    const at = await registry()
    const { owner, sender, to } = await pair(at)
    const signed = Buffer.from(`under the third oak, ${sender.identity.peerId}`)
    await leaveMessage(sender.needs, at.server, { to, signed })
    await at.stop()
    const path = join(folder, 'registry')
    const all = Buffer.concat(readdirSync(path).map((name) => readFileSync(join(path, name))))
    expect(all.includes(owner.identity.peerId)).toBe(true)
    for (const secret of ['third oak', sender.identity.peerId, sender.identity.publicKey, sender.identity.peerId.slice(10, 30)])
      expect(all.includes(secret)).toBe(false)
  })
})

describe('bounds', () => {
  test('of an item', async () => {
    const { own, leave } = await pair(await registry())
    await expect(leave(randomBytes(maxItemBytes + 1))).rejects.toMatchObject({ code: 'reach.registry_refused' })
    await leave(randomBytes(maxItemBytes))
    expect(await own.fetch()).toHaveLength(1)
  })

  test('of a mailbox, of one sender, of all together; others go on', async () => {
    const at = await registry({ maxBytes: 1 << 20, perSender: { burst: 257, perSecond: 0.001 } })
    const { own, leave, to } = await pair(at)
    for (let i = 0; i < 256; i++) await leave(randomBytes(20))
    await expect(leave(randomBytes(20))).rejects.toMatchObject(refusedWith('reach.mailbox_full'))
    await expect(leave(randomBytes(20))).rejects.toMatchObject(refusedWith('reach.too_often'))
    const other = await pair(at)
    for (let i = 0; i < 28; i++) await other.leave(randomBytes(maxItemBytes))
    await expect(other.leave(randomBytes(maxItemBytes))).rejects.toMatchObject(refusedWith('reach.mailboxes_full'))
    await other.leave(randomBytes(20))
    const found = await emptyMailbox(own, { takeItem: async () => 'taken' })
    expect(found).toEqual({ taken: 256, known: 0, unreadable: 0 })
    await emptyMailbox(other.own, { takeItem: async () => 'taken' })
    await (await mailbox(await person(), at)).leave(to, randomBytes(maxItemBytes))
  })

  test('of streams: one peer does not take the room of others', async () => {
    const at = await registry()
    const greedy = await person()
    const streams = await Promise.all(Array.from({ length: 12 }, () => connectMailbox(greedy.needs, at.server)))
    const asked = await Promise.allSettled(streams.map((client) => client.fetch()))
    for (const client of streams) client.close()
    expect(asked.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(8)
    await pair(at)
  })

  test('of requests: nonsense is refused, endless frames are dropped, and the service goes on', async () => {
    const at = await registry()
    const someone = await person()
    for (const value of [null, 7, [], {}, { do: 'leave' }, { do: 'leave', to: 'x', item: 'eA' }, { do: 'remove', ids: ['short'] }]) {
      const stream = await someone.host.dial(undefined, at.addresses().slice(0, 1), mailboxProtocol)
      stream.duplex.write(jsonFrame(value))
      expect((await readJson(stream.duplex, 1 << 20).next()).value).toMatchObject({ refused: { code: 'reach.request_invalid' } })
      stream.abort()
    }
    const endless = await someone.host.dial(undefined, at.addresses().slice(0, 1), mailboxProtocol)
    endless.duplex.write(Buffer.from([0xff, 0xff, 0xff, 0xff]))
    await expect(readJson(endless.duplex, 1 << 20).next()).rejects.toThrow('reset')
    await pair(at)
  })
})

test('requests and answers of any shape are read or refused, never worse; what is written is read', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (value, inner) => {
      for (const candidate of [value, { ok: { now: 1, items: inner } }, { ok: inner }, { refused: inner }, { do: 'remove', ids: inner }])
        for (const read of [readRequest, readAnswer]) {
          try {
            read(candidate)
          } catch (error) {
            expect(error).toMatchObject({ code: expect.stringMatching(/^reach\.(?:request_invalid|registry_garbled)$/) as string })
          }
        }
    }),
  )
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: maxItems }), (items) => {
      const answer = { ok: { now: 5, items: bytesOf(items) } }
      expect(readAnswer(JSON.parse(JSON.stringify(answerValue(answer))))).toEqual(answer)
      const request = { do: 'leave', to: createIdentity().peerId, item: Buffer.from([1, ...(items[0] ?? [])]) } as const
      expect(readRequest(JSON.parse(JSON.stringify(requestValue(request))))).toEqual(request)
    }),
    { numRuns: 30 },
  )
})

describe('an owner who is there', () => {
  test('is told at once, and again after the registry was started anew', async () => {
    const at = await registry()
    const { owner, sender, to } = await pair(at)
    const came: string[] = []
    const takeItem = async (item: Uint8Array) => {
      came.push(Buffer.from(item).toString())
      return 'taken' as const
    }
    const keeper = keepMailbox({ ...owner.needs, desk: { takeItem }, log }, { server: at.server, waitMs: 60_000 })
    undo.push(() => keeper.close())
    const leaving = await mailbox(sender, at)
    const texts = ['one', 'two', 'three']
    for (const [i, text] of texts.entries()) {
      await leaving.leave(to, Buffer.from(text))
      await expect.poll(() => came, { timeout: 10_000 }).toEqual(texts.slice(0, i + 1))
    }
    await at.stop()
    const again = await registry({}, at.server.port)
    await (await mailbox(sender, again)).leave(to, Buffer.from('four'))
    await expect.poll(() => came, { timeout: 20_000 }).toEqual([...texts, 'four'])
    await keeper.close()
    expect(await (await mailbox(owner, again)).fetch()).toEqual([])
  })

  test('what could not be stored stays at the registry, and is fetched again', async () => {
    const at = await registry()
    const { owner, own, leave } = await pair(at)
    await leave(Buffer.from('one'))
    await expect(emptyMailbox(own, { takeItem: () => Promise.reject(new Error('disk full')) })).rejects.toThrow('disk full')
    expect(bytesOf(await (await mailbox(owner, at)).fetch())).toEqual([Buffer.from('one')])
  })

  test('does not go on for ever with a registry that hands out the same again and again', async () => {
    let asked = 0
    const lying: MailboxClient = {
      leave: async () => 0,
      fetch: async () => {
        asked++
        return [Buffer.from('one')]
      },
      remove: async () => {},
      close() {},
    }
    await expect(emptyMailbox(lying, { takeItem: async () => 'known' })).rejects.toMatchObject({ code: 'reach.registry_garbled' })
    expect(asked).toBe(2)
  })
})
