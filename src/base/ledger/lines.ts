// Reads the lines of a ledger's files, in one pass and little memory: all of one file, or the entries from a number on.
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { fault } from './faults.ts'
import { type CheckedLine, maxLineBytes, readLine } from './line.ts'
import { type Names, type Segment, listSegments } from './segments.ts'

/**
 * The lines without their line feeds, as many at a time as are read at once (`chunkBytes`); at last the number of bytes after the last line feed, if there are any.
 * In batches, because a turn of an asynchronous generator costs as much as a hash.
 */
export async function* linesOf(
  { path, sizeBytes }: Segment,
  { signal, chunkBytes = 1 << 18 }: { readonly signal?: AbortSignal | undefined; readonly chunkBytes?: number } = {},
): AsyncGenerator<readonly Buffer[] | number> {
  const isPacked = path.endsWith('.gz')
  const file = createReadStream(path, {
    highWaterMark: chunkBytes,
    end: isPacked ? Infinity : sizeBytes - 1,
    ...(signal ? { signal } : {}),
  })
  const chunks: AsyncIterable<Buffer> = isPacked ? pipeline(file, createGunzip(), () => {}) : file // an error comes to whoever reads the end
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const lines: Buffer[] = []
    let at = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, at)) {
      lines.push(rest.length > 0 ? Buffer.concat([rest, chunk.subarray(at, end)]) : chunk.subarray(at, end))
      rest = Buffer.alloc(0)
      at = end + 1
    }
    rest = Buffer.concat([rest, chunk.subarray(at)])
    if (rest.length > maxLineBytes) return void (yield [...lines, rest]) // no line is so long: it will not pass, and we need not read on
    if (lines.length > 0) yield lines
  }
  if (rest.length > 0) yield rest.length
}

/** An entry as it stands in a file. */
export type Entry = CheckedLine & { readonly bytes: Buffer; readonly path: string }

/** Small enough that whoever else runs in this process does not notice. */
const entryChunkBytes = 1 << 16

/**
 * The entries from number `from` on, some at a time, each chained to the one before; those that are missing are left out. Nothing before `from` is looked at, and
 * no hash is computed: that a line gives the hash it has is for a verifier to check. Faults: `ledger.unreadable`, `ledger.not_intact` where the chain breaks.
 */
export async function* entriesFrom(names: Names, from: number, signal?: AbortSignal): AsyncGenerator<readonly Entry[]> {
  const segments = listSegments(names)
  const first = segments.findLastIndex(({ firstSeq }) => firstSeq !== undefined && firstSeq <= from)
  let last: Entry | undefined
  for (const segment of segments.slice(Math.max(0, first))) {
    const { path } = segment
    let skip = Math.max(0, from - (segment.firstSeq ?? from)) // within a file no number is left out
    let isFirst = true
    try {
      for await (const lines of linesOf(segment, { signal, chunkBytes: entryChunkBytes })) {
        if (typeof lines === 'number') continue
        const entries: Entry[] = []
        for (const bytes of lines.slice(skip)) {
          last = entryAfter(last, bytes, { path, isFirst, expected: from })
          isFirst = false
          entries.push(last)
        }
        skip = Math.max(0, skip - lines.length)
        if (entries.length > 0) yield entries
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (signal?.aborted || code?.startsWith('ledger.')) throw error
      throw fault.unreadable({ path, reason: code ?? message }, error)
    }
  }
}

/** `expected`: the number of the first, when there is no last one. */
function entryAfter(
  last: Entry | undefined,
  bytes: Buffer,
  { path, isFirst, expected }: { path: string; isFirst: boolean; expected: number },
): Entry {
  const line = readLine(bytes)
  const bad = (problem: string) => fault.not_intact({ path, seq: last ? last.seq + 1 : expected, problem })
  if (!line) throw bad('not a ledger line')
  if (last && line.seq === last.seq + 1) {
    if (line.prev !== last.hash) throw bad('of another chain: it does not follow the entry before it')
  } else if (last && (!isFirst || line.seq <= last.seq)) throw bad(`out of order: entry ${line.seq} where ${last.seq + 1} belongs`)
  return { ...line, bytes, path }
}

/** The first entry with this number or a higher one; undefined when there is none. */
export async function entryAt(names: Names, seq: number): Promise<Entry | undefined> {
  for await (const [entry] of entriesFrom(names, seq)) return entry
  return undefined
}

/** Entry 1, which tells one chain from another; undefined when it is not there. `time` is what it says of itself, in milliseconds. */
export async function firstEntry(names: Names): Promise<{ readonly hash: string; readonly time: number } | undefined> {
  const entry = await entryAt(names, 1)
  if (entry?.seq !== 1) return undefined
  const time = /^\{"seq":1,"time":"([^"]*)"/.exec(entry.bytes.toString('latin1', 0, 64))?.[1]
  return { hash: entry.hash, time: Date.parse(time ?? '') }
}
