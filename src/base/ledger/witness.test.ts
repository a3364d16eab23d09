// Checkpoints of a real ledger, a witness that sees them, and everything that somebody who can write the folder may try.
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { Fault } from '../../kernel/fault.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createIdentity } from '../identity/identity.ts'
import { openCheckpoint, signCheckpoint, withCosignature } from './checkpoint.ts'
import { readCheckpoints, readStretches, writeWitnessed } from './checkpoint-files.ts'
import { type Checkpointed, checkpointLedger } from './checkpointing.ts'
import { openLedger } from './ledger.ts'
import { genesis, seal } from './line.ts'
import { checkEntryProof, entryProofText, growthText, parseGrowth } from './proving.ts'
import { namesOf } from './segments.ts'
import { entryLeaf } from './tree.ts'
import { verifyWitnessed } from './verify-witnessed.ts'
import { dropSegments } from './retention.ts'
import { keepCheckpoints } from './keep-checkpoints.ts'
import { openWitness } from './witness.ts'

const owner = createIdentity(Buffer.alloc(32, 1))
const watcher = createIdentity(Buffer.alloc(32, 2))
const next = createIdentity(Buffer.alloc(32, 5))
const origin = 'test/calls'
let root: string
let folder: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'witness-'))
  folder = join(root, 'ledger')
})
afterEach(() => rmSync(root, { recursive: true }))

async function add(count: number, maxSegmentBytes = 1_500, mayBeDeleted = false): Promise<void> {
  const ledger = openLedger({ folder, origin, clock, log, maxSegmentBytes, reserveBytes: 0, mayBeDeleted })
  for (let n = 0; n < count; n++) await ledger.append({ event: 'call', n })
  await ledger.close()
}
const names = () => namesOf(folder, 'ledger.jsonl')
const checkpoint = async (): Promise<Checkpointed> => (await checkpointLedger({ identity: owner, log }, { folder, origin }))!
const verify = (told: Parameters<typeof verifyWitnessed>[1] = {}) => verifyWitnessed({ folder, origin }, { owner: owner.peerId, ...told })
const witness = () => openWitness({ identity: watcher, clock, log }, join(root, 'witness'))
const segments = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
const attempt = async (act: () => unknown): Promise<unknown> => {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return error.code
  }
}

/** Asks for a cosignature as a client does, and keeps it. */
async function seen(old = witness().known(owner.peerId, origin)[0]?.size ?? 0): Promise<number> {
  const made = await checkpoint()
  const line = await witness().sign(owner.peerId, await growthText(made, old))
  writeWitnessed(names(), watcher.peerId, withCosignature(made.checkpoint, line, watcher.peerId))
  return made.checkpoint.size
}

/** Writes the ledger again from its lines, with hashes that fit: what somebody does who knows the format. */
function rewrite(change: (entries: { time: string; body: string }[]) => { time: string; body: string }[]): void {
  const lines = segments()
    .sort((a, b) => (a === 'ledger.jsonl' ? 1 : b === 'ledger.jsonl' ? -1 : a < b ? -1 : 1))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
  const entries = lines.map((line) => {
    const [, time, body] = /^\{"seq":\d+,"time":"([^"]*)",(.*),"prev":"/.exec(line)!
    return { time: time!, body: body! }
  })
  let prev = genesis(origin).hash
  const made = change(entries).map(({ time, body }, index) => {
    const { line, hash } = seal(index + 1, time, body, prev)
    prev = hash
    return line
  })
  for (const name of segments()) rmSync(join(folder, name))
  rmSync(join(folder, 'ledger.head'), { force: true })
  writeFileSync(join(folder, 'ledger.jsonl'), made.join(''))
}
const altered = (at: number) => rewrite((entries) => entries.with(at - 1, { ...entries[at - 1]!, body: '"event":"forged"' }))

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

describe('one entry', () => {
  test('is proved by one text, without the ledger; nothing altered in that text proves it', async () => {
    await add(23)
    await seen()
    await add(4)
    const made = await checkpoint()
    const { witnessed } = readCheckpoints(names())
    for (const seq of [1, 2, 16, 22, 23]) {
      const text = await entryProofText(made, witnessed[0]!, seq)
      expect(checkEntryProof(text)).toMatchObject({ proved: true, seq, checkpoint: { size: 23, cosignatures: [{ by: watcher.peerId }] } })
    }
    const text = await entryProofText(made, made.checkpoint, 26)
    expect(checkEntryProof(text)).toMatchObject({ proved: true, seq: 26, line: expect.stringContaining('"n":2') as string })
    for (let at = 0; at < text.length; at++) {
      const changed = `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`
      if (changed !== text) expect(checkEntryProof(changed)).toMatchObject({ proved: false })
    }
    for (const seq of [0, 28, 1.5]) expect(await attempt(() => entryProofText(made, made.checkpoint, seq))).toBe('ledger.no_entry')
  })

  test('from entries that are not those that were signed, no proof of growth is made', async () => {
    await add(20, 1 << 20)
    const made = await checkpoint()
    expect(await attempt(() => growthText(made, 7))).toContain('old 7\n')
    altered(18)
    expect(await attempt(() => growthText(made, 7))).toBe('ledger.dropped')
  })

  test('is none when its number is not that of its place, whatever its owner signed', async () => {
    const { line, hash } = seal(2, '2026-01-01T00:00:00.000Z', '"event":"call"', genesis(origin).hash)
    const root = entryLeaf({ seq: 1, hash }).hash
    const note = await signCheckpoint(owner, { ledger: origin, chain: hash, size: 1, root })
    const text = (seq: string) =>
      `c2sp.org/tlog-proof@v1\nextra ${Buffer.from(line.trimEnd().replace('"seq":2', seq)).toString('base64')}\nindex 0\n\n${note}`
    expect(checkEntryProof(text('"seq":2'))).toEqual({ proved: false, problem: 'it is entry 2, not 1' })
    expect(checkEntryProof(text('"seq":1'))).toMatchObject({ proved: false, problem: expect.stringContaining('altered') as string })
  })

  test('texts of any shape are read or refused', () => {
    for (const text of ['', '\n\n', 'c2sp.org/tlog-proof@v1\n\n', 'old 1\n\n', 'x'.repeat(1 << 20)]) {
      expect(checkEntryProof(text)).toMatchObject({ proved: false })
      expect(() => parseGrowth(text)).toThrow(Fault)
    }
  })
})

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
