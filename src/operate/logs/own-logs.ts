// What the tools tell of the server's own logs, app.log and the audit logs: JSON lines, filtered, a page at a time.
import { statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type Segment, listSegments, namesOf } from '../../base/ledger/segments.ts'
import { reasonOf } from '../../kernel/fault.ts'
import { logFiles } from '../../kernel/log-file.ts'
import { fault } from '../faults.ts'
import { type Line, type LogPart, type Place, type Which, readLines } from './lines.ts'

export type OwnAsked = {
  readonly which: Which
  readonly limit: number
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
  readonly cursor?: string | undefined
  /** Whether an entry is wanted. */
  wants(entry: Readonly<Record<string, unknown>>): boolean
}

export type OwnFound = {
  readonly entries: readonly Record<string, unknown>[]
  readonly cursor?: string
  readonly unread: readonly string[]
}

/** Looked through in one call; a cursor goes on behind it. */
const maxScannedBytes = 16 << 20
const maxTotalLength = 150_000

/** Faults `operate.no_logs`. */
export function appLogParts(path: string): LogPart[] {
  return readable(path, () =>
    logFiles(path)
      .filter(({ sizeBytes }) => sizeBytes > 0)
      .toReversed(),
  )
}

/** In order of their entries. Faults `operate.no_logs`. */
export function ledgerParts(folder: string, file: string): LogPart[] {
  const part = ({ path, sizeBytes }: Segment): LogPart => ({ path, sizeBytes, inode: statSync(path).ino })
  return readable(join(folder, file), () => listSegments(namesOf(folder, file)).map(part))
}

function readable(path: string, list: () => LogPart[]): LogPart[] {
  try {
    return list()
  } catch (error) {
    throw fault.no_logs({ folder: dirname(path), reason: reasonOf(error) }, error)
  }
}

/** Entries in order of time. Packed files are not read, but named. Faults `operate.bad_cursor`. */
export async function readOwn(parts: readonly LogPart[], asked: OwnAsked, signal: AbortSignal): Promise<OwnFound> {
  const unread = parts.filter(({ path }) => path.endsWith('.gz')).map(({ path }) => basename(path))
  const plain = parts.filter(({ path }) => !path.endsWith('.gz'))
  const from = asked.cursor === undefined ? undefined : placeOf(asked.cursor, asked.which)
  if (from && !plain.some(({ inode }) => inode === from.inode)) throw fault.bad_cursor({ problem: 'the file that it points into is gone' })
  const found: Record<string, unknown>[] = []
  let cursor: string | undefined
  let scanned = 0
  let length = 0
  for await (const line of readLines(plain, asked.which, from)) {
    scanned += line.text.length
    const entry = entryOf(line)
    const time = Date.parse(String(entry['time']))
    if (asked.which === 'last' ? time < (asked.sinceMs ?? -Infinity) : time > (asked.untilMs ?? Infinity)) {
      cursor = undefined
      break // all that follow are older, or newer
    }
    const isWanted = !(time < (asked.sinceMs ?? -Infinity)) && !(time > (asked.untilMs ?? Infinity)) && asked.wants(entry)
    if (isWanted) {
      length += line.text.length
      found.push(entry)
    }
    cursor = encode(line.place, asked.which)
    if (found.length >= asked.limit || length > maxTotalLength || scanned > maxScannedBytes || signal.aborted) break
    cursor = undefined
  }
  const entries = asked.which === 'last' ? found.toReversed() : found
  return { entries, unread, ...(cursor === undefined ? {} : { cursor }) }
}

function entryOf({ text }: Line): Record<string, unknown> {
  try {
    const entry = JSON.parse(text) as unknown
    if (typeof entry === 'object' && entry !== null && !Array.isArray(entry)) return entry as Record<string, unknown>
  } catch {
    // somebody else's line
  }
  return { text: text.slice(0, 2_000) }
}

function encode({ inode, at }: Place, which: Which): string {
  return Buffer.from(JSON.stringify([which, inode, at])).toString('base64url')
}

function placeOf(cursor: string, which: Which): Place {
  let held: unknown
  try {
    held = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    held = undefined
  }
  if (
    !Array.isArray(held) ||
    held.length !== 3 ||
    held[0] !== which ||
    !held.slice(1).every((one) => Number.isSafeInteger(one) && one >= 0)
  )
    throw fault.bad_cursor({ problem: 'it is not one that this tool gave for the same arguments' })
  return { inode: held[1] as number, at: held[2] as number }
}
