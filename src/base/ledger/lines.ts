// Reads the lines of a ledger's files, in one pass and little memory: all of one file, or the checked entries from a number on.
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { fault } from './faults.ts'
import { type CheckedLine, checkLine, maxLineBytes } from './line.ts'
import { type Names, type Segment, listSegments } from './segments.ts'

/** Each line without its line feed; at last the number of bytes after the last line feed, if there are any. */
export async function* linesOf({ path, sizeBytes }: Segment, signal?: AbortSignal): AsyncGenerator<Buffer | number> {
  const isPacked = path.endsWith('.gz')
  const file = createReadStream(path, { highWaterMark: 1 << 18, end: isPacked ? Infinity : sizeBytes - 1, ...(signal ? { signal } : {}) })
  const chunks: AsyncIterable<Buffer> = isPacked ? pipeline(file, createGunzip(), () => {}) : file // an error comes to whoever reads the end
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    let at = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, at)) {
      yield rest.length > 0 ? Buffer.concat([rest, chunk.subarray(at, end)]) : chunk.subarray(at, end)
      rest = Buffer.alloc(0)
      at = end + 1
    }
    rest = Buffer.concat([rest, chunk.subarray(at)])
    if (rest.length > maxLineBytes) return void (yield rest) // no line is so long: it will not pass, and we need not read on
  }
  if (rest.length > 0) yield rest.length
}

/** An entry as it stands in a file. */
export type Entry = CheckedLine & { readonly bytes: Buffer; readonly path: string }

/**
 * The entries from number `from` on, each checked and chained to the one before; those that are missing are left out. Nothing before `from` is looked at.
 * Faults: `ledger.unreadable`, `ledger.not_intact` at the first that is not what was written.
 */
export async function* entriesFrom(names: Names, from: number, signal?: AbortSignal): AsyncGenerator<Entry> {
  const segments = listSegments(names)
  const first = Math.max(
    0,
    segments.findLastIndex(({ firstSeq }) => firstSeq !== undefined && firstSeq <= from),
  )
  let last: Entry | undefined
  for (const segment of segments.slice(first)) {
    let skip = Math.max(0, from - (segment.firstSeq ?? from)) // within a file no number is left out
    let isFirst = true
    const { path } = segment
    try {
      for await (const bytes of linesOf(segment, signal)) {
        if (typeof bytes === 'number' || skip-- > 0) continue
        const line = checkLine(bytes)
        const problem = typeof line === 'string' ? line : problemOf(line, last, isFirst)
        if (typeof line === 'string' || problem) throw fault.not_intact({ path, seq: (last?.seq ?? from - 1) + 1, problem: problem! })
        last = { ...line, bytes, path }
        isFirst = false
        yield last
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (signal?.aborted || code?.startsWith('ledger.')) throw error
      throw fault.unreadable({ path, reason: code ?? message }, error)
    }
  }
}

function problemOf(line: CheckedLine, last: Entry | undefined, isFirst: boolean): string | undefined {
  if (!last) return undefined
  if (line.seq === last.seq + 1) return line.prev === last.hash ? undefined : 'of another chain: it does not follow the entry before it'
  return isFirst && line.seq > last.seq ? undefined : `out of order: entry ${line.seq} where ${last.seq + 1} belongs`
}

/** Entry 1, which tells one chain from another; undefined when it is not there. `time` is what it says of itself, in milliseconds. */
export async function firstEntry(names: Names): Promise<{ readonly hash: string; readonly time: number } | undefined> {
  for await (const { seq, hash, bytes } of entriesFrom(names, 1)) {
    const time = Date.parse(/^\{"seq":1,"time":"([^"]*)"/.exec(bytes.toString('latin1', 0, 64))?.[1] ?? '')
    return seq === 1 ? { hash, time } : undefined
  }
  return undefined
}
