// The Merkle tree over the entries of a ledger (RFC 6962 §2.1), kept as compact ranges: of a stretch of leaves only the hashes of its largest whole subtrees.
import { hash as digest } from 'node:crypto'

export const treeHashBytes = 32

/** A whole subtree: `2 ** level` leaves from the leaf `begin`, counted from 0; `begin` is a multiple of that size. */
export type Subtree = { readonly begin: number; readonly level: number; readonly hash: Buffer }

/** The leaves from `begin` up to, but without, `end`. */
export type LeafSpan = readonly [begin: number, end: number]

const node = Buffer.alloc(1 + 2 * treeHashBytes, 1)

/** As text and back: to have the bytes from `hash` itself takes three times as long. */
function hashOf(bytes: Uint8Array): Buffer {
  return Buffer.from(digest('sha256', bytes, 'latin1'), 'latin1')
}

/** RFC 6962 §2.1: the hash of a leaf with these bytes. */
export function leafHash(data: Uint8Array): Buffer {
  return hashOf(Buffer.concat([Uint8Array.of(0), data]))
}

/** RFC 6962 §2.1: the hash of two subtrees side by side. */
export function nodeHash(left: Buffer, right: Buffer): Buffer {
  left.copy(node, 1)
  right.copy(node, 1 + treeHashBytes)
  return hashOf(node)
}

/** The leaf of entry `seq` of a ledger: its data are the 43 characters of the entry's hash. */
export function entryLeaf({ seq, hash }: { readonly seq: number; readonly hash: string }): Subtree {
  return { begin: seq - 1, level: 0, hash: Buffer.from(digest('sha256', `\0${hash}`, 'latin1'), 'latin1') }
}

/** How many leaves a whole subtree has. */
export function leavesIn({ level }: Pick<Subtree, 'level'>): number {
  return 2 ** level
}

/** The largest power of two below `size`: where RFC 6962 parts a tree of more than one leaf. */
export function partOf(size: number): number {
  let part = 1
  while (part * 2 < size) part *= 2
  return part
}

/** Leaves that follow one another, as the fewest whole subtrees. It grows at its end; 2 × 53 hashes at most, and about two hashings for each leaf. */
export class TreeRange {
  readonly begin: number
  readonly #subtrees: Subtree[] = []

  constructor(begin = 0) {
    this.begin = begin
  }

  get end(): number {
    const last = this.#subtrees.at(-1)
    return last ? last.begin + leavesIn(last) : this.begin
  }

  get subtrees(): readonly Subtree[] {
    return this.#subtrees
  }

  /** Takes the subtree that begins where the range ends. */
  add(subtree: Subtree): void {
    if (subtree.begin !== this.end) throw new RangeError(`leaf ${subtree.begin} where ${this.end} belongs`)
    let last = subtree
    for (
      let left = this.#subtrees.at(-1);
      left?.level === last.level && left.begin % (2 * leavesIn(left)) === 0;
      left = this.#subtrees.at(-1)
    ) {
      this.#subtrees.pop()
      last = { begin: left.begin, level: left.level + 1, hash: nodeHash(left.hash, last.hash) }
    }
    this.#subtrees.push(last)
  }

  join(subtrees: Iterable<Subtree>): this {
    for (const subtree of subtrees) this.add(subtree)
    return this
  }

  /** The hash over the range, when it is a whole tree or one side of where RFC 6962 parts one; of no leaves at all: SHA-256 of nothing. */
  root(): Buffer {
    const last = this.#subtrees.at(-1)
    if (!last) return hashOf(new Uint8Array())
    return this.#subtrees.slice(0, -1).reduceRight((right, { hash }) => nodeHash(hash, right), last.hash)
  }
}

/** The fewest whole subtrees that the span consists of, in order: where each begins, and its level. */
export function* wholeSubtrees([begin, end]: LeafSpan): Generator<Omit<Subtree, 'hash'>> {
  for (let at = begin; at < end;) {
    let level = 0
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= end) level++
    yield { begin: at, level }
    at += 2 ** level
  }
}

/** Leaves of no data: they stand for entries that are lost, however many. */
export function* missingLeaves(span: LeafSpan): Generator<Subtree> {
  const hashes = [leafHash(new Uint8Array())]
  for (const { begin, level } of wholeSubtrees(span)) {
    while (hashes.length <= level) hashes.push(nodeHash(hashes.at(-1)!, hashes.at(-1)!))
    yield { begin, level, hash: hashes[level]! }
  }
}
