// What JetStream does that its contract does not: the traps, each against three real servers; and the contract while they are killed.
import process from 'node:process'
import { jetstreamManager } from '@nats-io/jetstream'
import { type NatsConnection, connect, headers } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type JetstreamKvSettings, openJetstreamKv } from '../../src/base/kv/jetstream.ts'
import { type Bucket, type Change, type Kv, type Revision, holdMs } from '../../src/base/kv/kv.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { randomId } from '../../src/kernel/random.ts'
import { cleanUp, keep, later } from '../kit/cleanup.ts'
import { type Dice, diceOf } from '../sim/seeded.ts'
import { type NatsCluster, hasNats, startNats } from '../kit/nats.ts'

const bytes = (text: string): Buffer => Buffer.from(text)
const text = (value: Uint8Array | undefined): string | undefined => value && Buffer.from(value).toString()

let cluster: NatsCluster
let far: NatsConnection
beforeAll(async () => {
  if (!hasNats) return
  cluster = await startNats()
  far = await connect({ servers: [...cluster.urls], maxReconnectAttempts: -1, reconnectTimeWait: 100 })
  later(() => far.close())
  keep()
})
beforeEach(({ skip }) => {
  if (!hasNats) skip('there is no nats-server here')
})
afterAll(cleanUp)

async function open(settings: Partial<JetstreamKvSettings> = {}): Promise<Kv> {
  const kv = await openJetstreamKv({ clock: systemClock, log: silentLog }, { servers: cluster.urls, name: 'bed', replicas: 3, ...settings })
  later(() => kv.close())
  return kv
}

/** What a server itself answers, past the code that is tested. */
async function farSide(stream: string) {
  const { streams, consumers } = await jetstreamManager(far, { checkAPI: false })
  return {
    state: async () => (await streams.info(stream)).state,
    last: (key: string) => streams.getMessage(stream, { last_by_subj: `$KV.${stream.slice(3)}.${key}` }),
    consumers: () => Array.fromAsync(consumers.list(stream)),
    streams,
  }
}

describe('kv in JetStream: the traps', () => {
  test('expiry is ours: the servers keep an entry whose time is over until somebody looks', async () => {
    const bucket = (await open()).bucket('expiry')
    const revision = await bucket.create('a', bytes('x'), { ttlMs: 50 })
    const there = await farSide('KV_bed-expiry')
    await vi.waitFor(async () => expect(await bucket.get('a')).toBeUndefined(), { interval: 60 })
    expect((await there.last('a'))!.header.get('KV-Operation')).toBe('DEL')
    expect((await there.last('a'))!.seq).toBeGreaterThan(revision!)
  })

  test('of many updates of one revision that are on their way at once, one is taken', async () => {
    const buckets = await Promise.all([1, 2, 3].map(async () => (await open()).bucket('race')))
    let revision = (await buckets[0]!.create('a', bytes('0')))!
    for (let round = 0; round < 10; round++) {
      const tries = await Promise.all(Array.from({ length: 12 }, (_, at) => buckets[at % 3]!.update('a', bytes(String(at)), revision)))
      const taken = tries.filter((made) => made !== undefined)
      expect(taken).toHaveLength(1)
      revision = taken[0]!
      expect((await (await farSide('KV_bed-race')).last('a'))!.seq).toBe(revision)
    }
  })

  test('a slow reader of a watch fills no queue: the servers are asked for a page at a time', async () => {
    const bucket = (await open()).bucket('pages')
    await Promise.all(Array.from({ length: 400 }, (_, at) => bucket.create(`k${at}`, bytes('x'))))
    const stop = new AbortController()
    later(() => stop.abort())
    await bucket.watch(stop.signal)[Symbol.asyncIterator]().next()
    const [reader] = await (await farSide('KV_bed-pages')).consumers()
    expect(reader!.delivered.consumer_seq).toBeLessThanOrEqual(128)
    expect(reader!.num_pending).toBeGreaterThanOrEqual(272)
  })

  test('the marks of deletions are swept when there are many of them, and a list begins no consumer that stays', async () => {
    const bucket = (await open({ markMs: 0 })).bucket('marks')
    const there = await farSide('KV_bed-marks')
    await Promise.all(Array.from({ length: 300 }, async (_, at) => bucket.delete(`k${at}`, (await bucket.create(`k${at}`, bytes('x')))!)))
    await bucket.create('left', bytes('x'))
    expect((await there.state()).messages).toBe(301)
    expect((await Array.fromAsync(bucket.list())).map(({ key }) => key)).toEqual(['left'])
    expect((await there.state()).messages).toBeLessThan(50)
    expect(await there.last('left')).not.toBeNull()
    await vi.waitFor(async () => expect(await there.consumers()).toEqual([]), { timeout: 5_000 })
  })

  test('a bucket that others made otherwise is refused, not used', async () => {
    const { streams } = await farSide('')
    await streams.add({ name: 'KV_bed-foreign', subjects: ['$KV.bed-foreign.>'], max_msgs_per_subject: 5 })
    const bucket = (await open()).bucket('foreign')
    await expect(bucket.create('a', bytes('x'))).rejects.toMatchObject({ code: 'kv.foreign_bucket', kind: 'config' })
  })

  test('what was not written by Fairlead is a fault, not a value', async () => {
    const bucket = (await open()).bucket('strange')
    await bucket.create('a', bytes('x'))
    far.publish('$KV.bed-strange.b', 'hello', { headers: headers() })
    await far.flush()
    await vi.waitFor(async () => expect(await (await farSide('KV_bed-strange')).last('b')).not.toBeNull())
    await expect(bucket.get('b')).rejects.toMatchObject({ code: 'kv.foreign_value' })
  })

  test('a cluster that is not there is a fault at once, with its addresses', async () => {
    const nowhere = openJetstreamKv({ clock: systemClock, log: silentLog }, { servers: ['nats://127.0.0.1:9'], name: 'bed', replicas: 3 })
    await expect(nowhere).rejects.toMatchObject({
      code: 'kv.unavailable',
      message: expect.stringContaining('nats://127.0.0.1:9') as string,
    })
  })
})

