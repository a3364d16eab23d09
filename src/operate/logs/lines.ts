// Lines of a log that lies in several files, from its end or from its beginning, a bounded part at a time, and on from any place.
import { type FileHandle, open } from 'node:fs/promises'

/** One file of a log. `inode` tells it again after it was renamed. */
export type LogPart = { readonly path: string; readonly inode: number; readonly sizeBytes: number }
/** Before (for `last`) or after (for `first`) that byte of that file. */
export type Place = { readonly inode: number; readonly at: number }
export type Line = { readonly text: string; readonly place: Place }
export type Which = 'first' | 'last'

const windowBytes = 256 << 10
/** Of one line; what is longer is cut, so that nobody's line fills our memory. */
const maxLineBytes = 256 << 10

/**
 * Lines of `parts`, which are in order of time, without their line feeds: for `last` the newest first. Begins at `from` if its file is still there, else where the files begin
 * or end. The place of a line is where its next one begins.
 */
export async function* readLines(parts: readonly LogPart[], which: Which, from?: Place): AsyncGenerator<Line> {
  const ordered = which === 'last' ? parts.toReversed() : parts
  const first = from ? ordered.findIndex(({ inode }) => inode === from.inode) : 0
  for (const part of first < 0 ? [] : ordered.slice(first)) {
    const start = part.inode === from?.inode ? Math.min(from.at, part.sizeBytes) : which === 'last' ? part.sizeBytes : 0
    const file = await open(part.path, 'r').catch(() => undefined) // gone meanwhile
    if (!file) continue
    try {
      yield* which === 'last' ? backward(file, part, start) : forward(file, part, start)
    } finally {
      await file.close()
    }
  }
}

async function read(file: FileHandle, at: number, sizeBytes: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(sizeBytes), 0, sizeBytes, at)
  return buffer.subarray(0, bytesRead)
}

async function* forward(file: FileHandle, { inode, sizeBytes }: LogPart, start: number): AsyncGenerator<Line> {
  for (let at = start; at < sizeBytes;) {
    const bytes = await read(file, at, Math.min(windowBytes, sizeBytes - at))
    if (bytes.length === 0) return
    let begin = 0
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, begin)) {
      const text = bytes.toString('utf8', begin, end)
      begin = end + 1
      yield { text, place: { inode, at: at + begin } }
    }
    if (begin === 0 && bytes.length < windowBytes) return // the last line is not finished
    if (begin === 0) yield { text: bytes.toString('utf8', 0, 1_000), place: { inode, at: at + bytes.length } }
    at += begin === 0 ? bytes.length : begin
  }
}

async function* backward(file: FileHandle, { inode }: LogPart, start: number): AsyncGenerator<Line> {
  let rest: Buffer = Buffer.alloc(0)
  for (let at = start; at > 0;) {
    const from = Math.max(0, at - windowBytes)
    let bytes = Buffer.concat([await read(file, from, at - from), rest])
    if (at === start) bytes = bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1) // what comes after it is not finished
    let end = bytes.length - 1
    for (
      let before = end > 0 ? bytes.lastIndexOf(0x0a, end - 1) : -1;
      before >= 0;
      before = before > 0 ? bytes.lastIndexOf(0x0a, before - 1) : -1
    ) {
      yield { text: bytes.toString('utf8', before + 1, end), place: { inode, at: from + before + 1 } }
      end = before
    }
    if (from === 0 && bytes.length > 0) yield { text: bytes.toString('utf8', 0, end), place: { inode, at: 0 } }
    rest = bytes.subarray(0, end + 1)
    if (rest.length > maxLineBytes) return // no line of ours: nothing before it is looked for
    at = from
  }
}
