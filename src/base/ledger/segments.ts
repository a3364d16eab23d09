// The files of a ledger: one that is written, and those that went before it, by our rotation or another's; a watermark of what is synced.
import { closeSync, existsSync, openSync, readFileSync, readSync, readdirSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type Place, seqOf } from './line.ts'

/** `audit.log` in `/var/log/x`: the active file. Beside it lie `audit.0000000000000001.log` (ours), `audit.log.1`, `audit.log-20261120.gz` (logrotate's). */
export type Names = { readonly folder: string; readonly active: string; readonly stem: string; readonly extension: string }

/** The names of a ledger's files in its folder. */
export function namesOf(folder: string, file: string): Names {
  const extension = extname(file)
  return { folder, active: join(folder, file), stem: file.slice(0, file.length - extension.length), extension }
}

/** A file with at least a beginning of a line. `firstSeq` is undefined when its first line is none of ours. */
export type Segment = { readonly path: string; readonly firstSeq: number | undefined; readonly sizeBytes: number; readonly id: string }

/** All files of the ledger that hold anything, by the number of their first entry; those that begin with something else come last. */
export function listSegments(names: Names): Segment[] {
  const found: Segment[] = []
  const active = names.stem + names.extension
  for (const name of existsSync(names.folder) ? readdirSync(names.folder) : []) {
    if (!isOurs(name, active, names)) continue
    const path = join(names.folder, name)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (!stat?.isFile() || stat.size === 0) continue
    found.push({ path, firstSeq: firstSeqIn(path), sizeBytes: stat.size, id: `${stat.dev}:${stat.ino}` })
  }
  return found.sort((a, b) => (a.firstSeq ?? Infinity) - (b.firstSeq ?? Infinity) || (a.path < b.path ? -1 : 1))
}

function isOurs(name: string, active: string, { stem, extension }: Names): boolean {
  if (name === active) return true
  if (name.startsWith(active)) return /^[.-]\d[\d-]*(?:\.gz)?$/.test(name.slice(active.length))
  if (!name.startsWith(stem)) return false
  const rest = name.slice(stem.length)
  return (rest.endsWith(extension) || rest.endsWith(`${extension}.gz`)) && /^[.-]\d[\d-]*$/.test(rest.slice(0, rest.lastIndexOf(extension)))
}

const firstBytes = 4_096

function firstSeqIn(path: string): number | undefined {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(firstBytes)
    const start = bytes.subarray(0, readSync(file, bytes, 0, firstBytes, 0))
    return seqOf(path.endsWith('.gz') ? gunzipSync(start, { finishFlush: 2 }) : start) // 2: Z_SYNC_FLUSH, so that a beginning is enough
  } catch {
    return undefined
  } finally {
    closeSync(file)
  }
}

/** What the active file is renamed to when it is full. */
export function closedName(names: Names): string {
  const seq = String(firstSeqIn(names.active) ?? 0).padStart(16, '0')
  for (let again = 1; ; again++) {
    const path = join(names.folder, `${names.stem}.${seq}${again === 1 ? '' : `-${again}`}${names.extension}`)
    if (!existsSync(path)) return path
  }
}

const watermarkBytes = 96

/** Where the last synced entry is noted. */
export function watermarkPath({ folder, stem }: Names): string {
  return join(folder, `${stem}.head`)
}

/** The last entry known to be synced, or undefined when the file is absent or torn itself. */
export function readWatermark(names: Names): Place | undefined {
  const path = watermarkPath(names)
  const match = existsSync(path) && /^\{"seq":([1-9][0-9]{0,15}),"hash":"([\w-]{43})"\} *\n$/.exec(readFileSync(path, 'latin1'))
  return match ? { seq: Number(match[1]), hash: match[2]! } : undefined
}

/** The note of the last synced entry, as text. */
export function watermarkText({ seq, hash }: Place): string {
  return `${`{"seq":${seq},"hash":"${hash}"}`.padEnd(watermarkBytes - 1)}\n`
}
