// Finds calls and refusals in the gate's record, in one pass over its files and little memory, and checks on the way that what it reads is what was written.
import { basename } from 'node:path'
import { reasonOf } from '../kernel/fault.ts'
import { fault } from '../base/ledger/faults.ts'
import { checkLine } from '../base/ledger/line.ts'
import { linesOf } from '../base/ledger/lines.ts'
import { type Segment, listSegments, namesOf } from '../base/ledger/segments.ts'

/** What must hold of a call or refusal to be found; what is absent may be anything. Times are milliseconds since 1970. */
export type Wanted = {
  readonly principal?: string | undefined
  readonly upstream?: string | undefined
  readonly tool?: string | undefined
  readonly outcome?: string | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  /** Entries before this one only: for the next page. */
  readonly beforeSeq?: number | undefined
  /** A trace id. */
  readonly trace?: string | undefined
  /** A part of the reason, in letters of any case. */
  readonly reason?: string | undefined
}

/** A call, with its end, or a refusal. */
export type Found = {
  readonly seq: number
  readonly time: string
  readonly what: 'call' | 'refusal'
  /** `ok`, `tool_error`, `error`, `refused`, `notSent`, `unknown`, `cancelled`; `open`: its end is not in the record. */
  readonly outcome: string
  readonly principal?: string
  readonly upstream?: string
  readonly method?: string
  readonly name?: string
  readonly reason?: string
  readonly ms?: number
  readonly trace?: string
  /** Of a refusal at a door: which, of what; `further`: so many more in the same second. */
  readonly door?: string
  readonly path?: string
  readonly peer?: string
  readonly further?: number
} & Readonly<Record<string, unknown>>

/** What was read: from entry `from` to entry `to`. `intact`: each is what was written, in its order. */
export type Searched = { readonly from: number; readonly to: number; readonly entries: number } & (
  | { readonly intact: true }
  | { readonly intact: false; readonly firstBad: { readonly file: string; readonly line: number; readonly problem: string } }
)

export type SearchResult = { readonly found: readonly Found[]; readonly more: boolean; readonly searched: Searched }

/** Calls whose end has not been read yet: with more, the oldest are told as open. */
const maxOpen = 65_536

type Entry = Readonly<Record<string, unknown>> & { readonly seq: number; readonly time: string; readonly event?: unknown }

/** The newest `limit` that are wanted, newest first. Works while the record is written. Fault `ledger.unreadable`. */
export async function searchLedger(folder: string, wanted: Wanted, limit: number, signal?: AbortSignal): Promise<SearchResult> {
  const names = namesOf(folder, 'ledger.jsonl')
  for (let tries = 1; ; tries++) {
    const segments = listSegments(names)
    const isSame = (): boolean => tries === 3 || idsOf(segments) === idsOf(listSegments(names)) // else: it was rotated while we read
    try {
      const result = await searchSegments(await within(segments, wanted.fromMs), wanted, limit, signal)
      if (isSame()) return result
    } catch (error) {
      if (signal?.aborted) throw error
      if (isSame()) throw fault.unreadable({ path: names.active, reason: reasonOf(error) }, error)
    }
  }
}

function idsOf(segments: readonly Segment[]): string {
  return segments.map(({ id, path }) => `${id} ${path}`).join('\n')
}

/** Without the files that end before `fromMs`: those that the next one begins before. */
async function within(segments: readonly Segment[], fromMs: number | undefined): Promise<readonly Segment[]> {
  if (fromMs === undefined) return segments
  let first = segments.length - 1
  while (first > 0 && (await firstTimeOf(segments[first]!)) >= fromMs) first--
  return segments.slice(Math.max(0, first))
}

async function firstTimeOf(segment: Segment): Promise<number> {
  for await (const lines of linesOf(segment, { chunkBytes: 4_096 })) {
    if (typeof lines === 'number') break
    const time = /"time":"([^"]*)"/.exec(lines[0]!.toString('latin1', 0, 80))?.[1]
    return Date.parse(time ?? '')
  }
  return Number.NaN // unreadable, so that it is read and its fault is found
}

