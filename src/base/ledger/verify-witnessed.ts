// Verifies a ledger against itself and against everything that was signed of it: by its owner, and by witnesses.
import { basename } from 'node:path'
import type { Cosignature, OpenCheckpoint } from './checkpoint.ts'
import { readCheckpoints, readStretches } from './checkpoint-files.ts'
import type { LedgerPlace } from './checkpointing.ts'
import { firstEntry } from './lines.ts'
import { type Names, listSegments, namesOf, readWatermark } from './segments.ts'
import type { SeenTree } from './seen.ts'
import { type LedgerVerdict, verifyLedger } from './verify.ts'

/** What a witness vouches for: `size` entries of a chain, at a time (ISO 8601). */
export type Sighting = { readonly by: string; readonly at: string; readonly size: number }

/**
 * How far the ledger is safe, as numbers of entries: `written` survives a SIGKILL, `synced` a loss of power as far as is noted beside it, `witnessed` whoever can
 * write the folder.
 */
export type Durability = { readonly written: number; readonly synced: number; readonly witnessed: number }

export type WitnessedVerdict = LedgerVerdict & {
  readonly durability: Durability
  /** The entries that the owner's last checkpoint is about. */
  readonly checkpoint: number
  /** What is vouched for of this chain, and holds; the most first. */
  readonly witnesses: readonly Sighting[]
  /** Earlier chains of this ledger, or those of another owner: it was deleted, or made anew. */
  readonly earlier: readonly Sighting[]
  /** Files beside the ledger that prove nothing. */
  readonly problems: readonly string[]
}

export type VerifyWitnessedOptions = {
  /** Peer id of who signs the ledger; by default whoever signed the checkpoint beside it. */
  readonly owner?: string | undefined
  /** Checkpoints that witnesses say they signed, beside those in the folder. */
  readonly told?: readonly OpenCheckpoint[]
  readonly signal?: AbortSignal
}

/** By so much the clocks of owner and witness may differ. */
const maxSkewMs = 300_000

/** As `verifyLedger`, and every checkpoint must be of what is there; fault `ledger.unreadable`. */
export async function verifyWitnessed(
  { folder, file, origin }: LedgerPlace,
  { owner, told = [], signal }: VerifyWitnessedOptions = {},
): Promise<WitnessedVerdict> {
  const names = namesOf(folder, file ?? 'ledger.jsonl')
  const { own, witnessed, problems } = readCheckpoints(names) // before the entries: they may only grow meanwhile
  const signer = owner ?? own?.owner
  const isOurs = (one: OpenCheckpoint | undefined): one is OpenCheckpoint => one?.owner === signer && one?.ledger === origin
  const all = [...told, ...witnessed].filter((one) => one.ledger === origin)
  const first = await beginning(names)
  const chain = first === undefined ? undefined : (first.hash ?? [own, ...all].find(isOurs)?.chain)
  const isOfChain = (one: OpenCheckpoint | undefined): one is OpenCheckpoint => isOurs(one) && one.chain === chain
  const ours = isOfChain(own) ? own : undefined
  const found = all.flatMap((one) => one.cosignatures.map((cosignature) => ({ one, ...cosignature })))
  const ofChain = found.filter(({ one }) => isOfChain(one))
  const seen: SeenTree[] = ofChain.map(({ one, by, at }) => ({ size: one.size, root: one.root, by: `${by} at ${isoTime(at)}` }))
  if (ours) seen.push({ size: ours.size, root: ours.root, by: `its owner ${ours.owner}` })
  const synced = readWatermark(names)?.seq ?? 0
  const stretches = ours ? readStretches(names, ours) : []
  const read = await verifyLedger(folder, {
    ...(file === undefined ? {} : { file }),
    origin,
    seen,
    stretches,
    ...(signal ? { signal } : {}),
  })
  const other = found.filter(({ one }) => !isOfChain(one))
  const verdict =
    remade(
      read,
      first?.time,
      other.filter(({ one }) => isOurs(one)),
      basename(names.active),
    ) ?? read
  const good = verdict.intact ? (verdict.last?.seq ?? 0) : verdict.firstBad.seq - 1
  const within = (size: number): number => Math.min(size, good)
  const witnesses = furthest(ofChain.filter(({ one }) => one.size <= good))
  return {
    ...verdict,
    durability: { written: good, synced: within(Math.max(synced, ours?.size ?? 0)), witnessed: witnesses[0]?.size ?? 0 },
    checkpoint: within(ours?.size ?? 0),
    witnesses,
    earlier: furthest(other),
    problems,
  }
}

/** Entry 1 tells which chain it is. `{}`: it is gone, or bad, which the verdict will say. Of no entries there is no chain. */
async function beginning(names: Names): Promise<{ readonly hash?: string; readonly time?: number } | undefined> {
  if (listSegments(names).length === 0) return undefined
  return (await firstEntry(names).catch(() => undefined)) ?? {}
}

/** A chain that says it began before a witness saw another one in its place did not: that other one was made anew, the old times kept. */
function remade(read: LedgerVerdict, time: number | undefined, others: readonly Found[], file: string): LedgerVerdict | undefined {
  const other = others.find(({ at }) => time !== undefined && time + maxSkewMs < at)
  if (!read.intact || !other) return undefined
  const { entries: _, last: __, intact: ___, ...rest } = read
  const problem = `of another chain: it says that it began before ${isoTime(other.at)}, but then ${other.by} saw another one, with ${other.one.size} entries`
  return { ...rest, intact: false, entries: 0, last: undefined, firstBad: { file, line: 1, seq: 1, problem } }
}

function isoTime(at: number): string {
  return new Date(at).toISOString()
}

type Found = Cosignature & { readonly one: OpenCheckpoint }

/** One for each witness and chain: the one that reaches furthest. */
function furthest(found: readonly Found[]): Sighting[] {
  const best = new Map<string, Found>()
  for (const next of found) {
    const key = `${next.by} ${next.one.owner} ${next.one.chain}`
    const last = best.get(key)
    if (!last || next.one.size > last.one.size || (next.one.size === last.one.size && next.at > last.at)) best.set(key, next)
  }
  return [...best.values()]
    .sort((a, b) => b.one.size - a.one.size || b.at - a.at)
    .map(({ one, by, at }) => ({ by, at: isoTime(at), size: one.size }))
}
