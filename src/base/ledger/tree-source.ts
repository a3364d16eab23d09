// The leaves of a ledger's tree, from its entries and, where these need not or cannot be read again, from the hashes of stretches of them.
import { fault } from './faults.ts'
import type { Stretches } from './checkpoint-files.ts'
import { entriesFrom } from './lines.ts'
import { spanHashes } from './proof.ts'
import type { Names } from './segments.ts'
import { type LeafSpan, type Subtree, TreeRange, entryLeaf, leavesIn, missingLeaves } from './tree.ts'

/** The entries of the span as leaves, in order. Those that are not there are leaves of no data. */
async function* entryLeaves(names: Names, [begin, end]: LeafSpan, signal?: AbortSignal): AsyncGenerator<Subtree> {
  let at = begin
  read: for await (const entries of entriesFrom(names, begin + 1, signal))
    for (const entry of entries) {
      if (entry.seq > end) break read
      yield* missingLeaves([at, entry.seq - 1])
      yield entryLeaf(entry)
      at = entry.seq
    }
  yield* missingLeaves([at, end])
}

/** The leaves of a stretch that has to be looked into; fault `ledger.dropped` when they are not those that its hashes stand for. */
async function* within(names: Names, stretch: TreeRange, signal?: AbortSignal): AsyncGenerator<Subtree> {
  const found = new TreeRange(stretch.begin)
  for await (const leaf of entryLeaves(names, [stretch.begin, stretch.end], signal)) {
    found.add(leaf)
    yield leaf
  }
  const isSame = found.subtrees.every(({ hash }, index) => hash.equals(stretch.subtrees[index]!.hash))
  if (!isSame) throw fault.dropped({ path: names.active, from: stretch.begin + 1, to: stretch.end })
}

/**
 * The first `size` leaves as whole subtrees, none of which reaches over a seam. Stretches are taken as they are wherever no seam is inside of one of their subtrees.
 * Faults: `ledger.unreadable`, `ledger.not_intact`, `ledger.dropped`.
 */
export async function* treeLeaves(
  names: Names,
  stretches: Stretches,
  size: number,
  seams: readonly number[],
  signal?: AbortSignal,
): AsyncGenerator<Subtree> {
  const isOpen = (subtree: Subtree): boolean =>
    [...seams, size].some((seam) => subtree.begin < seam && seam < subtree.begin + leavesIn(subtree))
  let at = 0
  for (const stretch of stretches) {
    if (at >= size) return
    if (stretch.subtrees.some(isOpen)) yield* within(names, stretch, signal)
    else yield* stretch.subtrees
    at = stretch.end
  }
  if (at < size) yield* entryLeaves(names, [at, size], signal)
}

/** The hashes over these spans of a tree of `size` leaves; faults of `treeLeaves`. */
export async function hashesOver(
  names: Names,
  stretches: Stretches,
  size: number,
  spans: readonly LeafSpan[],
  signal?: AbortSignal,
): Promise<Buffer[]> {
  const hashes = await spanHashes(spans, treeLeaves(names, stretches, size, spans.flat(), signal))
  if (!hashes) throw fault.dropped({ path: names.active, from: 1, to: size })
  return hashes
}
