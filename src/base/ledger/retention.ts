// Drops the oldest files of a ledger for good. Where a checkpoint covers them, the hashes of what was in them stay, signed, so that everything else can be proved as before.
import { basename } from 'node:path'
import { removeFile, statOf, syncFolder } from '../../kernel/file.ts'
import { lockFolder } from '../store/lock.ts'
import { readCheckpoints, readStretches } from './checkpoint-files.ts'
import type { LedgerPlace } from './checkpointing.ts'
import { listSegments, namesOf } from './segments.ts'

/** A file that was dropped, with the numbers of its entries. */
export type DroppedSegment = { readonly file: string; readonly from: number; readonly to: number; readonly sizeBytes: number }

/**
 * Drops whole files, the oldest first, until no more than `keepBytes` are left; never the active one, and none with an entry that the owner's last checkpoint
 * does not cover. Faults: `store.locked` while a checkpoint is made, `ledger.unreadable`.
 */
export function dropSegments({ folder, file }: Omit<LedgerPlace, 'origin'>, keepBytes: number): DroppedSegment[] {
  const names = namesOf(folder, file ?? 'ledger.jsonl')
  using _lock = lockFolder(folder, `${names.stem}.checkpoint`)
  const { own } = readCheckpoints(names)
  const seams = new Set(own ? readStretches(names, own).map(({ end }) => end) : [])
  const segments = listSegments(names)
  let leftBytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const dropped: DroppedSegment[] = []
  for (const [index, { path, firstSeq, sizeBytes }] of segments.entries()) {
    const to = (segments[index + 1]?.firstSeq ?? Number.NaN) - 1
    if (leftBytes <= keepBytes || firstSeq === undefined || !seams.has(to)) break // behind the active one there is none
    removeFile(path)
    leftBytes -= sizeBytes
    dropped.push({ file: basename(path), from: firstSeq, to, sizeBytes })
  }
  if (dropped.length > 0) syncFolder(folder)
  return dropped
}

/**
 * Drops closed files, the oldest first, that are more than `keepCount` or were last written before `beforeMs`, signed or not: for a record that has no owner's key, and whose
 * bounds are a number and an age. A verifier reports what is missing, and the rest verifies. Fault `ledger.unreadable`.
 */
export function dropClosed({ folder, file }: Omit<LedgerPlace, 'origin'>, keepCount: number, beforeMs: number): DroppedSegment[] {
  const names = namesOf(folder, file ?? 'ledger.jsonl')
  const segments = listSegments(names)
  const closed = segments.filter(({ path }) => path !== names.active)
  const dropped: DroppedSegment[] = []
  for (const [index, { path, firstSeq, sizeBytes }] of closed.entries()) {
    if (firstSeq === undefined || (closed.length - index <= keepCount && (statOf(path)?.mtimeMs ?? 0) >= beforeMs)) break
    const next = segments[segments.findIndex((segment) => segment.path === path) + 1]?.firstSeq
    removeFile(path)
    dropped.push({ file: basename(path), from: firstSeq, to: next === undefined ? firstSeq : next - 1, sizeBytes })
  }
  if (dropped.length > 0) syncFolder(folder)
  return dropped
}
