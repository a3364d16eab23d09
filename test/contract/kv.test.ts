// The contract of shared keyed state, run against every adapter: a further one adds a line to `adapters`.
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { escapeKey, unescapeKey } from '../../src/base/kv/key.ts'
import { type Bucket, type Change, type Entry, type Kv, holdMs } from '../../src/base/kv/kv.ts'
import { openJetstreamKv } from '../../src/base/kv/jetstream.ts'
import { createMemoryKv } from '../../src/base/kv/memory.ts'
import { openSqliteKv } from '../../src/base/kv/sqlite.ts'
import { type Clock, systemClock } from '../../src/kernel/clock.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { type NatsCluster, hasNats, startNats } from '../kit/nats.ts'

type HandClock = Clock & { pass(ms: number): void }

function handClock(): HandClock {
  let nowMs = 0
  return { ...systemClock, mono: () => nowMs, pass: (ms) => void (nowMs += ms) }
}

/** `reopen` is there when state outlives its process. */
type Opened = { readonly kv: Kv; reopen?(): Promise<Kv>; end(): Promise<void> }
type Adapter = {
  readonly name: string
  /** Why it cannot run here. */
  readonly missing?: string
  /** Updates of one key that no reader is to get one by one. */
  readonly manyUpdates: number
  prepare?(): Promise<void>
  open(clock: Clock, maxEntries?: number): Promise<Opened>
}

let cluster: NatsCluster
afterAll(cleanUp)

const adapters: Adapter[] = [
  {
    name: 'memory',
    manyUpdates: 3_000,
    open: async (clock, maxEntries = 65_536) => ({ kv: createMemoryKv({ clock, maxEntries }), end: async () => {} }),
  },
  {
    name: 'sqlite',
    manyUpdates: 3_000,
    async open(clock, maxEntries = 65_536) {
      const folder = mkdtempSync(join(tmpdir(), 'kv-'))
      const again = (): Kv => openSqliteKv({ path: join(folder, 'kv.db'), clock, log: silentLog, maxEntries })
      let kv = again()
      return {
        kv,
        async reopen() {
          await kv.close()
          return (kv = again())
        },
        async end() {
          await kv.close()
          rmSync(folder, { recursive: true })
        },
      }
    },
  },
  {
    name: 'jetstream, three servers',
    ...(hasNats ? {} : { missing: 'there is no nats-server here' }),
    manyUpdates: 600,
    async prepare() {
      cluster = await startNats()
      keep()
    },
    async open(clock, maxEntries = 65_536) {
      const { urls } = cluster
      const name = `bed-${maxEntries}`
      await Promise.all(['leases', 'other', 'small'].map((bucket) => cluster.empty(`KV_${name}-${bucket}`)))
      const again = (): Promise<Kv> =>
        openJetstreamKv({ clock, log: silentLog }, { servers: urls, name, replicas: 3, maxEntries, markMs: 0 })
      let kv = await again()
      return {
        kv,
        async reopen() {
          await kv.close()
          return (kv = await again())
        },
        end: () => kv.close(),
      }
    },
  },
]

const bytes = (text: string): Buffer => Buffer.from(text)
const text = (entry: Entry | undefined): string | undefined => entry && Buffer.from(entry.value).toString()