async function searchSegments(
  segments: readonly Segment[],
  wanted: Wanted,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<SearchResult> {
  const kept = new Newest(limit)
  const open = new Map<number, Entry>()
  let searched: { from: number; to: number; entries: number } = { from: 0, to: 0, entries: 0 }
  let firstBad: { file: string; line: number; problem: string } | undefined
  let last: { readonly seq: number; readonly hash: string } | undefined
  const take = (entry: Entry): void => {
    if (entry.event === 'refused') kept.add(refusalOf(entry), wanted)
    else if (entry.event === 'call.begin') {
      open.set(entry.seq, entry)
      const [oldest] = open.values()
      if (open.size > maxOpen && open.delete(oldest!.seq)) kept.add(callOf(oldest!, undefined), wanted)
    } else if (entry.event === 'call.end') {
      const begin = open.get(Number(entry['begin']))
      if (begin && open.delete(begin.seq)) kept.add(callOf(begin, entry), wanted)
    }
  }
  for (const segment of segments) {
    let number = 0
    for await (const lines of linesOf(segment, { signal })) {
      if (typeof lines === 'number') continue // a write that did not finish, or is just going on
      for (const bytes of lines) {
        number++
        const line = checkLine(bytes)
        const problem = typeof line === 'string' ? line : placeProblem(line, last, number === 1)
        if (problem !== undefined) firstBad ??= { file: basename(segment.path), line: number, problem }
        if (typeof line === 'string') continue // nothing that it says can be believed
        last = line
        searched = { from: searched.from || line.seq, to: line.seq, entries: searched.entries + 1 }
        take(JSON.parse(bytes.toString('utf8')) as Entry)
      }
    }
  }
  for (const begin of open.values()) kept.add(callOf(begin, undefined), wanted)
  return { ...kept.result(), searched: firstBad ? { ...searched, intact: false, firstBad } : { ...searched, intact: true } }
}

/** Why an entry does not belong where it stands. Between two files some may be missing: they were dropped by age, which `verify` tells of. */
function placeProblem(
  line: { readonly seq: number; readonly prev: string },
  last: { readonly seq: number; readonly hash: string } | undefined,
  isFirstInFile: boolean,
): string | undefined {
  if (!last || (isFirstInFile && line.seq > last.seq + 1)) return undefined
  if (line.seq !== last.seq + 1) return `out of order: entry ${line.seq} where ${last.seq + 1} belongs`
  return line.prev === last.hash ? undefined : 'of another chain: it does not follow the entry before it'
}

function callOf(begin: Entry, end: Entry | undefined): Found {
  const { event: _, prev: _prev, hash: _hash, ...said } = begin
  const { outcome = 'open', ms, reason }: Readonly<Record<string, unknown>> = end ?? {}
  return {
    ...said,
    what: 'call',
    outcome: String(outcome),
    ...(end ? { end: end.seq } : {}),
    ...(typeof ms === 'number' ? { ms } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
  }
}

function refusalOf(entry: Entry): Found {
  const { event: _, prev: _prev, hash: _hash, ...said } = entry
  return { ...said, what: 'refusal', outcome: 'refused' }
}

function isWanted(found: Found, { principal, upstream, tool, outcome, fromMs, toMs, beforeSeq, trace, reason }: Wanted): boolean {
  const timeMs = Date.parse(found.time)
  return (
    (principal === undefined || found.principal === principal) &&
    (upstream === undefined || found.upstream === upstream) &&
    (tool === undefined || (found.method === 'tools/call' && found.name === tool)) &&
    (outcome === undefined || found.outcome === outcome) &&
    (trace === undefined || found.trace === trace) &&
    (reason === undefined || (found.reason ?? '').toLowerCase().includes(reason.toLowerCase())) &&
    !(beforeSeq !== undefined && found.seq >= beforeSeq) &&
    !(fromMs !== undefined && timeMs < fromMs) &&
    !(toMs !== undefined && timeMs > toMs)
  )
}

/** The newest so many of what is added in about their order. */
class Newest {
  readonly #limit: number
  #found: Found[] = []
  #hasMore = false

  constructor(limit: number) {
    this.#limit = limit
  }

  add(one: Found, wanted: Wanted): void {
    if (!isWanted(one, wanted)) return
    this.#found.push(one)
    if (this.#found.length >= 2 * this.#limit + 64) this.#cut()
  }

  result(): { readonly found: readonly Found[]; readonly more: boolean } {
    this.#cut()
    return { found: this.#found, more: this.#hasMore }
  }

  #cut(): void {
    this.#found.sort((a, b) => b.seq - a.seq)
    if (this.#found.length > this.#limit) this.#hasMore = true
    this.#found = this.#found.slice(0, this.#limit)
  }
}
