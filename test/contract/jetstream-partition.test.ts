// Servers of a cluster that live and cannot reach one another: who is cut off from the majority changes nothing and says that what it reads is old.
import { jetstreamManager } from '@nats-io/jetstream'
import { type NatsConnection, connect } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { openJetstreamKv } from '../../src/base/kv/jetstream.ts'
import type { Bucket } from '../../src/base/kv/kv.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { obstacle } from '../bed/namespaces.ts'
import { cleanUp, keep, later } from '../kit/cleanup.ts'
import { hasNats } from '../kit/nats.ts'
import { type NatsLab, startNatsLab } from '../kit/nats-lab.ts'

const missing = hasNats ? obstacle() : 'there is no nats-server here'
const bytes = (text: string): Buffer => Buffer.from(text)
const refused = { code: 'kv.unavailable', kind: 'unavailable', message: expect.stringMatching(/majority/) as string }

let lab: NatsLab
let askers: NatsConnection[]
const isLong = process.env['FAIRLEAD_LONG'] !== undefined

beforeAll(async () => {
  if (!isLong || missing !== undefined) return
  lab = startNatsLab()
  askers = await Promise.all(lab.urls.map((url) => vi.waitFor(() => connect({ servers: [url] }), { timeout: 20_000, interval: 100 })))
  for (const asker of askers) later(() => asker.close())
  const manager = await jetstreamManager(askers[0]!, { checkAPI: false })
  const probe = { name: 'bed', subjects: ['bed'], num_replicas: 3 }
  await vi.waitFor(() => manager.streams.add(probe), { timeout: 30_000, interval: 200 })
  await manager.streams.delete('bed')
  keep()
}, 60_000)
beforeEach(({ skip }) => {
  skip(!isLong, 'not applicable: elections of a busy machine take minutes; FAIRLEAD_LONG=1 runs it')
  if (missing !== undefined) skip(missing)
})
afterEach(() => {
  if (lab) for (const at of [0, 1, 2]) lab.cable(at, true)
})
afterAll(cleanUp)

