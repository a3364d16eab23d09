// Makes the checkpoint of a ledger: reads what was added since the last one, syncs it, and signs the tree in the owner's name. The writer of the ledger does not notice.
import { closeSync, openSync } from 'node:fs'
import { statOf } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import type { Identity } from '../identity/identity.ts'
import { lockFolder } from '../store/lock.ts'
import { type OpenCheckpoint, openCheckpoint, signCheckpoint } from './checkpoint.ts'
import {
  type Stretches,
  checkpointPath,
  readCheckpoints,
  readStretches,
  withSeams,
  writeCheckpoint,
  writeStretches,
} from './checkpoint-files.ts'
import { systemDisk } from './disk.ts'
import { fault } from './faults.ts'
import { entriesFrom, entryAt, firstEntry } from './lines.ts'
import { type Names, listSegments, namesOf } from './segments.ts'
import { type Subtree, TreeRange, entryLeaf, missingLeaves } from './tree.ts'

/** Which ledger: its folder, the name of its active file (`ledger.jsonl` by default), and the name that its first entry is chained to. */
export type LedgerPlace = { readonly folder: string; readonly file?: string; readonly origin: string }

/** A checkpoint of now, and the stretches that its tree consists of. */
export type Checkpointed = { readonly names: Names; readonly checkpoint: OpenCheckpoint; readonly stretches: Stretches }

/**
 * Signs the ledger as it is on the disk, or answers our last checkpoint when nothing was added. Undefined: there is no entry. Only what survives a loss of power
 * is signed, so that the ledger can never be behind its own checkpoint. Faults: `store.locked` when another process is at it, `ledger.not_intact`,
 * `ledger.inconsistent`, `ledger.unreadable`, `file.unwritable`.
 */
export async function checkpointLedger(
  { identity, log }: { readonly identity: Identity; readonly log: Log },
  { folder, file, origin }: LedgerPlace,
  signal?: AbortSignal,
): Promise<Checkpointed | undefined> {
  const names = namesOf(folder, file ?? 'ledger.jsonl')
  using _lock = lockFolder(folder, `${names.stem}.checkpoint`)
  const { own, witnessed, problems } = readCheckpoints(names)
  for (const problem of problems) log.warn('ledger.checkpoint.unusable', { path: names.active, problem })
  const first = (await firstEntry(names))?.hash
  const isOfChain = own?.ledger === origin && (first === undefined || own.chain === first)
  const last = isOfChain ? own : undefined // whoever signed it: what a key before ours signed must still hold
  const isOurs = last?.owner === identity.peerId
  const chain = first ?? last?.chain ?? (await entryAt(names, 1))?.hash // where nobody knows entry 1: the first that is there
  if (chain === undefined) return undefined
  const known = last ? readStretches(names, last) : []
  const { stretches, files } = await grown(names, known, last, signal)
  const size = stretches.at(-1)?.end ?? 0
  if (isOurs && last.size === size && known.length > 0) return { names, checkpoint: last, stretches }
  await sync(files)
  const root = rootOf(stretches)
  const checkpoint =
    isOurs && last.size === size ? last : openCheckpoint(await signCheckpoint(identity, { ledger: origin, chain, size, root }))
  const seams = [last?.size ?? 0, ...listSegments(names).map(({ firstSeq }) => (firstSeq ?? 1) - 1), ...witnessed.map((one) => one.size)]
  const kept = withSeams(stretches, new Set(seams))
  writeStretches(names, checkpoint, kept) // first: up to the last checkpoint's size it fits that one, too, if the next step does not come
  writeCheckpoint(names, checkpoint)
  return { names, checkpoint, stretches: kept }
}

/** Milliseconds of wall time since the owner's last checkpoint was signed; infinite when there is none. */
export function checkpointAgeMs({ folder, file }: LedgerPlace, now: number): number {
  const signed = statOf(checkpointPath(namesOf(folder, file ?? 'ledger.jsonl')))
  return signed ? Math.abs(now - signed.mtimeMs) : Infinity
}

function rootOf(stretches: Stretches): Buffer {
  return new TreeRange().join(stretches.flatMap(({ subtrees }) => [...subtrees])).root()
}

/** The stretches and what was added to them, with a seam wherever a file begins; and the files that were read for it. */
async function grown(
  names: Names,
  known: Stretches,
  last: OpenCheckpoint | undefined,
  signal?: AbortSignal,
): Promise<{ stretches: TreeRange[]; files: ReadonlySet<string> }> {
  const stretches = [...known]
  const start = known.at(-1)?.end ?? 0
  const unproved = last && known.length === 0 && last.size > 0 ? last : undefined
  let isProved = !unproved
  let current = new TreeRange(start)
  const files = new Set<string>()
  const part = (): void => {
    if (current.end > current.begin) stretches.push(current)
    current = new TreeRange(current.end)
  }
  const take = (leaf: Subtree): void => {
    current.add(leaf)
    if (isProved || current.end !== unproved!.size) return
    part()
    if (!rootOf(stretches).equals(unproved!.root)) throw fault.inconsistent({ path: names.active, size: unproved!.size })
    isProved = true
  }
  for await (const entries of entriesFrom(names, Math.max(1, start), signal))
    for (const entry of entries) {
      if (entry.seq <= start) continue // only its hash was of interest: the next one follows it
      if (!files.has(entry.path)) {
        for (const leaf of missingLeaves([current.end, entry.seq - 1])) take(leaf)
        part()
        files.add(entry.path)
      }
      take(entryLeaf(entry))
    }
  part()
  if (!isProved) throw fault.inconsistent({ path: names.active, size: unproved!.size })
  return { stretches, files }
}

/** Carries what was read to where it survives a loss of power. */
async function sync(files: ReadonlySet<string>): Promise<void> {
  for (const path of files) {
    const file = openSync(path, 'r')
    await systemDisk.sync(file).finally(() => closeSync(file))
  }
}
