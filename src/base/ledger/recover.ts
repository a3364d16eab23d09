// What a ledger's files say at opening: where the chain stands, and what a stop or an accident left behind it.
import { hash as digest } from 'node:crypto'
import { closeSync, fdatasyncSync, ftruncateSync, openSync, readFileSync, readSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { syncFolder, writeWhole } from '../../kernel/file.ts'
import { type Place, checkLine } from './line.ts'
import { type Names, type Segment, closedName, listSegments, readWatermark } from './segments.ts'

export type Recovery = {
  /** The entry that the next one follows; undefined: there is none. */
  readonly last: Place | undefined
  /** Members for a `recovered` line, when there is something to tell. */
  readonly note: Readonly<Record<string, unknown>> | undefined
}

/**
 * Finds the end of the chain and puts the active file in order. A torn end is cut off; if whole lines are in it, its bytes are kept beside. Where entries
 * are missing that were synced, the files stay as they are, and the chain goes on after the missing ones: a gap that a verifier reports.
 */
export function recover(names: Names): Recovery {
  const segments = listSegments(names)
  const watermark = readWatermark(names)
  const end = endOfChain(segments)
  const active = segments.find((segment) => segment.path === names.active)
  if (watermark && watermark.seq > (end?.place.seq ?? 0)) {
    if (active) renameSync(names.active, closedName(names))
    return { last: watermark, note: { lostFrom: (end?.place.seq ?? 0) + 1, lostTo: watermark.seq } }
  }
  const goodBytes = active && end?.segment === active ? end.atBytes : 0
  const torn = active && active.sizeBytes > goodBytes ? cutOff(names, active, goodBytes, end?.place.seq ?? 0) : undefined
  return { last: end?.place, note: torn }
}

type End = { readonly place: Place; readonly segment: Segment; readonly atBytes: number }

function endOfChain(segments: readonly Segment[]): End | undefined {
  for (const segment of segments.toReversed()) {
    const end = lastGoodLine(segment)
    if (end) return end
  }
  return undefined
}

/** Reads backwards, in growing windows, to the last line whose bytes give its hash. */
function lastGoodLine(segment: Segment): End | undefined {
  if (segment.path.endsWith('.gz')) return lastGoodIn(gunzipSync(readFileSync(segment.path)), 0, segment)
  for (let windowBytes = 1 << 16; ; windowBytes *= 4) {
    const from = Math.max(0, segment.sizeBytes - windowBytes)
    const end = lastGoodIn(read(segment.path, from, segment.sizeBytes - from), from, segment)
    if (end || from === 0) return end
  }
}

function lastGoodIn(bytes: Buffer, from: number, segment: Segment): End | undefined {
  for (let end = bytes.lastIndexOf(0x0a); end > 0;) {
    const before = bytes.lastIndexOf(0x0a, end - 1)
    if (before < 0 && from > 0) break // perhaps not a whole line
    const line = checkLine(bytes.subarray(before + 1, end))
    if (typeof line === 'object') return { place: { seq: line.seq, hash: line.hash }, segment, atBytes: from + end + 1 }
    end = before
  }
  return undefined
}

function cutOff(names: Names, active: Segment, goodBytes: number, seq: number): Record<string, unknown> {
  const dropped = read(names.active, goodBytes, active.sizeBytes - goodBytes)
  const note = { droppedBytes: dropped.length, droppedHash: digest('sha256', dropped, 'base64url') }
  const keptAs = dropped.includes(0x0a) ? `${names.stem}.torn-${seq + 1}-${note.droppedHash.slice(0, 8)}` : undefined
  if (keptAs) writeWhole(join(names.folder, keptAs), dropped)
  const file = openSync(names.active, 'r+')
  try {
    ftruncateSync(file, goodBytes)
    fdatasyncSync(file)
  } finally {
    closeSync(file)
  }
  syncFolder(names.folder)
  return keptAs ? { ...note, keptAs } : note
}

function read(path: string, from: number, sizeBytes: number): Buffer {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.allocUnsafe(sizeBytes)
    let at = 0
    for (let count = -1; at < sizeBytes && count !== 0; at += count) count = readSync(file, bytes, at, sizeBytes - at, from + at)
    return bytes.subarray(0, at)
  } finally {
    closeSync(file)
  }
}
