// The tree and its proofs against RFC 6962's own definitions, written down naively, against known roots, and against every proof altered.
import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { consistencySpans, inclusionSpans, provesConsistency, provesInclusion, spanHashes } from './proof.ts'
import { type Subtree, TreeRange, entryLeaf, leafHash, missingLeaves } from './tree.ts'

const sha = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const largestPowerBelow = (n: number): number => 2 ** Math.ceil(Math.log2(n) - 1)

/** RFC 6962 §2.1, word for word. */
function mth(leaves: readonly Uint8Array[]): Buffer {
  if (leaves.length === 0) return sha()
  if (leaves.length === 1) return sha(Uint8Array.of(0), leaves[0]!)
  const k = largestPowerBelow(leaves.length)
  return sha(Uint8Array.of(1), mth(leaves.slice(0, k)), mth(leaves.slice(k)))
}

/** RFC 6962 §2.1.1. */
function path(m: number, leaves: readonly Uint8Array[]): Buffer[] {
  if (leaves.length === 1) return []
  const k = largestPowerBelow(leaves.length)
  return m < k ? [...path(m, leaves.slice(0, k)), mth(leaves.slice(k))] : [...path(m - k, leaves.slice(k)), mth(leaves.slice(0, k))]
}

/** RFC 6962 §2.1.2. */
function subproof(m: number, leaves: readonly Uint8Array[], isWhole: boolean): Buffer[] {
  if (m === leaves.length) return isWhole ? [] : [mth(leaves)]
  const k = largestPowerBelow(leaves.length)
  return m <= k
    ? [...subproof(m, leaves.slice(0, k), isWhole), mth(leaves.slice(k))]
    : [...subproof(m - k, leaves.slice(k), false), mth(leaves.slice(0, k))]
}

const dataOf = (size: number): Buffer[] => Array.from({ length: size }, (_, n) => Buffer.from(`leaf ${n}`))
const unitsOf = (data: readonly Uint8Array[]): Subtree[] => data.map((bytes, begin) => ({ begin, level: 0, hash: leafHash(bytes) }))
const rootOf = (data: readonly Uint8Array[]): Buffer => new TreeRange().join(unitsOf(data)).root()

test('the roots that certificate transparency’s reference implementation has for its eight leaves', () => {
  const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
  const roots = [
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ]
  const data = leaves.map((hex) => Buffer.from(hex, 'hex'))
  expect(roots.map((_, size) => rootOf(data.slice(0, size)).toString('hex'))).toEqual(roots)
})

test('roots and proofs of all sizes up to 70 are those of the definitions, and verify', async () => {
  const data = dataOf(70)
  for (let size = 1; size <= data.length; size++) {
    const leaves = data.slice(0, size)
    const root = mth(leaves)
    expect(rootOf(leaves)).toEqual(root)
    for (const other of new Set([0, 1, 2, size >> 1, size - 2, size - 1].filter((n) => n >= 0 && n < size))) {
      const inclusion = (await spanHashes(inclusionSpans(other, size), unitsOf(leaves)))!
      expect(inclusion).toEqual(path(other, leaves))
      expect(provesInclusion({ index: other, size, leaf: leafHash(leaves[other]!), root }, inclusion)).toBe(true)
      const consistency = (await spanHashes(consistencySpans(other, size), unitsOf(leaves)))!
      expect(consistency).toEqual(other === 0 ? [] : subproof(other, leaves, true))
      expect(provesConsistency({ size: other, root: mth(leaves.slice(0, other)) }, { size, root }, consistency)).toBe(true)
    }
  }
})

const treeAndPlace = fc.integer({ min: 2, max: 3_000 }).chain((size) => fc.tuple(fc.constant(size), fc.integer({ min: 1, max: size - 1 })))

/** One thing about a proof changed: a bit, a hash taken out, doubled, put in or swapped. */
const mutations = fc.tuple(fc.nat(4), fc.nat(), fc.nat(255))
function mutate(proof: readonly Buffer[], [kind, at, bit]: [number, number, number]): Buffer[] {
  const index = proof.length === 0 ? 0 : at % proof.length
  const changed = proof.map((hash) => Buffer.from(hash))
  if (kind === 4 || proof.length === 0) return changed.toSpliced(at % (proof.length + 1), 0, Buffer.alloc(32, bit))
  if (kind === 0) changed[index]![bit >> 3]! ^= 1 << (bit & 7)
  else if (kind === 1) changed.splice(index, 1)
  else if (kind === 2) changed.splice(index, 0, changed[index]!)
  else changed.reverse()
  return changed
}
const isSame = (a: readonly Buffer[], b: readonly Buffer[]): boolean => a.length === b.length && a.every((hash, n) => hash.equals(b[n]!))

