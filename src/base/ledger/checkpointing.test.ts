// Checkpoints of a real ledger as they are made: each from the one before, never of what contradicts it, and kept fresh by the writer.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { openCheckpoint } from './checkpoint.ts'
import { readCheckpoints, readStretches } from './checkpoint-files.ts'
import { checkpointLedger } from './checkpointing.ts'
import { seal } from './line.ts'
import { checkEntryProof, entryProofText } from './proving.ts'
import { createIdentity } from '../identity/identity.ts'
import { verifyWitnessed } from './verify-witnessed.ts'
import { keepCheckpoints } from './keep-checkpoints.ts'
import { owner, origin, folder, add, names, checkpoint, verify, attempt, seen, rewrite, altered } from './witness.fixture.ts'

describe('checkpoints', () => {
  test('grow with the ledger, each read on from the one before, and give the same root as all read at once', async () => {
    const roots: string[] = []
    for (const count of [1, 3, 20, 7, 40]) {
      await add(count)
      const { checkpoint: made, stretches } = await checkpoint()
      expect(stretches.at(-1)!.end).toBe(made.size)
      roots.push(made.root.toString('hex'))
      expect((await checkpoint()).checkpoint.note).toBe(made.note) // nothing was added: nothing is signed again
    }
    const { own } = readCheckpoints(names())
    expect(own!.size).toBe(71)
    rmSync(join(folder, 'ledger.tree'))
    rmSync(join(folder, 'ledger.checkpoint'))
    expect((await checkpoint()).checkpoint.root.toString('hex')).toBe(roots.at(-1))
    expect(await verify()).toMatchObject({ intact: true, checkpoint: 71, durability: { written: 71, synced: 71, witnessed: 0 } })
  })

  test('there is none of an empty ledger; one maker at a time', async () => {
    await add(0)
    expect(await checkpointLedger({ identity: owner, log }, { folder, origin })).toBeUndefined()
    await add(2)
    const both = await Promise.all([attempt(checkpoint), attempt(checkpoint)])
    expect(both).toEqual([expect.objectContaining({ checkpoint: expect.anything() as unknown }), 'store.locked'])
  })

  test('a key in the place of another signs at once, and only if what that one signed still holds', async () => {
    const next = createIdentity(Buffer.alloc(32, 5))
    await add(5)
    await checkpoint()
    const sign = () => checkpointLedger({ identity: next, log }, { folder, origin })
    expect((await sign())!.checkpoint).toMatchObject({ owner: next.peerId, size: 5 }) // nothing was added meanwhile
    expect(await verifyWitnessed({ folder, origin }, { owner: next.peerId })).toMatchObject({ intact: true, checkpoint: 5 })
    await add(2)
    await checkpoint()
    altered(2)
    rmSync(join(folder, 'ledger.tree'))
    expect(await attempt(sign)).toBe('ledger.inconsistent')
    expect(readCheckpoints(names()).own!.owner).toBe(owner.peerId)
  })

  test('a stop between the tree and the checkpoint, and a tree that is lost or damaged, cost nothing but reading again', async () => {
    await add(30)
    await checkpoint()
    const before = readFileSync(join(folder, 'ledger.checkpoint'))
    await add(9)
    const { checkpoint: whole } = await checkpoint()
    writeFileSync(join(folder, 'ledger.checkpoint'), before) // as if it had stopped before its last step
    expect(readStretches(names(), openCheckpoint(before.toString())).at(-1)!.end).toBe(30)
    expect((await checkpoint()).checkpoint.note).toBe(whole.note)
    const tree = readFileSync(join(folder, 'ledger.tree'), 'utf8')
    for (const damaged of ['', 'x', tree.slice(0, -60), tree.replace(/[A-Z]/, 'z'), tree.replace(' ', '  '), `${tree}0 1 x\n`]) {
      writeFileSync(join(folder, 'ledger.tree'), damaged)
      expect((await checkpoint()).checkpoint.note).toBe(whole.note)
      expect(readStretches(names(), whole)).not.toEqual([])
    }
    expect(await verify()).toMatchObject({ intact: true, checkpoint: 39 })
    const last = tree.trimEnd().split(' ').at(-1)!
    writeFileSync(join(folder, 'ledger.tree'), tree.replace(last, Buffer.alloc(32).toString('base64')))
    await add(2)
    const { checkpoint: grown } = await checkpoint()
    for (const file of ['ledger.checkpoint', 'ledger.tree']) rmSync(join(folder, file))
    expect((await checkpoint()).checkpoint.note).toBe(grown.note)
  })

  test('what contradicts an earlier one is never signed, even when the tree is lost', async () => {
    await add(12, 1 << 20)
    await checkpoint()
    altered(5)
    expect(await verify()).toMatchObject({
      intact: false,
      firstBad: { seq: 1, problem: expect.stringContaining('entries 1 to 12') as string },
    })
    rmSync(join(folder, 'ledger.tree'))
    expect(await attempt(checkpoint)).toBe('ledger.inconsistent')
    rewrite((entries) => entries.slice(0, 4))
    expect(await attempt(checkpoint)).toBe('ledger.inconsistent')
  })

  test('a chain that is broken is not signed; an altered entry is named by who verifies, and cannot be proved', async () => {
    await add(6, 1 << 20)
    const path = join(folder, 'ledger.jsonl')
    const whole = readFileSync(path, 'utf8')
    writeFileSync(path, whole.split('\n').toSpliced(3, 1).join('\n'))
    expect(await attempt(checkpoint)).toBe('ledger.not_intact')
    const lines = whole.split('\n')
    const { prev } = JSON.parse(lines[3]!) as { prev: string }
    writeFileSync(path, lines.with(3, seal(4, '2026-01-01T00:00:00.000Z', '"event":"other"', prev).line.trimEnd()).join('\n'))
    expect(await attempt(checkpoint)).toBe('ledger.not_intact')
    writeFileSync(path, whole.replace('"n":3', '"n":7'))
    const made = await checkpoint()
    expect(await verify()).toMatchObject({ intact: false, firstBad: { seq: 4 } })
    expect(await attempt(() => entryProofText(made, made.checkpoint, 4))).toBe('ledger.not_intact')
    expect(checkEntryProof(await entryProofText(made, made.checkpoint, 5))).toMatchObject({ proved: true })
  })
})

