// A witness of a real ledger, and everything that somebody who can write the folder may try.
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { growthText } from './proving.ts'
import {
  owner,
  watcher,
  origin,
  root,
  folder,
  add,
  checkpoint,
  verify,
  witness,
  attempt,
  seen,
  rewrite,
  altered,
} from './witness.fixture.ts'

describe('a witness', () => {
  test('signs what grew, however much and from wherever, and remembers it over a restart', async () => {
    for (const count of [1, 1, 6, 25, 0, 13]) {
      await add(count)
      const size = await seen()
      expect(witness().known(owner.peerId, origin)).toMatchObject([{ size }])
    }
    expect(await verify()).toMatchObject({
      intact: true,
      durability: { written: 46, witnessed: 46 },
      witnesses: [{ by: watcher.peerId, size: 46 }],
      earlier: [],
    })
    await add(4)
    expect(await verify()).toMatchObject({ intact: true, durability: { written: 50, synced: 50, witnessed: 46 } })
  })

  test('refuses a proof from elsewhere, by another peer, of a fork, and of less than it has seen', async () => {
    await add(20, 1 << 20)
    await seen()
    const kept = join(root, 'kept')
    cpSync(folder, kept, { recursive: true })
    await add(5)
    const made = await checkpoint()
    const [known] = witness().known(owner.peerId, origin)
    const before = await growthText(made, 20)
    expect(await attempt(async () => witness().sign(owner.peerId, await growthText(made, 7)))).toBe('ledger.stale_growth')
    expect(await attempt(() => witness().sign(watcher.peerId, before))).toBe('ledger.foreign_checkpoint')
    expect(await attempt(() => witness().sign(owner.peerId, before.replace(/\n[^\n]+\n/, '\n')))).toBe('ledger.forked')
    expect(await attempt(() => witness().sign(owner.peerId, before.replace('old 20', 'old 99')))).toBe('ledger.growth_invalid')
    expect(witness().known(owner.peerId, origin)).toEqual([known])
    for (const file of ['ledger.checkpoint', 'ledger.tree']) rmSync(join(folder, file)) // with the owner's key, and no scruples
    rewrite((entries) => entries.slice(0, 12))
    expect(await attempt(() => seen(20))).toBe('ledger.rolled_back')
    expect(await attempt(() => seen(12))).toBe('ledger.rolled_back')
    rmSync(folder, { recursive: true })
    cpSync(kept, folder, { recursive: true })
    for (const file of ['ledger.checkpoint', 'ledger.tree']) rmSync(join(folder, file))
    altered(9)
    await add(3)
    expect(await attempt(() => seen(20))).toBe('ledger.forked')
    expect(await witness().sign(owner.peerId, before)).toContain(watcher.peerId) // what truly grew is signed after all that
  })

  test('does not take a damaged memory for having seen nothing', async () => {
    await add(3)
    await seen()
    const [name] = readdirSync(join(root, 'witness')) as [string]
    writeFileSync(join(root, 'witness', name), 'damaged')
    expect(await attempt(() => seen(0))).toBe('ledger.note_invalid')
  })

  test.each([
    ['its end cut off', () => rewrite((entries) => entries.slice(0, 15)), 16, /^cut off: the entries 16 to 20 were seen by 12D3\w+ at 2/],
    [
      'an entry altered and all hashes made to fit',
      () => altered(9),
      1,
      /^of another chain: among the entries 1 to 20 are some .* seen by 12D3\w+ at 2/,
    ],
    ['an entry taken out', () => rewrite((entries) => entries.toSpliced(4, 1)), 20, /^cut off: entry 20 was seen by/],
  ])('%s: the ledger is not intact by what it saw, whether that lies in the folder or is told', async (_name, harm, seq, problem) => {
    await add(20, 1 << 20)
    await seen()
    harm()
    rmSync(join(folder, 'ledger.checkpoint'))
    rmSync(join(folder, 'ledger.tree'))
    const found = { intact: false, firstBad: { seq, problem: expect.stringMatching(problem) as string } }
    expect(await verify()).toMatchObject(found)
    rmSync(join(folder, `ledger.witnessed-${watcher.peerId}`))
    expect(await verify()).toMatchObject({ intact: true, durability: { witnessed: 0 } }) // from the folder alone nobody can know
    expect(await verify({ told: witness().known(owner.peerId, origin) })).toMatchObject(found)
  })

  test('what came after it saw the ledger is named, not what came before', async () => {
    await add(10, 1 << 20)
    await seen()
    await add(6, 1 << 20)
    const { checkpoint: last } = await checkpoint()
    altered(13)
    expect(await verify()).toMatchObject({
      intact: false,
      firstBad: { seq: 11, line: 11, problem: expect.stringContaining(`entries 11 to ${last.size}`) as string },
      witnesses: [{ size: 10 }],
      durability: { witnessed: 10 },
    })
  })

  test('a deleted ledger begins a new chain, which is told and is no fork; one made anew with the old times is found', async () => {
    await add(8, 1 << 20, true)
    await seen()
    const old = join(root, 'old')
    cpSync(folder, old, { recursive: true })
    rmSync(join(folder, 'ledger.jsonl'))
    expect(await verify()).toMatchObject({ intact: true, entries: 0, earlier: [{ by: watcher.peerId, size: 8 }], witnesses: [] })
    await add(2, 1 << 20, true)
    expect(await verify()).toMatchObject({ intact: true, entries: 2, earlier: [{ size: 8 }], checkpoint: 0, durability: { witnessed: 0 } })
    expect(await seen(0)).toBe(2)
    expect(
      witness()
        .known(owner.peerId, origin)
        .map(({ size }) => size)
        .sort(),
    ).toEqual([2, 8])
    expect(await verify({ told: witness().known(owner.peerId, origin) })).toMatchObject({
      intact: true,
      witnesses: [{ size: 2 }],
      earlier: [{ size: 8 }],
    })
    rewrite((entries) => entries.map(({ body }) => ({ time: '2020-01-01T00:00:00.000Z', body: `${body},"more":1` })))
    expect(await verify()).toMatchObject({
      intact: false,
      firstBad: {
        seq: 1,
        problem: expect.stringMatching(/^of another chain: it says that it began before .* saw another one, with 2 entries/) as string,
      },
    })
  })
})