test('every proof altered in any way, and every claim but the true one, is refused', async () => {
  await fc.assert(
    fc.asyncProperty(treeAndPlace, mutations, fc.nat(), async ([size, old], mutation, other) => {
      const data = dataOf(size)
      const [root, before] = [rootOf(data), rootOf(data.slice(0, old))]
      const claim = { index: old, size, leaf: leafHash(data[old]!), root }
      const inclusion = (await spanHashes(inclusionSpans(old, size), unitsOf(data)))!
      const consistency = (await spanHashes(consistencySpans(old, size), unitsOf(data)))!
      expect(provesInclusion(claim, inclusion)).toBe(true)
      expect(provesConsistency({ size: old, root: before }, { size, root }, consistency)).toBe(true)
      const [badInclusion, badConsistency] = [mutate(inclusion, mutation), mutate(consistency, mutation)]
      if (!isSame(badInclusion, inclusion)) expect(provesInclusion(claim, badInclusion)).toBe(false)
      if (!isSame(badConsistency, consistency))
        expect(provesConsistency({ size: old, root: before }, { size, root }, badConsistency)).toBe(false)
      const wrong = other % size
      if (wrong !== old) {
        expect(provesInclusion({ ...claim, index: wrong }, inclusion)).toBe(false)
        expect(provesInclusion({ ...claim, leaf: leafHash(data[wrong]!) }, inclusion)).toBe(false)
      }
      const forked = rootOf(data.with(other % old, Buffer.from('another')).slice(0, old))
      expect(provesConsistency({ size: old, root: forked }, { size, root }, consistency)).toBe(false)
      expect(provesConsistency({ size, root }, { size: old, root: before }, consistency)).toBe(false)
    }),
    { numRuns: 150 },
  )
})

test('any parting of the leaves into ranges gives the same tree, and the same proofs where their seams allow', async () => {
  const parted = fc.tuple(fc.integer({ min: 1, max: 300 }), fc.array(fc.nat(300), { maxLength: 8 }), fc.nat(300))
  await fc.assert(
    fc.asyncProperty(parted, async ([size, cuts, some]) => {
      const units = unitsOf(dataOf(size))
      const seams = [...new Set([0, ...cuts.filter((cut) => cut < size), size])].sort((a, b) => a - b)
      const ranges = seams.slice(1).map((end, n) => new TreeRange(seams[n]).join(units.slice(seams[n], end)))
      const whole = new TreeRange().join(ranges.flatMap(({ subtrees }) => subtrees))
      expect(whole.root()).toEqual(mth(dataOf(size)))
      expect(whole.end).toBe(size)
      const old = 1 + (some % size)
      const wanted = (await spanHashes(consistencySpans(old, size), units))!
      const found = await spanHashes(
        consistencySpans(old, size),
        ranges.flatMap(({ subtrees }) => [...subtrees]),
      )
      if (seams.includes(old)) expect(found).toEqual(wanted)
      else if (found) expect(found).toEqual(wanted)
    }),
    { numRuns: 300 },
  )
})

test('lost entries are leaves of no data, however many, at the cost of a few hashes', () => {
  fc.assert(
    fc.property(fc.nat(200), fc.nat(200), (begin, count) => {
      const leaves = Array.from({ length: count }, (_, n) => ({ begin: begin + n, level: 0, hash: leafHash(Buffer.alloc(0)) }))
      const one = new TreeRange(begin).join(leaves)
      expect(new TreeRange(begin).join(missingLeaves([begin, begin + count])).subtrees).toEqual(one.subtrees)
    }),
  )
  expect([...missingLeaves([1, 2 ** 52])].length).toBe(52)
})

test('proofs of impossible shape are refused, not worse', () => {
  const some = fc.oneof(fc.nat(), fc.integer(), fc.double(), fc.constantFrom(2 ** 53, Number.NaN, Infinity))
  const hashes = fc.array(
    fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 70 },
  )
  fc.assert(
    fc.property(some, some, hashes, (index, size, proof) => {
      const root = Buffer.alloc(32, 1)
      expect(provesInclusion({ index, size, leaf: root, root: Buffer.alloc(32, 2) }, proof)).toBe(false)
      if (index !== 0) expect(provesConsistency({ size: index, root }, { size, root: Buffer.alloc(32, 2) }, proof)).toBe(false)
    }),
  )
})

test('the leaf of an entry is its hash, as it is written', () => {
  const hash = 'A'.repeat(43)
  expect(entryLeaf({ seq: 7, hash })).toEqual({ begin: 6, level: 0, hash: sha(Uint8Array.of(0), Buffer.from(hash)) })
})