test('a ledger with entries that were lost goes on: they count as leaves of no data, and what had been seen of them is missed', async () => {
  await add(10, 1 << 20)
  await seen()
  await add(6, 1 << 20)
  const path = join(folder, 'ledger.jsonl')
  const lose = (left: number): void => writeFileSync(path, `${readFileSync(path, 'utf8').split('\n').slice(0, left).join('\n')}\n`)
  lose(12) // .head names 16: the next to open goes on after that
  await add(2, 1 << 20)
  expect((await verify()).gaps).toEqual([{ from: 13, to: 16 }])
  expect(await seen()).toBe(19)
  expect(await verify()).toMatchObject({ intact: true, gaps: [{ from: 13, to: 16 }], durability: { witnessed: 19 } })
})

test('kept fresh by its writer: every so often when there is something new, and at the end', async () => {
  await add(3)
  const kept = keepCheckpoints({ identity: () => owner, clock, log }, { folder, origin }, { everyMs: 20 })
  const size = (): number | undefined => readCheckpoints(names()).own?.size
  await expect.poll(size, { timeout: 10_000 }).toBe(3)
  await add(2)
  await expect.poll(size, { timeout: 10_000 }).toBe(5)
  await kept.close()
  const last = keepCheckpoints({ identity: () => owner, clock, log }, { folder, origin })
  await add(1)
  await last.close()
  expect(size()).toBe(6)
})
