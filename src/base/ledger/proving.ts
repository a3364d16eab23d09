// The texts by which a ledger proves something to others: that it only grew (C2SP tlog-witness, add-checkpoint), and that one entry is in it (C2SP tlog-proof).
import { type OpenCheckpoint, openCheckpoint } from './checkpoint.ts'
import type { Checkpointed } from './checkpointing.ts'
import { asFault } from '../../kernel/fault.ts'
import { fault } from './faults.ts'
import { checkLine, maxLineBytes } from './line.ts'
import { entryAt } from './lines.ts'
import { fromBase64, maxNoteBytes } from './note.ts'
import { consistencySpans, inclusionSpans, maxProofHashes, provesInclusion } from './proof.ts'
import { entryLeaf, treeHashBytes } from './tree.ts'
import { hashesOver } from './tree-source.ts'

/** No request of a witness is longer. */
export const maxGrowthBytes = maxNoteBytes + 64 * 45
const maxEntryProofBytes = maxGrowthBytes + 2 * maxLineBytes

/** A checkpoint, and the proof that its ledger grew to it from `old` entries. */
export type Growth = { readonly old: number; readonly proof: readonly Buffer[]; readonly checkpoint: OpenCheckpoint }

/** The text that asks a witness which has seen `old` entries to sign the checkpoint; faults of `treeLeaves`. */
export async function growthText({ names, stretches, checkpoint }: Checkpointed, old: number, signal?: AbortSignal): Promise<string> {
  const { size } = checkpoint
  const spans = old < size ? consistencySpans(old, size) : [] // a witness that has seen more will say so
  const proof = await hashesOver(names, stretches, size, spans, signal)
  return `old ${old}\n${hashLines(proof)}\n${checkpoint.note}`
}

/** Reads such a text and verifies the checkpoint's signatures, not yet the proof. Faults: `ledger.growth_invalid`, `ledger.note_invalid`. */
export function parseGrowth(text: string): Growth {
  const invalid = (problem: string) => fault.growth_invalid({ problem })
  const { first, hashes, note } = parted(text, maxGrowthBytes, invalid)
  const old = /^old (0|[1-9]\d{0,15})$/.exec(first)?.[1]
  if (old === undefined || !Number.isSafeInteger(Number(old))) throw invalid('it does not begin with "old" and a size')
  return { old: Number(old), proof: parseHashes(hashes, invalid), checkpoint: openCheckpoint(note) }
}

function hashLines(hashes: readonly Buffer[]): string {
  return hashes.map((hash) => `${hash.toString('base64')}\n`).join('')
}

type Refuse = (problem: string) => Error

/** A first line, lines with hashes, an empty line, a note. */
function parted(text: string, maxBytes: number, invalid: Refuse): { first: string; hashes: string[]; note: string } {
  if (Buffer.byteLength(text) > maxBytes) throw invalid('it is too long')
  const end = text.indexOf('\n\n')
  if (end < 0) throw invalid('no checkpoint stands in it')
  const [first, ...hashes] = text.slice(0, end).split('\n')
  return { first: first!, hashes, note: text.slice(end + 2) }
}

function parseHashes(lines: readonly string[], invalid: Refuse): Buffer[] {
  if (lines.length > maxProofHashes) throw invalid(`more than ${maxProofHashes} hashes`)
  return lines.map((line) => {
    const hash = fromBase64(line)
    if (hash?.length !== treeHashBytes) throw invalid('a line that is no hash')
    return hash
  })
}

const proofHead = 'c2sp.org/tlog-proof@v1'

/**
 * The proof that entry `seq` is in the ledger of this checkpoint, which may be an earlier one than the last: one text that needs nothing else, the entry itself in it.
 * Faults: `ledger.no_entry`, and those of `treeLeaves`.
 */
export async function entryProofText(
  { names, stretches }: Checkpointed,
  checkpoint: OpenCheckpoint,
  seq: number,
  signal?: AbortSignal,
): Promise<string> {
  const missing = fault.no_entry({ path: names.active, seq, last: checkpoint.size })
  if (!Number.isSafeInteger(seq) || seq < 1 || seq > checkpoint.size) throw missing
  const entry = await entryAt(names, seq)
  if (entry?.seq !== seq) throw missing
  const line = checkLine(entry.bytes)
  if (typeof line === 'string') throw fault.not_intact({ path: entry.path, seq, problem: line })
  const leaf = [seq - 1, seq] as const
  const [, ...hashes] = await hashesOver(names, stretches, checkpoint.size, [leaf, ...inclusionSpans(seq - 1, checkpoint.size)], signal)
  return `${proofHead}\nextra ${entry.bytes.toString('base64')}\nindex ${seq - 1}\n${hashLines(hashes)}\n${checkpoint.note}`
}

/** What such a text proves: this line was entry `seq` of the ledger whose owner, and perhaps witnesses, signed the checkpoint. */
export type EntryProof =
  | { readonly proved: true; readonly seq: number; readonly line: string; readonly checkpoint: OpenCheckpoint }
  | { readonly proved: false; readonly problem: string }

/** Checks a proof, with nothing but its text. Who the owner and the witnesses are, and whether they are to be trusted, is for the reader to judge. */
export function checkEntryProof(text: string): EntryProof {
  try {
    return provedEntry(text)
  } catch (error) {
    const { code, message, details } = asFault(error)
    if (code === 'ledger.growth_invalid') return { proved: false, problem: String(details['problem']) }
    if (code === 'ledger.note_invalid') return { proved: false, problem: message }
    throw error
  }
}

function provedEntry(text: string): EntryProof {
  const invalid = (problem: string) => fault.growth_invalid({ problem })
  const { first, hashes: lines, note } = parted(text, maxEntryProofBytes, invalid)
  const [extra, index, ...hashes] = lines
  if (first !== proofHead) throw invalid(`it does not begin with ${proofHead}`)
  const bytes = extra?.startsWith('extra ') ? fromBase64(extra.slice(6)) : undefined
  if (!bytes) throw invalid('the entry is not in it')
  const at = /^index (0|[1-9]\d{0,15})$/.exec(index ?? '')?.[1]
  if (at === undefined) throw invalid('it does not say which entry it is')
  const proof = parseHashes(hashes, invalid)
  const checkpoint = openCheckpoint(note)
  const line = checkLine(bytes)
  if (typeof line === 'string') throw invalid(`the entry is ${line}`)
  if (line.seq !== Number(at) + 1) throw invalid(`it is entry ${line.seq}, not ${Number(at) + 1}`)
  const { size, root } = checkpoint
  if (!provesInclusion({ index: Number(at), size, leaf: entryLeaf(line).hash, root }, proof))
    throw invalid('the entry is not in the ledger that was signed')
  return { proved: true, seq: line.seq, line: bytes.toString('utf8'), checkpoint }
}