/** Elections of a majority take up to half a minute each, and far longer on a busy machine. */
const isLong = process.env['FAIRLEAD_LONG'] !== undefined
const onlyLong = (): void => beforeEach(({ skip }) => skip(!isLong, 'not applicable: takes minutes; FAIRLEAD_LONG=1 runs it'))

describe('kv in JetStream: servers that hang and die', () => {
  onlyLong()
  afterEach(() => {
    for (const at of [0, 1, 2]) if (hasNats) cluster.start(at) // whatever a failed test left
  })

  test(
    'a write without an answer is unavailable in bounded time, and its writer tells whether it arrived',
    { timeout: 60_000 },
    async () => {
      const bucket = (await open()).bucket('hang')
      const first = (await bucket.create('a', bytes('0')))!
      const leader = await cluster.leaderOf('KV_bed-hang')
      const one = await open({ servers: [cluster.urls[leader]!] })
      const near = one.bucket('hang')
      await near.get('a')
      const others = [0, 1, 2].filter((at) => at !== leader)
      await Promise.all(others.map((at) => cluster.kill(at, 'SIGSTOP')))
      const began = performance.now()
      const writer = randomId()
      await expect(near.update('a', bytes('1'), first, { writer })).rejects.toMatchObject({
        code: 'kv.unavailable',
        message: expect.stringContaining('no answer within 2000 ms') as string,
      })
      expect(performance.now() - began).toBeLessThan(4_000)
      await Promise.all(others.map((at) => cluster.kill(at, 'SIGCONT')))
      await vi.waitFor(async () => expect(await near.get('a')).toMatchObject({ writer }), { timeout: 10_000 })
      expect(await near.update('a', bytes('2'), first)).toBeUndefined()
    },
  )

  test('a watch whose server dies tells to begin again once there is a way, and then what is there', async () => {
    const before = (await open()).bucket('again')
    const first = (await before.create('a', bytes('0')))!
    await before.create('b', bytes('0'))
    await vi.waitFor(async () => expect(await cluster.isWhole('KV_bed-again')).toBe(true), { timeout: 20_000 })
    const server = ((await cluster.leaderOf('KV_bed-again')) + 1) % 3
    const writing = (await open({ servers: cluster.urls.filter((_, at) => at !== server) })).bucket('again')
    const stop = new AbortController()
    later(() => stop.abort())
    const changes = (await open({ servers: [cluster.urls[server]!] })).bucket('again').watch(stop.signal)[Symbol.asyncIterator]()
    const take = async (count: number): Promise<string[]> => {
      const taken: string[] = []
      while (taken.length < count) taken.push(plain((await changes.next()).value as Change))
      return taken
    }
    expect(await take(3)).toEqual(['a=0', 'b=0', 'ready'])
    await writing.get('a')
    await cluster.kill(server)
    await writing.delete('a', first)
    await writing.create('c', bytes('1'))
    cluster.start(server)
    expect(await take(1)).toEqual(['reset'])
    const known = new Set<string>()
    while (!known.has('c=1') || known.has('a=0')) {
      const [told] = await take(1) // a server that has just begun again may be behind, and tells the rest as it hears it
      if (told === '-a') known.delete('a=0')
      else if (told !== 'ready') known.add(told!)
    }
    expect([...known].sort()).toEqual(['b=0', 'c=1'])
    await writing.create('d', bytes('2'))
    const [next] = await take(1)
    expect(next === 'ready' ? await take(1) : [next]).toEqual(['d=2'])
  })

  test(
    'without a majority, writes are refused with the reason and reads are stale; it all returns by itself, watches too',
    { timeout: 90_000 },
    async () => {
      const bucket = (await open()).bucket('quorum')
      const first = (await bucket.create('a', bytes('0')))!
      await bucket.create('lease', bytes('mine'), { ttlMs: 1_000 })
      const stop = new AbortController()
      later(() => stop.abort())
      const told: string[] = []
      const listen = async (): Promise<void> => {
        for await (const change of bucket.watch(stop.signal)) told.push(plain(change))
      }
      const listening = listen()
      await vi.waitFor(() => expect(told).toEqual(['a=0', 'lease=mine', 'ready']))
      await vi.waitFor(async () => expect(await cluster.isWhole('KV_bed-quorum')).toBe(true), { timeout: 20_000 })
      const leader = await cluster.leaderOf('KV_bed-quorum')
      const gone = [leader, (leader + 1) % 3]
      await Promise.all(gone.map((at) => cluster.kill(at)))
      const began = performance.now()
      await expect(bucket.update('a', bytes('1'), first)).rejects.toMatchObject({ code: 'kv.unavailable', message: expect.stringMatching(/majority|can be reached|broke/) as string }) // prettier-ignore
      expect(performance.now() - began).toBeLessThan(13_000)
      expect(await bucket.get('a')).toMatchObject({ revision: first, isStale: true })
      await expect(bucket.create('lease', bytes('other'), { ttlMs: 1_000 })).rejects.toMatchObject({ code: 'kv.unavailable' }) // over, but nobody can say so
      for (const at of gone) cluster.start(at)
      await vi.waitFor(async () => expect(await bucket.update('a', bytes('2'), first)).toBeDefined(), { timeout: 40_000 })
      expect(text((await bucket.get('a'))?.value)).toBe('2')
      await vi.waitFor(async () => expect((await bucket.get('a'))?.isStale).toBeUndefined(), { timeout: 20_000 })
      await vi.waitFor(() => expect(told.slice(3)).toContain('a=2'), { timeout: 20_000 })
      stop.abort()
      await listening
    },
  )
})