/** The same bucket as each of the servers shows it, the leader first. */
async function bucketAtEach(name: string): Promise<readonly { readonly server: number; readonly bucket: Bucket }[]> {
  const open = async (server: number) => {
    const kv = await openJetstreamKv({ clock: systemClock, log: silentLog }, { servers: [lab.urls[server]!], name: 'bed', replicas: 3 })
    later(() => kv.close())
    return { server, bucket: kv.bucket(name) }
  }
  const all = await Promise.all([0, 1, 2].map(open))
  await all[0]!.bucket.create('begin', bytes('x'))
  const { streams } = await jetstreamManager(askers[0]!, { checkAPI: false })
  const { cluster } = await vi.waitFor(async () => {
    const info = await streams.info(`KV_bed-${name}`)
    expect(info.cluster?.replicas?.map(({ current }) => current)).toEqual([true, true])
    return info
  }, { timeout: 20_000 }) // prettier-ignore
  const leader = Number(cluster!.leader!.slice(1))
  return [all[leader]!, ...all.filter(({ server }) => server !== leader)]
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

describe('kv in JetStream: partitions', () => {
  test('one server cut off: the majority goes on, at the one nothing is written or leased and reads are stale; healed, it knows all', { timeout: 60_000 }, async () => {
    const [leader, other, alone] = await bucketAtEach('one')
    const first = (await leader!.bucket.create('a', bytes('0')))!
    await vi.waitFor(async () => expect(await alone!.bucket.get('a')).toMatchObject({ revision: first }))
    lab.cable(alone!.server, false)

    const second = await other!.bucket.update('a', bytes('1'), first)
    expect(second).toBeGreaterThan(first)
    expect(await leader!.bucket.create('lease', bytes('majority'), { ttlMs: 60_000 })).toBeDefined()
    const took = await timed(async () => {
      const [update, lease] = await Promise.allSettled([
        alone!.bucket.update('a', bytes('lost'), first),
        alone!.bucket.create('lease', bytes('alone'), { ttlMs: 60_000 }),
      ])
      expect([update, lease]).toMatchObject([{ reason: refused }, { reason: refused }])
    })
    expect(took).toBeLessThan(13_000)
    // until its server notices, by its pings, that the ways to the others are dead, it may send the question there: no answer then
    await vi.waitFor(async () => expect(await alone!.bucket.get('a')).toMatchObject({ revision: first, isStale: true }), { timeout: 15_000 })

    lab.cable(alone!.server, true)
    await vi.waitFor(async () => expect(await alone!.bucket.get('a')).toEqual(await other!.bucket.get('a')), { timeout: 20_000 })
    expect(Buffer.from((await alone!.bucket.get('lease'))!.value).toString()).toBe('majority')
    expect(await alone!.bucket.update('a', bytes('2'), first)).toBeUndefined()
    expect(await alone!.bucket.update('a', bytes('2'), second!)).toBeDefined()
  }) // prettier-ignore

  describe('that take an election', () => {
    test('the leader cut off: the others choose another and write; the old one tells nobody yes, and gives way', { timeout: 120_000 }, async () => {
      const [alone, one, two] = await bucketAtEach('leader')
      const first = (await alone!.bucket.create('a', bytes('0')))!
      lab.cable(alone!.server, false)
      await expect(alone!.bucket.update('a', bytes('lost'), first)).rejects.toMatchObject(refused)
      await expect(alone!.bucket.create('lease', bytes('alone'), { ttlMs: 60_000 })).rejects.toMatchObject(refused)
      const made = await vi.waitFor(async () => (await one!.bucket.update('a', bytes('1'), first)) ?? Promise.reject(new Error('taken')), { timeout: 40_000 }) // prettier-ignore
      const lease = await two!.bucket.create('lease', bytes('majority'), { ttlMs: 60_000 })
      expect(lease).toBeGreaterThan(made)
      await vi.waitFor(async () => expect(await alone!.bucket.get('a')).toMatchObject({ isStale: true }), { timeout: 30_000 })
      lab.cable(alone!.server, true)
      const healed = { revision: made, value: new Uint8Array(bytes('1')) }
      await vi.waitFor(async () => expect(plain(await alone!.bucket.get('a'))).toEqual(healed), { timeout: 40_000 })
      expect((await alone!.bucket.get('lease'))?.revision).toBe(lease)
    }) // prettier-ignore

    test('two cut off: nobody writes anywhere, reads are stale; healed, it all returns by itself', { timeout: 120_000 }, async () => {
      const all = await bucketAtEach('two')
      const first = (await all[0]!.bucket.create('a', bytes('0')))!
      for (const { server } of all.slice(0, 2)) lab.cable(server, false)
      for (const { bucket } of all) {
        const took = await timed(async () => {
          await expect(bucket.update('a', bytes('lost'), first)).rejects.toMatchObject(refused)
        })
        expect(took).toBeLessThan(13_000)
        await expect(bucket.create('lease', bytes('x'), { ttlMs: 60_000 })).rejects.toMatchObject(refused)
        await vi.waitFor(async () => expect(await bucket.get('a')).toMatchObject({ isStale: true }), { timeout: 30_000 })
      }
      for (const { server } of all) lab.cable(server, true)
      for (const { bucket } of all) {
        await vi.waitFor(async () => {
          const entry = (await bucket.get('a'))!
          expect(entry.isStale).toBeUndefined()
          expect(await bucket.update('a', bytes('back'), entry.revision)).toBeDefined()
        }, { timeout: 40_000 }) // prettier-ignore
      }
    })
  })
})

function plain(entry: { readonly revision: number; readonly value: Uint8Array; readonly isStale?: true } | undefined) {
  return entry && { revision: entry.revision, value: new Uint8Array(entry.value), ...(entry.isStale ? { isStale: true } : {}) }
}
