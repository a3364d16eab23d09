// What is left of a ledger whose old files were dropped.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkEntryProof, entryProofText, growthText } from './proving.ts'
import { dropSegments } from './retention.ts'
import { folder, add, checkpoint, verify, segments, attempt, seen } from './witness.fixture.ts'

describe('old files', () => {
  const dropTo = (keepBytes: number) => dropSegments({ folder }, keepBytes)

  test('dropped, leave their hashes: roots, growth and entries that are left are proved as before', async () => {
    await add(30)
    await seen()
    await add(31)
    expect(dropTo(0).at(-1)!.to).toBeLessThanOrEqual(30) // what was not signed yet stays
    const { checkpoint: before } = await checkpoint()
    const dropped = dropTo(3_000)
    expect(dropped.length).toBeGreaterThan(1)
    const gone = dropped.at(-1)!.to
    expect(gone).toBeGreaterThan(30)
    expect(await verify()).toMatchObject({
      intact: true,
      entries: 61 - gone,
      gaps: [{ from: 1, to: gone, hashesKept: true }],
      witnesses: [{ size: 30 }],
      durability: { written: 61, synced: 61, witnessed: 30 },
    })
    expect((await checkpoint()).checkpoint.note).toBe(before.note)
    await add(5)
    expect(await seen()).toBe(66) // from 30, which lies within what was dropped, but at a seam
    const made = await checkpoint()
    expect(checkEntryProof(await entryProofText(made, made.checkpoint, gone + 1))).toMatchObject({ proved: true, seq: gone + 1 })
    expect(await attempt(() => entryProofText(made, made.checkpoint, gone))).toBe('ledger.no_entry')
    expect(await attempt(() => growthText(made, 7))).toBe('ledger.dropped')
    rmSync(join(folder, 'ledger.tree'))
    const found = await verify()
    expect(found).toMatchObject({
      intact: false,
      firstBad: { problem: expect.stringMatching(/^cut off: the entries 1 to \d+ were seen/) as string },
    })
    expect(await attempt(checkpoint)).toBe('ledger.inconsistent')
  })

  test('nothing is dropped without a checkpoint, nor the file that is written', async () => {
    await add(20)
    expect(dropTo(0)).toEqual([])
    await checkpoint()
    expect(dropTo(0).length).toBeGreaterThan(0)
    expect(segments()).toEqual(['ledger.jsonl'])
  })
})