/** From before the lease was asked for to when its holder stopped to act on it. */
type Hold = { readonly worker: number; readonly fromMs: number; toMs: number }

/** What leases are for: it takes a deed only with a token no lower than any before, and notes whose it was. */
class FarEnd {
  readonly problems: string[] = []
  readonly #holders = new Map<Revision, number>()
  #highest = 0

  act(worker: number, token: Revision): void {
    if (token < this.#highest) return
    this.#highest = token
    const holder = this.#holders.get(token) ?? worker
    if (holder !== worker) this.problems.push(`token ${token} is held by ${holder} and ${worker}`)
    this.#holders.set(token, worker)
  }
}

describe('kv in JetStream: the contract while servers are killed', () => {
  onlyLong()
  const rounds = 1_000
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  const ttlMs = 1_200

  /** All add one to the same number; `told` is what they were told is written: each number once, or a write was lost. */
  async function count(bucket: Bucket, stop: AbortSignal, told: Map<number, Revision>, problems: string[]): Promise<void> {
    while (!stop.aborted) {
      try {
        const entry = await bucket.get('count')
        if (!entry || entry.isStale) continue
        const next = Number(text(entry.value)) + 1
        const made = await bucket.update('count', bytes(String(next)), entry.revision)
        if (made === undefined) continue
        const before = told.get(next)
        if (before !== undefined) problems.push(`${next} was written at ${before} and at ${made}`)
        told.set(next, made)
      } catch (error) {
        if ((error as { code?: string }).code !== 'kv.unavailable') throw error
        await systemClock.wait(20)
      }
    }
  }

  /** Takes a lease, acts on it, and then gives it back, or lets it run out as if it had died. */
  async function lease(worker: number, bucket: Bucket, stop: AbortSignal, far: FarEnd, holds: Hold[], dice: Dice): Promise<void> {
    while (!stop.aborted) {
      const fromMs = performance.now()
      const untilMs = fromMs + holdMs(ttlMs)
      try {
        const token = await bucket.create('lease', bytes(String(worker)), { ttlMs })
        if (token === undefined) {
          await systemClock.wait(20)
          continue
        }
        const hold = { worker, fromMs: performance.now(), toMs: untilMs }
        if (hold.fromMs >= untilMs) continue
        holds.push(hold)
        const [isReturned, deeds] = [dice.chance(0.7), 1 + dice.below(10)]
        for (let deed = 0; deed < deeds && performance.now() < untilMs; deed++) {
          far.act(worker, token)
          await systemClock.wait(5)
        }
        if (!isReturned) await systemClock.wait(ttlMs)
        else {
          hold.toMs = Math.min(untilMs, performance.now())
          await bucket.delete('lease', token)
        }
      } catch (error) {
        if ((error as { code?: string }).code !== 'kv.unavailable') throw error
        await systemClock.wait(20)
      }
    }
  }

  test(`${rounds} kills: no write that was told is lost, no lease is held twice`, { timeout: rounds * 60_000 }, async () => {
    const dice = diceOf(seed)
    const [told, holds, far, problems] = [new Map<number, Revision>(), [] as Hold[], new FarEnd(), [] as string[]]
    const buckets = await Promise.all([0, 1, 2].map(async () => (await open()).bucket('kills')))
    await buckets[0]!.create('count', bytes('0'))
    const stop = new AbortController()
    later(() => stop.abort())
    const work = Promise.all(
      buckets.flatMap((bucket, at) => [
        count(bucket, stop.signal, told, problems),
        lease(at, bucket, stop.signal, far, holds, diceOf(seed + at + 1)),
      ]),
    )
    for (let round = 0; round < rounds; round++) {
      await vi.waitFor(async () => expect(await cluster.isWhole('KV_bed-kills')).toBe(true), { timeout: 30_000, interval: 100 })
      const leader = await cluster.leaderOf('KV_bed-kills')
      const server = round === 0 ? leader : dice.below(3) // at least once the one that decides
      await cluster.kill(server)
      const [before, leased] = [told.size, holds.length]
      await vi.waitFor(() => expect([told.size > before + 5, holds.length > leased]).toEqual([true, true]), {
        timeout: 40_000,
        interval: 20,
      })
      cluster.start(server)
      expect([...problems, ...far.problems], `SEED=${seed}, round ${round}`).toEqual([])
    }
    stop.abort()
    await work
    const last = Number(text((await buckets[1]!.get('count'))!.value))
    expect(last, `SEED=${seed}`).toBeGreaterThanOrEqual(Math.max(...told.keys()))
    holds.sort((one, other) => one.fromMs - other.fromMs)
    const twice = holds.filter(({ worker, fromMs }, at) => holds.slice(Math.max(0, at - 5), at).some((hold) => hold.worker !== worker && hold.toMs > fromMs)) // prettier-ignore
    expect([problems, far.problems, twice], `SEED=${seed}`).toEqual([[], [], []])
  })
})

function plain(change: Change): string {
  return change.is === 'set' ? `${change.entry.key}=${text(change.entry.value)}` : change.is === 'deleted' ? `-${change.key}` : change.is
}
