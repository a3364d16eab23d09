// One entry of a real ledger, proved by one text.
import { describe, expect, test } from 'vitest'
import { Fault } from '../../kernel/fault.ts'
import { signCheckpoint } from './checkpoint.ts'
import { readCheckpoints } from './checkpoint-files.ts'
import { genesis, seal } from './line.ts'
import { checkEntryProof, entryProofText, growthText, parseGrowth } from './proving.ts'
import { entryLeaf } from './tree.ts'
import { owner, watcher, origin, add, names, checkpoint, attempt, seen, altered } from './witness.fixture.ts'

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
