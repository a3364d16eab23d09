// Holds a ledger that is being read to the trees that others saw of it.
import type { Stretches } from './checkpoint-files.ts'
import type { Place } from './line.ts'
import type { TreeHead } from './proof.ts'
import { type Subtree, TreeRange, entryLeaf, leavesIn, missingLeaves } from './tree.ts'

/** `by`: who saw it and when, as the end of a sentence. */
export type SeenTree = TreeHead & { readonly by: string }

type Gap = { readonly from: number; readonly to: number; hashesKept?: true }

export class SeenTrees {
  readonly #seen: readonly SeenTree[]
  readonly #kept: readonly Subtree[]
  readonly #tree = new TreeRange()
  #next = 0
  /** Entries that are gone, and nothing stands for them. */
  #lost: Gap | undefined

  constructor(seen: readonly SeenTree[], stretches: Stretches) {
    this.#seen = seen.filter(({ size }) => size > 0).toSorted((a, b) => a.size - b.size)
    this.#kept = stretches.flatMap(({ subtrees }) => [...subtrees])
  }

  /** The next entry that is there; the last of `gaps` is the one before it, if there is one. `seen`: up to it all is as somebody saw it. */
  take(entry: Place, gaps: Gap[]): 'seen' | 'unseen' | { readonly problem: string } {
    if (this.#next === this.#seen.length) return 'unseen'
    const from = this.#tree.end + 1
    const gap = gaps.at(-1)
    if (entry.seq > from && gap) {
      const kept = this.#keptBetween(from - 1, entry.seq - 1)
      if (kept) gap.hashesKept = true
      else this.#lost ??= gap
      for (const leaves of kept ?? missingLeaves([from - 1, entry.seq - 1])) {
        this.#tree.add(leaves)
        const problem = this.#compared()
        if (typeof problem === 'object') return problem
      }
    }
    this.#tree.add(entryLeaf(entry))
    return this.#compared()
  }

  /** What is wrong when the ledger ends with this entry, if anything is. */
  beyond(reached: number): string | undefined {
    const missed = this.#seen.slice(this.#next).find(({ size }) => size > reached)
    return missed && `cut off: ${entriesText(reached + 1, missed.size)} seen by ${missed.by}`
  }

  #compared(): 'seen' | 'unseen' | { readonly problem: string } {
    const { end } = this.#tree
    let judged: 'seen' | 'unseen' = 'unseen'
    for (let head = this.#seen[this.#next]; head && head.size <= end; head = this.#seen[this.#next]) {
      if (head.size < end || !this.#tree.root().equals(head.root)) return { problem: this.#mismatch(head) }
      this.#next++
      judged = 'seen'
    }
    return judged
  }

  #mismatch({ size, by }: SeenTree): string {
    if (this.#lost) return `cut off: ${entriesText(this.#lost.from, this.#lost.to)} seen by ${by}`
    const before = this.#seen[this.#next - 1]?.size ?? 0
    return `of another chain: among the entries ${before + 1} to ${size} are some that are not what was seen by ${by}`
  }

  #keptBetween(begin: number, end: number): readonly Subtree[] | undefined {
    const kept = this.#kept.filter((one) => one.begin >= begin && one.begin + leavesIn(one) <= end)
    const count = kept.reduce((sum, one) => sum + leavesIn(one), 0)
    return count === end - begin ? kept : undefined
  }
}

function entriesText(from: number, to: number): string {
  return from === to ? `entry ${from} was` : `the entries ${from} to ${to} were`
}