describe.each(adapters)('kv: $name', (adapter) => {
  let clock: HandClock
  let opened: Opened
  let bucket: Bucket
  beforeAll(async () => {
    if (!adapter.missing) await adapter.prepare?.()
  }, 60_000)
  beforeEach(async ({ skip }) => {
    if (adapter.missing) skip(adapter.missing)
    clock = handClock()
    opened = await adapter.open(clock)
    bucket = opened.kv.bucket('leases')
  })
  afterEach(() => opened?.end())

  const keys = async (prefix?: string): Promise<string[]> => (await Array.fromAsync(bucket.list(prefix))).map((entry) => entry.key).sort()

  test('create makes a key once, and get gives all that was written', async () => {
    expect(await bucket.get('a')).toBeUndefined()
    const revision = await bucket.create('a', bytes('one'), { writer: 'me', ttlMs: 1_000 })
    expect(await bucket.create('a', bytes('two'))).toBeUndefined()
    const entry = await bucket.get('a')
    expect({ ...entry, value: text(entry) }).toEqual({ key: 'a', value: 'one', revision, writer: 'me', ttlMs: 1_000 })
  })

  test('update and delete happen only at the expected revision', async () => {
    const first = (await bucket.create('a', bytes('1')))!
    const second = (await bucket.update('a', bytes('2'), first))!
    expect(second).toBeGreaterThan(first)
    expect(await bucket.update('a', bytes('late'), first)).toBeUndefined()
    expect(await bucket.delete('a', first)).toBe(false)
    expect(text(await bucket.get('a'))).toBe('2')
    expect(await bucket.delete('a', second)).toBe(true)
    expect(await bucket.delete('a', second)).toBe(false)
    expect(await bucket.update('a', bytes('3'), second)).toBeUndefined()
    expect(await bucket.get('a')).toBeUndefined()
  })

  test('an update never makes a key, whatever revision it names', async () => {
    expect(await bucket.update('never', bytes('x'), 1)).toBeUndefined()
    expect(await bucket.delete('never', 0)).toBe(false)
  })

  test('revisions grow over the whole bucket, deletions included', async () => {
    const seen: number[] = []
    for (const key of ['a', 'b', 'a', 'c']) {
      const revision = (await bucket.create(key, bytes('x')))!
      seen.push(revision)
      if (key === 'a') await bucket.delete(key, revision)
    }
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b))
  })

  test('of many who create one key at once, one wins; a chain of updates loses none', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, (_, index) => bucket.create('race', bytes(String(index)))))
    expect(made.filter((revision) => revision !== undefined)).toHaveLength(1)
    const increment = async (): Promise<void> => {
      for (;;) {
        const entry = (await bucket.get('count'))!
        if (await bucket.update('count', bytes(String(Number(text(entry)) + 1)), entry.revision)) return
      }
    }
    await bucket.create('count', bytes('0'))
    await Promise.all(Array.from({ length: 20 }, increment))
    expect(text(await bucket.get('count'))).toBe('20')
  })

  test('the writer of an entry is known, so that a write without an answer can be told', async () => {
    await bucket.create('a', bytes('x'), { writer: 'nonce-1' })
    expect((await bucket.get('a'))!.writer).toBe('nonce-1')
    await bucket.create('b', bytes('x'))
    await bucket.create('c', bytes('x'))
    expect((await bucket.get('b'))!.writer).not.toBe((await bucket.get('c'))!.writer)
  })

  test('any text is a key, and prefixes are of the text', async () => {
    const all = ['a', 'a/b', 'a/b c', 'a:d', 'ä/€', '.', '=', '=41', 'A', '日本', 'z{', '*', '>']
    for (const key of all) expect(await bucket.create(key, bytes(key))).toBeDefined()
    expect(await keys()).toEqual([...all].sort())
    expect(await keys('a')).toEqual(['a', 'a/b', 'a/b c', 'a:d'])
    expect(await keys('a/')).toEqual(['a/b', 'a/b c'])
    expect(await keys('=')).toEqual(['=', '=41'])
    expect(await keys('nothing')).toEqual([])
    for (const key of all) expect(text(await bucket.get(key))).toBe(key)
  })

  test('any bytes up to 64 KiB are a value; more, or a bad key, is a fault', async () => {
    const value = Buffer.alloc(65_536, 0xff)
    value[0] = 0x0a
    await bucket.create('big', value)
    expect(Buffer.from((await bucket.get('big'))!.value).equals(value)).toBe(true)
    await bucket.create('empty', Buffer.alloc(0))
    expect((await bucket.get('empty'))!.value).toHaveLength(0)
    await expect(bucket.create('bigger', Buffer.alloc(65_537))).rejects.toMatchObject({ code: 'kv.too_large', kind: 'limited' })
    await expect(bucket.create('', bytes('x'))).rejects.toMatchObject({ code: 'kv.bad_key', kind: 'usage' })
    await expect(bucket.create('/'.repeat(67), bytes('x'))).rejects.toMatchObject({ code: 'kv.bad_key' })
    await expect(bucket.create('a', bytes('x'), { writer: 'not a nonce' })).rejects.toMatchObject({ code: 'kv.bad_writer' })
  })

  test('a long list comes whole', async () => {
    const many = Array.from({ length: 700 }, (_, index) => `k${index}`)
    await Promise.all(many.map((key) => bucket.create(key, bytes('x'))))
    expect(await keys('k')).toEqual([...many].sort())
  })

  test('buckets are apart', async () => {
    await bucket.create('a', bytes('x'))
    expect(await opened.kv.bucket('other').get('a')).toBeUndefined()
    expect(await opened.kv.bucket('leases').get('a')).toBeDefined()
  })

  test('a full bucket says so, and still lets entries change and end', async () => {
    const small = await adapter.open(clock, 2)
    const tight = small.kv.bucket('small')
    const first = (await tight.create('a', bytes('x')))!
    await tight.create('b', bytes('x'))
    await expect(tight.create('c', bytes('x'))).rejects.toMatchObject({ code: 'kv.full' })
    expect(await tight.create('a', bytes('x'))).toBeUndefined()
    expect(await tight.delete('a', (await tight.update('a', bytes('y'), first))!)).toBe(true)
    expect(await tight.create('c', bytes('x'))).toBeDefined()
    await small.end()
  })

  describe('expiry', () => {
    test("an entry ends after its time on the observer's clock, and its key can be created anew with a higher revision", async () => {
      const first = (await bucket.create('a', bytes('1'), { ttlMs: 1_000 }))!
      clock.pass(999)
      expect(await bucket.get('a')).toBeDefined()
      expect(await bucket.create('a', bytes('2'))).toBeUndefined()
      clock.pass(1)
      expect(await bucket.create('a', bytes('2'))).toBeGreaterThan(first)
      expect(await bucket.update('a', bytes('late'), first)).toBeUndefined()
      expect(text(await bucket.get('a'))).toBe('2')
    })

    test('a renewal begins the time again', async () => {
      let revision = (await bucket.create('a', bytes('x'), { ttlMs: 1_000 }))!
      for (let round = 0; round < 5; round++) {
        clock.pass(holdMs(1_000))
        revision = (await bucket.update('a', bytes('x'), revision, { ttlMs: 1_000 }))!
      }
      expect(await bucket.get('a')).toBeDefined()
      clock.pass(1_000)
      expect(await bucket.get('a')).toBeUndefined()
      expect(await keys()).toEqual([])
    })

    test('a list leaves out the expired, and watchers hear of their end', async () => {
      await bucket.create('a', bytes('x'), { ttlMs: 10 })
      await bucket.create('b', bytes('x'))
      const stop = new AbortController()
      const changes = bucket.watch(stop.signal)[Symbol.asyncIterator]()
      for (let index = 0; index < 3; index++) await changes.next()
      clock.pass(10)
      expect(await keys()).toEqual(['b'])
      expect((await changes.next()).value).toMatchObject({ is: 'deleted', key: 'a' })
      stop.abort()
    })

    test('wall time plays no part', async () => {
      await bucket.create('a', bytes('x'), { ttlMs: 1 })
      expect(await bucket.get('a')).toBeDefined()
    })
  })

  describe('watch', () => {
    let stop: AbortController
    beforeEach(() => {
      stop = new AbortController()
    })
    afterEach(() => stop.abort())

    const plain = (change: Change): string =>
      change.is === 'set' ? `${change.entry.key}=${text(change.entry)}` : change.is === 'deleted' ? `-${change.key}` : change.is
    const take = async (changes: AsyncIterator<Change>, count: number): Promise<string[]> => {
      const taken: string[] = []
      while (taken.length < count) {
        const next = await changes.next()
        if (next.done) break
        taken.push(plain(next.value))
      }
      return taken
    }

    test('gives what is there, then ready, then each change in order', async () => {
      const first = (await bucket.create('a', bytes('1')))!
      const changes = bucket.watch(stop.signal)[Symbol.asyncIterator]()
      expect(await take(changes, 2)).toEqual(['a=1', 'ready'])
      const second = (await bucket.update('a', bytes('2'), first))!
      await bucket.create('b/ä', bytes('3'))
      expect(await take(changes, 2)).toEqual(['a=2', 'b/ä=3'])
      await bucket.delete('a', second)
      expect(await take(changes, 1)).toEqual(['-a'])
      const waiting = take(changes, 1)
      await bucket.create('c', bytes('4'))
      expect(await waiting).toEqual(['c=4'])
    })

    test('a refused write is no change; other buckets are not seen', async () => {
      const changes = bucket.watch(stop.signal)[Symbol.asyncIterator]()
      await take(changes, 1)
      await opened.kv.bucket('other').create('x', bytes('1'))
      await bucket.update('a', bytes('1'), 77)
      await bucket.create('a', bytes('1'))
      await bucket.create('a', bytes('2'))
      await bucket.create('b', bytes('1'))
      expect(await take(changes, 2)).toEqual(['a=1', 'b=1'])
    })

    test('ends at the abort, waiting or not', async () => {
      const changes = bucket.watch(stop.signal)[Symbol.asyncIterator]()
      await take(changes, 1)
      const waiting = changes.next()
      stop.abort()
      expect((await waiting).done).toBe(true)
      expect((await bucket.watch(stop.signal)[Symbol.asyncIterator]().next()).done).toBe(true)
    })

    test('a reader who is too slow does not get every change, begins again if it must, and then has the present state', async () => {
      const changes = bucket.watch(stop.signal)[Symbol.asyncIterator]()
      await take(changes, 1)
      let revision = (await bucket.create('a', bytes('0')))!
      const { manyUpdates } = adapter
      for (let round = 1; round <= manyUpdates; round++) revision = (await bucket.update('a', bytes(String(round)), revision))!
      const seen: string[] = []
      while (seen.at(-1) !== `a=${manyUpdates}`) seen.push(...(await take(changes, 1)))
      expect(seen.length).toBeLessThan(manyUpdates / 2)
      if (seen.includes('reset')) expect([...seen.slice(-2), ...(await take(changes, 1))]).toEqual(['reset', `a=${manyUpdates}`, 'ready'])
      await bucket.create('b', bytes('1'))
      expect(await take(changes, 1)).toEqual(['b=1'])
    })

    test('what a watcher was told, replayed, is what is there', async () => {
      const changes = bucket.watch(stop.signal)[Symbol.asyncIterator]()
      const told = new Map<string, number>()
      const hear = async (): Promise<void> => {
        const change = (await changes.next()).value as Change
        if (change.is === 'set') told.set(change.entry.key, change.entry.revision)
        else if (change.is === 'deleted') told.delete(change.key)
      }
      for (let step = 0; step < 300; step++) {
        if (step === 40) await hear() // the watch begins in the middle
        const key = `k${(step * 7) % 11}`
        const entry = await bucket.get(key)
        if (!entry) await bucket.create(key, bytes(String(step)))
        else if (step % 3 === 0) await bucket.delete(key, entry.revision)
        else await bucket.update(key, bytes(String(step)), entry.revision)
      }
      await bucket.create('end', bytes('x'))
      while (!told.has('end')) await hear()
      expect([...told].sort()).toEqual((await Array.fromAsync(bucket.list())).map((entry) => [entry.key, entry.revision]).sort())
    })
  })

  test('state that outlives its process keeps entries, and never uses a revision twice', async (context) => {
    if (!opened.reopen) return context.skip(`not applicable: ${adapter.name} does not outlive its process`)
    const kept = (await bucket.create('kept', bytes('x'), { ttlMs: 1_000 }))!
    const gone = (await bucket.create('gone', bytes('x')))!
    await bucket.delete('gone', gone)
    clock.pass(999)
    bucket = (await opened.reopen()).bucket('leases')
    expect(await bucket.get('kept')).toMatchObject({ revision: kept })
    expect(await bucket.create('gone', bytes('x'))).toBeGreaterThan(gone + 1)
    clock.pass(999)
    expect(await bucket.get('kept')).toBeDefined() // seen anew: this observer's time began at the reopening
    clock.pass(1)
    expect(await bucket.get('kept')).toBeUndefined()
  })
})

