// What the API said when it wanted to be left alone: sealed as entries are, by budget, each for as long as it holds.
import type { Clock } from '../../kernel/clock.ts'
import { type Answer, isFresh, open } from '../entry/entry.ts'
import type { Group } from '../entry/group.ts'
import { maxWaitMs } from '../request/freshness.ts'

export interface Holds {
  add(budget: string, sealed: Uint8Array): void
  /** Those that still hold. */
  all(): readonly (readonly [budget: string, sealed: Uint8Array])[]
}

const maxHolds = 256
const limitStatuses: readonly number[] = [403, 429]

export function createHolds(clock: Pick<Clock, 'now'>, group: Group): Holds {
  const holds = new Map<string, Uint8Array>()
  return {
    add(budget, sealed) {
      holds.delete(budget)
      if (holds.size >= maxHolds) holds.delete(holds.keys().next().value!)
      holds.set(budget, sealed)
    },
    all() {
      for (const [budget, sealed] of holds) if (!holdIn(sealed, budget, group, clock.now())) holds.delete(budget)
      return [...holds]
    },
  }
}

export type Hold = { readonly untilMs: number; readonly answer: Answer; readonly origin: string }

/** What is said there, unless it is over, or no limit that an API sets. */
export function holdIn(sealed: Uint8Array, budget: string, group: Group, nowMs: number): Hold | undefined {
  const opened = open(sealed, budget, group, nowMs, limitStatuses)
  if (opened.is === 'refused' || !isFresh(opened.entry, nowMs) || opened.entry.ttlMs > maxWaitMs) return undefined
  const { origin, entry } = opened
  const { answer, atMs, ttlMs } = entry
  return { untilMs: atMs + ttlMs, answer, origin }
}
