// How far a ledger was signed and witnessed, as is kept beside it: read without a look at its entries, so that it costs nothing however long it is.
import { readCheckpoints } from './checkpoint-files.ts'
import type { LedgerPlace } from './checkpointing.ts'
import { namesOf } from './segments.ts'

/** `by` saw `size` entries; `at` is its wall time in milliseconds. */
export type Seen = { readonly by: string; readonly at: number; readonly size: number }

/** What `owner` signed of its ledger last, as a number of entries, and what was seen by witnesses of the same chain, the latest first. It is for `verifyWitnessed` to say whether it holds. */
export function sightingsOf(
  { folder, file, origin }: LedgerPlace,
  owner: string,
): { readonly signed: number; readonly seen: readonly Seen[] } {
  const { own, witnessed } = readCheckpoints(namesOf(folder, file ?? 'ledger.jsonl'))
  if (own?.owner !== owner || own.ledger !== origin) return { signed: 0, seen: [] }
  const seen = witnessed
    .filter((one) => one.owner === owner && one.ledger === origin && one.chain === own.chain)
    .flatMap(({ size, cosignatures }) => cosignatures.map(({ by, at }) => ({ by, at, size })))
  return { signed: own.size, seen: seen.sort((a, b) => b.at - a.at) }
}
