// The language-neutral cases of spec/vectors/ledger/tree.json: trees, proofs, checkpoints, and the two texts that are handed to others.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Fault } from '../../kernel/fault.ts'
import { createIdentity } from '../identity/identity.ts'
import { type OpenCheckpoint, openCheckpoint, signCheckpoint } from './checkpoint.ts'
import { provesConsistency, provesInclusion } from './proof.ts'
import { checkEntryProof, parseGrowth } from './proving.ts'
import { TreeRange, entryLeaf, leafHash, missingLeaves } from './tree.ts'

type Says = { owner: string; ledger: string; chain: string; size: number; root: string; cosignatures: { by: string; time: number }[] }
type Vectors = {
  leaves: string[]
  roots: string[]
  inclusion: { index: number; size: number; leaf: string; root: string; proof: string[]; valid: boolean }[]
  consistency: { old: number; size: number; oldRoot: string; root: string; proof: string[]; valid: boolean }[]
  ledger: { file: string; roots: string[]; lost: { present: number[]; root: string } }
  keys: { owner: string }
  notes: { name: string; note: string; says: Says | null }[]
  growth: { old: number; text: string }
  proofs: { name: string; text: string; says: (Says & { seq: number; line: string }) | null }[]
}
const folder = join(import.meta.dirname, '../../../spec/vectors/ledger')
const vectors = JSON.parse(readFileSync(join(folder, 'tree.json'), 'utf8')) as Vectors
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex')
const saysOf = ({ owner, ledger, chain, size, root, cosignatures }: OpenCheckpoint): Says => ({
  owner,
  ledger,
  chain,
  size,
  root: root.toString('hex'),
  cosignatures: cosignatures.map(({ by, at }) => ({ by, time: at / 1000 })),
})

test('roots', () => {
  const tree = new TreeRange()
  const found = [tree.root().toString('hex')]
  for (const [begin, leaf] of vectors.leaves.entries()) {
    tree.add({ begin, level: 0, hash: leafHash(bytes(leaf)) })
    found.push(tree.root().toString('hex'))
  }
  expect(found).toEqual(vectors.roots)
})

test('proofs', () => {
  for (const { index, size, leaf, root, proof, valid } of vectors.inclusion)
    expect(provesInclusion({ index, size, leaf: bytes(leaf), root: bytes(root) }, proof.map(bytes))).toBe(valid)
  for (const { old, size, oldRoot, root, proof, valid } of vectors.consistency)
    expect(provesConsistency({ size: old, root: bytes(oldRoot) }, { size, root: bytes(root) }, proof.map(bytes))).toBe(valid)
})

test('the tree of a ledger, and of one where entries are lost', () => {
  const { file, roots, lost } = vectors.ledger
  const lines = readFileSync(join(folder, file), 'utf8').split('\n').slice(0, -1)
  const entries = lines.map((line) => JSON.parse(line) as { seq: number; hash: string })
  const [tree, withGap] = [new TreeRange(), new TreeRange()]
  for (const [index, entry] of entries.entries()) {
    tree.add(entryLeaf(entry))
    expect(tree.root().toString('hex')).toBe(roots[index])
    if (!lost.present.includes(entry.seq)) continue
    withGap.join(missingLeaves([withGap.end, entry.seq - 1])).add(entryLeaf(entry))
  }
  expect(withGap.root().toString('hex')).toBe(lost.root)
})

test.each(vectors.notes)('a checkpoint: $name', ({ note, says }) => {
  const open = (): Says => saysOf(openCheckpoint(note))
  if (says) expect(open()).toEqual(says)
  else expect(open).toThrow(Fault)
})

test('the first of them is what this program signs', async () => {
  const { note, says } = vectors.notes[0]!
  expect(await signCheckpoint(createIdentity(bytes(vectors.keys.owner)), { ...says!, root: bytes(says!.root) })).toBe(note)
})

test('what is sent to a witness', () => {
  const { old, proof, checkpoint } = parseGrowth(vectors.growth.text)
  expect(old).toBe(vectors.growth.old)
  expect(provesConsistency({ size: old, root: bytes(vectors.ledger.roots[old - 1]!) }, checkpoint, proof)).toBe(true)
})

test.each(vectors.proofs)('a proof of an entry: $name', ({ text, says }) => {
  const found = checkEntryProof(text)
  expect(found.proved).toBe(says !== null)
  if (found.proved) expect({ seq: found.seq, line: found.line, ...saysOf(found.checkpoint) }).toEqual(says)
})
