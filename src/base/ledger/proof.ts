// Proofs over the tree of a ledger: that an entry is in it, and that it only grew. Which hashes they need: RFC 6962 §2.1.1 and §2.1.2; how they are checked: RFC 9162 §2.1.3.2 and §2.1.4.2.
import { type LeafSpan, type Subtree, TreeRange, leavesIn, nodeHash, partOf } from './tree.ts'

/** No proof over fewer than 2^53 leaves needs more; more are refused before they are looked at (C2SP tlog-witness sets the same limit). */
export const maxProofHashes = 63

/** What the hashes of an inclusion proof stand for, in their order: from the leaf's sibling to the root's child. */
export function inclusionSpans(index: number, size: number, begin = 0): LeafSpan[] {
  if (size <= 1) return []
  const part = partOf(size)
  return index < part
    ? [...inclusionSpans(index, part, begin), [begin + part, begin + size]]
    : [...inclusionSpans(index - part, size - part, begin + part), [begin, begin + part]]
}

/** The same of a consistency proof from the first `old` leaves to all `size`. Empty when there is nothing to prove: `old` is 0 or `size`. */
export function consistencySpans(old: number, size: number): LeafSpan[] {
  return old === 0 ? [] : grownSpans(old, size, 0, true)
}

function grownSpans(old: number, size: number, begin: number, isKnown: boolean): LeafSpan[] {
  if (old === size) return isKnown ? [] : [[begin, begin + size]]
  const part = partOf(size)
  return old <= part
    ? [...grownSpans(old, part, begin, isKnown), [begin + part, begin + size]]
    : [...grownSpans(old - part, size - part, begin + part, false), [begin, begin + part]]
}

/**
 * The hash over each span, in the order in which they are given, in one pass over the leaves. Spans do not overlap. Leaves outside of all are passed over.
 * Undefined: a span begins or ends inside of a subtree, or the leaves do not reach so far.
 */
export async function spanHashes(
  spans: readonly LeafSpan[],
  units: AsyncIterable<Subtree> | Iterable<Subtree>,
): Promise<Buffer[] | undefined> {
  const ranges = spans.map(([begin, end]) => ({ range: new TreeRange(begin), end }))
  const waiting = ranges.toSorted((a, b) => a.range.begin - b.range.begin)
  for await (const unit of units) {
    const unitEnd = unit.begin + leavesIn(unit)
    const next = waiting[0]
    if (!next || unitEnd <= next.range.begin) continue // to the end: whoever gives the leaves may have something to say then
    if (unit.begin !== next.range.end || unitEnd > next.end) return undefined
    next.range.add(unit)
    if (unitEnd === next.end) waiting.shift()
  }
  return waiting.length === 0 ? ranges.map(({ range }) => range.root()) : undefined
}

export type InclusionClaim = { readonly index: number; readonly size: number; readonly leaf: Buffer; readonly root: Buffer }

/** Whether the leaf stands at `index` (from 0) in the tree of `size` leaves with that root. RFC 9162 §2.1.3.2. */
export function provesInclusion({ index, size, leaf, root }: InclusionClaim, proof: readonly Buffer[]): boolean {
  if (!isSize(index) || !isSize(size) || index >= size || proof.length > maxProofHashes) return false
  let [at, last, found] = [index, size - 1, leaf]
  for (const hash of proof) {
    if (last === 0) return false
    if (isOdd(at) || at === last) {
      found = nodeHash(hash, found)
      while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)]
    } else found = nodeHash(found, hash)
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && found.equals(root)
}

export type TreeHead = { readonly size: number; readonly root: Buffer }

/** Whether the tree `later` is `earlier` with leaves added behind. From an empty tree everything grows; then, and between equal sizes, the proof is empty. RFC 9162 §2.1.4.2. */
export function provesConsistency(earlier: TreeHead, later: TreeHead, proof: readonly Buffer[]): boolean {
  if (!isSize(earlier.size) || !isSize(later.size) || earlier.size > later.size || proof.length > maxProofHashes) return false
  if (earlier.size === 0) return proof.length === 0
  if (earlier.size === later.size) return proof.length === 0 && earlier.root.equals(later.root)
  if (proof.length === 0) return false
  let [at, last] = [earlier.size - 1, later.size - 1]
  while (isOdd(at)) [at, last] = [half(at), half(last)]
  const [first, ...rest] = at === 0 ? [earlier.root, ...proof] : proof // the earlier tree is one whole subtree: its root is not said twice
  let [before, now] = [first!, first!]
  for (const hash of rest) {
    if (last === 0) return false
    if (isOdd(at) || at === last) {
      before = nodeHash(hash, before)
      now = nodeHash(hash, now)
      while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)]
    } else now = nodeHash(now, hash)
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && before.equals(earlier.root) && now.equals(later.root)
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isOdd(value: number): boolean {
  return value % 2 === 1
}

function half(value: number): number {
  return Math.floor(value / 2)
}
