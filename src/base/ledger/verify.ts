// Checks a ledger from its files alone, in one pass and little memory: nothing altered, removed, added or moved within, and what is missing at the seams.
import { basename } from 'node:path'
import { reasonOf } from '../../kernel/fault.ts'
import { fault } from './faults.ts'
import type { Stretches } from './checkpoint-files.ts'
import { type Place, checkLine, genesis } from './line.ts'
import { linesOf } from './lines.ts'
import { type SeenTree, SeenTrees } from './seen.ts'
import { type Names, type Segment, listSegments, namesOf, readWatermark } from './segments.ts'

type LineReference = { readonly file: string; readonly line: number; readonly seq: number; readonly problem: string }
/** Entries that are missing between two files, or before the first: dropped by age, or deleted. */
type Gap = {
  readonly from: number
  readonly to: number
  /** Their hashes are still there, as the owner signed them: all the rest can be proved as before. */
  readonly hashesKept?: true
}
/** Bytes after the last line feed of a file: a write that did not finish. With a live writer, perhaps one that is just going on. */
type Torn = { readonly file: string; readonly sizeBytes: number }

export type LedgerVerdict = {
  readonly entries: number
  readonly last: Place | undefined
  readonly gaps: readonly Gap[]
  readonly torn: readonly Torn[]
} & ({ readonly intact: true } | { readonly intact: false; readonly firstBad: LineReference })

export type VerifyOptions = {
  /** Name of the active file; `ledger.jsonl` by default. */
  readonly file?: string
  /** Checks that entry 1 begins the ledger of this name. */
  readonly origin?: string
  /** An entry known from elsewhere that must be in it; by default the one that the writer noted beside it as synced. */
  readonly known?: Place
  /** Trees of it that others saw: its first entries must give their roots. */
  readonly seen?: readonly SeenTree[]
  /** What stands for entries that were dropped. */
  readonly stretches?: Stretches
  readonly signal?: AbortSignal
}

/**
 * Verifies the ledger in `folder`, also while it is written. `intact`: every entry present is what was written, in its order; look at `gaps` too.
 * Without a witness, entries cut off the end after the last sync, or a chain made anew by whoever can write the folder, cannot be told. Fault: `ledger.unreadable`.
 */
export async function verifyLedger(folder: string, options: VerifyOptions = {}): Promise<LedgerVerdict> {
  const names = namesOf(folder, options.file ?? 'ledger.jsonl')
  for (let tries = 1; ; tries++) {
    const known = options.known ?? readWatermark(names) // before the files: they may only grow meanwhile
    const segments = segmentsOrFault(names)
    const verdict = await verifySegments(segments, names, known, options)
    const isPlain = verdict.intact && verdict.gaps.length === 0
    if (isPlain || tries === 3 || idsOf(segments) === idsOf(listSegments(names))) return verdict // else: rotated while we read
  }
}

function segmentsOrFault(names: Names): Segment[] {
  try {
    return listSegments(names)
  } catch (error) {
    throw fault.unreadable({ path: names.active, reason: reasonOf(error) }, error)
  }
}

function idsOf(segments: readonly Segment[]): string {
  return segments.map(({ id, path }) => `${id} ${path}`).join('\n')
}

type Progress = { entries: number; last: Place | undefined; gaps: Gap[]; torn: Torn[] }

async function verifySegments(
  segments: readonly Segment[],
  names: Names,
  known: Place | undefined,
  { origin, signal, seen = [], stretches = [] }: VerifyOptions,
): Promise<LedgerVerdict> {
  const progress: Progress = { entries: 0, last: undefined, gaps: [], torn: [] }
  const trees = new SeenTrees(seen, stretches)
  /** Where the entries begin that nobody but the chain itself speaks for. */
  let unseen = { file: basename(segments[0]?.path ?? names.active), line: 1, seq: 1 }
  const bad = (firstBad: LineReference): LedgerVerdict => ({ intact: false, firstBad, ...progress })
  let line = 0
  let file = basename(names.active)
  for (const segment of segments) {
    file = basename(segment.path)
    line = 0
    try {
      for await (const lines of linesOf(segment, { signal })) {
        if (typeof lines === 'number') {
          progress.torn.push({ file, sizeBytes: lines })
          continue
        }
        for (const bytes of lines) {
          const problem = take(bytes, ++line === 1, progress, known, origin)
          if (problem) return bad({ file, line, seq: (progress.last?.seq ?? 0) + 1, problem })
          const judged = trees.take(progress.last!, progress.gaps)
          if (judged === 'seen') unseen = { file, line: line + 1, seq: progress.last!.seq + 1 }
          else if (judged !== 'unseen') return bad({ ...unseen, problem: judged.problem })
        }
      }
    } catch (error) {
      if (signal?.aborted) throw error
      const { code, message } = error as NodeJS.ErrnoException
      if (code?.startsWith('Z_'))
        return bad({ file, line: line + 1, seq: (progress.last?.seq ?? 0) + 1, problem: `cannot be unpacked: ${message}` })
      throw fault.unreadable({ path: segment.path, reason: code ?? message }, error)
    }
  }
  const reached = progress.last?.seq ?? 0
  if (known && known.seq > reached)
    return bad({
      file,
      line: line + 1,
      seq: reached + 1,
      problem: `cut off: the entries ${reached + 1} to ${known.seq} are known to have been here`,
    })
  const cut = trees.beyond(reached)
  if (cut !== undefined) return bad({ file, line: line + 1, seq: reached + 1, problem: cut })
  return { intact: true, ...progress }
}

/** Takes the next line into account, or tells what is wrong with it. */
function take(
  bytes: Buffer,
  isFirstInFile: boolean,
  progress: Progress,
  known: Place | undefined,
  origin: string | undefined,
): string | undefined {
  const line = checkLine(bytes)
  if (typeof line === 'string') return line
  const { last } = progress
  const expected = (last?.seq ?? 0) + 1
  if (line.seq !== expected) {
    if (!isFirstInFile || line.seq < expected) return `out of order: entry ${line.seq} where ${expected} belongs`
    progress.gaps.push({ from: expected, to: line.seq - 1 })
  } else if (last ? line.prev !== last.hash : origin !== undefined && line.prev !== genesis(origin).hash) {
    return last ? 'of another chain: it does not follow the entry before it' : `of another chain: it does not begin the ledger ${origin}`
  }
  if (line.seq === known?.seq && line.hash !== known.hash) return 'of another chain: an entry with another hash is known to have been here'
  progress.last = { seq: line.seq, hash: line.hash }
  progress.entries++
  return undefined
}
