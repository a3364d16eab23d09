// What lies beside a ledger about its tree: the last checkpoint, the hashes of stretches of entries, and what each witness signed.
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { asFault } from '../../kernel/fault.ts'
import { readText, statOf, writeWhole } from '../../kernel/file.ts'
import { isPeerId } from '../identity/identity.ts'
import { type Origin, type OpenCheckpoint, openCheckpoint, originText } from './checkpoint.ts'
import { fromBase64, maxNoteBytes } from './note.ts'
import type { Names } from './segments.ts'
import { TreeRange, treeHashBytes, wholeSubtrees } from './tree.ts'

/** Stretches that are told apart; of more, the oldest become one. */
const maxStretches = 1_024
const maxTreeBytes = 8 << 20

const treePath = ({ folder, stem }: Names): string => join(folder, `${stem}.tree`)
const witnessedPath = ({ folder, stem }: Names, peerId: string): string => join(folder, `${stem}.witnessed-${peerId}`)

/** Where the owner's last checkpoint is kept. */
export function checkpointPath({ folder, stem }: Names): string {
  return join(folder, `${stem}.checkpoint`)
}

/** A checkpoint in a file: undefined when there is none. A file that does not hold one is told as its problem. */
function openFile(path: string): OpenCheckpoint | { readonly problem: string } | undefined {
  const stat = statOf(path)
  if (!stat) return undefined
  if (!stat.isFile() || stat.size > maxNoteBytes) return { problem: `${basename(path)} is no checkpoint` }
  try {
    return openCheckpoint(readText(path) ?? '')
  } catch (error) {
    return { problem: `${basename(path)}: ${asFault(error).message}` }
  }
}

export type Checkpoints = {
  /** The last one that was signed by the owner. */
  readonly own: OpenCheckpoint | undefined
  /** The last one that each witness signed, of this chain or an earlier one. */
  readonly witnessed: readonly OpenCheckpoint[]
  /** Files that should hold one and do not. They prove nothing, and are no proof of harm. */
  readonly problems: readonly string[]
}

/** Reads what was signed of the ledger, every signature verified; who signed it is for the reader to judge. */
export function readCheckpoints(names: Names): Checkpoints {
  const prefix = `${names.stem}.witnessed-`
  const witnesses = (statOf(names.folder) ? readdirSync(names.folder) : [])
    .filter((name) => name.startsWith(prefix) && isPeerId(name.slice(prefix.length)))
    .map((name) => name.slice(prefix.length))
    .sort()
  const problems: string[] = []
  const taken = (path: string): OpenCheckpoint | undefined => {
    const found = openFile(path)
    if (found && 'problem' in found) problems.push(found.problem)
    else return found
    return undefined
  }
  const own = taken(checkpointPath(names))
  const witnessed = witnesses.flatMap((peerId) => {
    const found = taken(witnessedPath(names, peerId))
    return found?.cosignatures.some(({ by }) => by === peerId) ? [found] : []
  })
  return { own, witnessed, problems }
}

/** Keeps the owner's last checkpoint, synced. */
export function writeCheckpoint(names: Names, { note }: OpenCheckpoint): void {
  writeWhole(checkpointPath(names), note)
}

/** Keeps what the witness `by` signed last, synced. */
export function writeWitnessed(names: Names, by: string, { note }: OpenCheckpoint): void {
  writeWhole(witnessedPath(names, by), note)
}

/** Stretches that follow one another from the first entry on. */
export type Stretches = readonly TreeRange[]

/** The stretches that are known of this chain and give, up to its size, the checkpoint's root; none when the file does not fit it. */
export function readStretches(names: Names, checkpoint: OpenCheckpoint): Stretches {
  const stat = statOf(treePath(names))
  if (!stat?.isFile() || stat.size > maxTreeBytes) return []
  const [first, ...lines] = (readText(treePath(names)) ?? '').split('\n')
  if (first !== originText(checkpoint)) return []
  const stretches: TreeRange[] = []
  const whole = new TreeRange()
  for (const line of lines) {
    if (whole.end >= checkpoint.size) break
    const stretch = parseStretch(line, whole.end)
    if (!stretch) return []
    stretches.push(stretch)
    whole.join(stretch.subtrees)
  }
  return whole.end === checkpoint.size && whole.root().equals(checkpoint.root) ? stretches : []
}

/** `<begin> <end> <hash> …`: the hashes of the fewest whole subtrees of these leaves. */
function parseStretch(line: string, begin: number): TreeRange | undefined {
  const [from, to, ...texts] = line.split(' ')
  const end = Number(to)
  if (from !== String(begin) || to !== String(end) || !Number.isSafeInteger(end) || end <= begin) return undefined
  const stretch = new TreeRange(begin)
  let next = 0
  for (const subtree of wholeSubtrees([begin, end])) {
    const hash = fromBase64(texts[next++] ?? '')
    if (hash?.length !== treeHashBytes) return undefined
    stretch.add({ ...subtree, hash })
  }
  return next === texts.length ? stretch : undefined
}

/** Keeps the stretches of a chain, synced. */
export function writeStretches(names: Names, origin: Origin, stretches: Stretches): void {
  const lines = stretches.map((stretch) =>
    [stretch.begin, stretch.end, ...stretch.subtrees.map(({ hash }) => hash.toString('base64'))].join(' '),
  )
  writeWhole(treePath(names), `${[originText(origin), ...lines].join('\n')}\n`)
}

/** The same leaves with fewer seams: those in `keep` stay, and there are never too many. */
export function withSeams(stretches: Stretches, keep: ReadonlySet<number>): TreeRange[] {
  const joined: TreeRange[] = []
  for (const stretch of stretches) {
    const last = joined.at(-1)
    if (last && !keep.has(stretch.begin)) last.join(stretch.subtrees)
    else joined.push(new TreeRange(stretch.begin).join(stretch.subtrees))
  }
  const tooMany = joined.length - maxStretches
  if (tooMany <= 0) return joined
  const [oldest, ...rest] = [joined.slice(0, tooMany + 1), ...joined.slice(tooMany + 1)] as [TreeRange[], ...TreeRange[]]
  return [new TreeRange(oldest[0]!.begin).join(oldest.flatMap(({ subtrees }) => [...subtrees])), ...rest]
}