test('sqlite: writes lost with the power do not bring a revision back', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kv-'))
  const open = (name: string): Kv => openSqliteKv({ path: join(folder, name, 'kv.db'), clock: systemClock, log: silentLog })
  const kv = open('now')
  await kv.bucket('b').create('kept', bytes('x'))
  cpSync(join(folder, 'now'), join(folder, 'before'), { recursive: true }) // what the disk has when the power goes
  const lost = (await kv.bucket('b').create('lease', bytes('x')))!
  await kv.close()
  const after = open('before')
  expect(await after.bucket('b').get('kept')).toBeDefined()
  expect(await after.bucket('b').create('lease', bytes('x'))).toBeGreaterThan(lost)
  await after.close()
  rmSync(folder, { recursive: true })
})

test('two observers of one state count on their own clocks, and only the write decides', async () => {
  const [here, there] = [handClock(), handClock()]
  const shared = createMemoryKv({ clock: here })
  const [mine, theirs] = [shared.bucket('b'), shared.observer(there).bucket('b')]
  const revision = (await mine.create('lease', bytes('mine'), { ttlMs: 300 }))!
  there.pass(1_000_000)
  expect(await theirs.get('lease')).toBeDefined()
  there.pass(299)
  expect(await theirs.create('lease', bytes('theirs'), { ttlMs: 300 })).toBeUndefined()
  there.pass(1)
  expect(await theirs.create('lease', bytes('theirs'), { ttlMs: 300 })).toBeGreaterThan(revision)
  expect(await mine.update('lease', bytes('still mine?'), revision)).toBeUndefined()
})

test('escaping keeps to the alphabet, keeps prefixes, and comes back', () => {
  const part = fc.string({ unit: 'grapheme', maxLength: 8 })
  fc.assert(
    fc.property(part, part, (start, end) => {
      fc.pre(start !== '' && escapeLength(start + end) <= 200)
      const escaped = escapeKey(start + end)
      expect(escaped).toMatch(/^[A-Za-z0-9_=-]+$/)
      expect(unescapeKey(escaped)).toBe(start + end)
      expect(escaped.startsWith(escapeKey(start))).toBe(true)
    }),
  )
})

function escapeLength(key: string): number {
  return Buffer.byteLength(key) * 3
}
