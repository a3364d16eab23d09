// What all of a group have counted: the last word of each member, also of those that are gone.
import { type Count, type Counts, counts, noCounts } from '../counts.ts'

export interface GroupSum {
  /** What a member has counted so far; it comes in place of what it said before. */
  add(peer: string, counted: Readonly<Record<string, number>>): void
  /** With what the host itself counted. */
  with(own: Counts): Counts
  /** How many have said something. */
  readonly members: number
}

const maxPeers = 4_096

export function createGroupSum(): GroupSum {
  const told = new Map<string, Counts>()
  let gone = noCounts
  return {
    add(peer, counted) {
      told.delete(peer)
      if (told.size >= maxPeers) {
        const [oldest, last] = told.entries().next().value!
        told.delete(oldest)
        gone = plus(gone, last)
      }
      told.set(
        peer,
        mapped((what) => counted[what] ?? 0),
      )
    },
    with: (own) => [...told.values(), gone].reduce(plus, own),
    get members() {
      return told.size
    },
  }
}

function mapped(value: (what: Count) => number): Counts {
  return Object.fromEntries(counts.map((what) => [what, value(what)])) as Counts
}

function plus(one: Counts, other: Counts): Counts {
  return mapped((what) => one[what] + other[what])
}
