// The shelf keeps within its bytes, lets the least recently used go, survives a new start and damage, and shows nothing to who reads its files.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createTestClock } from '../../test/kit/clock.ts'
import { later } from '../../test/kit/cleanup.ts'
import { silentLog } from '../kernel/log.ts'
import { removeFolder } from '../kernel/file.ts'
import { openStore } from '../base/store/store.ts'
import { openShelf } from './shelf.ts'

async function folderFor(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'shelf-'))
  later(() => removeFolder(folder))
  return folder
}
const clock = createTestClock()
const shelfIn = (folder: string, maxBytes = 10_000) => openShelf({ clock, log: silentLog }, { folder, maxBytes })
const entry = (size: number, atMs = 1, subject = 's') => ({ sealed: new Uint8Array(size), atMs, subject })

test('bounded by bytes: the least recently used goes first, and is counted', async () => {
  const shelf = shelfIn(await folderFor())
  later(() => shelf.close())
  for (const key of ['a', 'b', 'c']) expect(shelf.put(key, entry(2_500))).toBe(true)
  shelf.get('a')
  shelf.put('d', entry(2_500))
  expect(['a', 'b', 'c', 'd'].map((key) => shelf.get(key) !== undefined)).toEqual([true, false, true, true])
  expect(shelf).toMatchObject({ size: 3, sizeBytes: 3 * 3_012, counts: { evictions: 1 } })
  expect(shelf.put('huge', entry(10_000))).toBe(false)
  shelf.put('large', entry(9_000))
  expect(shelf).toMatchObject({ size: 1, sizeBytes: 9_512, counts: { evictions: 4 } })
})

test('an older answer never takes the place of a newer one', async () => {
  const shelf = shelfIn(await folderFor())
  later(() => shelf.close())
  shelf.put('a', entry(10, 5))
  expect(shelf.put('a', entry(20, 4))).toBe(false)
  expect(shelf.get('a')).toHaveLength(10)
  expect(shelf.put('a', entry(30, 5))).toBe(true)
  expect(shelf).toMatchObject({ size: 1, sizeBytes: 542 })
})

test('what is about a subject is forgotten, the rest stays', async () => {
  const shelf = shelfIn(await folderFor())
  later(() => shelf.close())
  for (const key of ['a', 'b', 'c']) shelf.put(key, entry(10, 1, key))
  shelf.forget(['a', 'b'])
  expect(shelf).toMatchObject({ size: 1, sizeBytes: 522 })
  expect(shelf.get('c')).toBeDefined()
  shelf.forget()
  expect(shelf).toMatchObject({ size: 0, sizeBytes: 0 })
})

test('what was used lately comes from memory as it was, and never after it was removed, forgotten or driven out', async () => {
  const shelf = shelfIn(await folderFor())
  later(() => shelf.close())
  for (const key of ['a', 'b', 'c']) shelf.put(key, entry(1_000, 1, key))
  const first = shelf.get('a')!
  expect(shelf.get('a')).toBe(first)
  shelf.put('a', entry(1_500, 2, 'a'))
  expect(shelf.get('a')).toHaveLength(1_500)
  shelf.remove('a')
  shelf.forget(['b'])
  expect(['a', 'b', 'c'].map((key) => shelf.get(key)?.length)).toEqual([undefined, undefined, 1_000])
  shelf.put('large', entry(9_000))
  expect(shelf.get('c')).toBeUndefined()
  expect(shelf).toMatchObject({ size: 1, sizeBytes: 9_512, counts: { evictions: 1 } })
})

test('a new start finds entries, order of use and counts', async () => {
  const folder = await folderFor()
  const before = shelfIn(folder)
  for (const key of ['a', 'b', 'c']) before.put(key, entry(2_500))
  before.get('a')
  before.count('misses', 3)
  before.close()
  const shelf = shelfIn(folder)
  later(() => shelf.close())
  expect(shelf).toMatchObject({ size: 3, sizeBytes: 3 * 3_012, counts: { misses: 3 } })
  shelf.put('d', entry(2_500))
  expect(shelf.get('a')).toBeDefined()
  expect(shelf.get('b')).toBeUndefined()
})

test('what was counted is sampled, not too often, for a day, and over a new start', async () => {
  const folder = await folderFor()
  const before = shelfIn(folder)
  const counted = async (what: 'local_hits' | 'misses', afterMs: number): Promise<void> => {
    await clock.advance(afterMs)
    before.count(what)
    await clock.advance(1_000)
  }
  await counted('misses', 0)
  await counted('local_hits', 1_000) // too soon
  await counted('local_hits', 20_000)
  await clock.advance(600_000) // nothing changes
  before.close()
  const shelf = shelfIn(folder)
  later(() => shelf.close())
  const kept = shelf.samples()
  expect(kept.map(({ hits, misses }) => [hits, misses])).toEqual([
    [0, 1],
    [2, 1],
  ])
  await clock.advance(86_400_000)
  shelf.count('misses')
  await clock.advance(1_000)
  expect(shelf.samples().map(({ hits, misses }) => [hits, misses])).toEqual([[2, 2]])
})

test('a disk that takes nothing ends nothing: nothing is kept, nothing that was forgotten is given, and it goes on when there is room', async () => {
  const folder = await folderFor()
  const shelf = shelfIn(folder)
  later(() => shelf.close())
  const disk = openStore({ path: join(folder, 'entries.db'), migrations: [], clock, log: silentLog })
  later(() => disk.close())
  shelf.put('a', entry(10))
  shelf.put('b', entry(10))
  for (const what of ['INSERT', 'UPDATE', 'DELETE'])
    disk.run(`CREATE TRIGGER full_${what} BEFORE ${what} ON entry BEGIN SELECT RAISE(ABORT, 'full'); END`)
  const room = (): void => ['INSERT', 'UPDATE', 'DELETE'].forEach((what) => disk.run(`DROP TRIGGER full_${what}`))
  expect(shelf.get('a')).toBeDefined()
  shelf.count('misses')
  await clock.advance(1_000)
  expect([shelf.put('a', entry(20, 2)), shelf.put('c', entry(20))]).toEqual([false, false])
  expect(shelf.get('a')).toHaveLength(10)
  expect(shelf).toMatchObject({ size: 2, sizeBytes: 2 * 522 })
  shelf.forget(['s'])
  expect(shelf.get('b')).toBeUndefined()
  expect(shelf.put('b', entry(20, 2))).toBe(false)
  room()
  expect(shelf.put('b', entry(20, 2))).toBe(true)
  expect(['a', 'b'].map((key) => shelf.get(key)?.length)).toEqual([undefined, 20])
  expect(shelf).toMatchObject({ size: 1, sizeBytes: 532, counts: { misses: 1 } })
})

test('a damaged file is set aside and a fresh one begun', async () => {
  const folder = await folderFor()
  const before = shelfIn(folder)
  before.put('a', entry(10))
  before.close()
  const path = join(folder, 'entries.db')
  writeFileSync(path, Buffer.concat([readFileSync(path).subarray(0, 100), Buffer.alloc(8_000, 7)]))
  const shelf = shelfIn(folder)
  later(() => shelf.close())
  expect(shelf.get('a')).toBeUndefined()
  expect(shelf.put('a', entry(10))).toBe(true)
  expect(readdirSync(folder).some((name) => name.startsWith('entries.db.') && !/-(?:wal|shm|mark)$/.test(name))).toBe(true)
})
