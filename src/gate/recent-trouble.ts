// What the gate refused or could not do lately, from the end of its record: a look at no more than a part of it, for who wants to see at a glance how things go.
import { createReadStream } from 'node:fs'
import { statOf } from '../kernel/file.ts'
import { noStream } from '../base/mcp/door/http.ts'
import { namesOf } from '../base/ledger/segments.ts'

export type Trouble = {
  /** ms since 1970. */
  readonly at: number
  /** A principal; `somebody` where nobody was known. */
  readonly about: string
  readonly text: string
}

const lookedAtBytes = 128 << 10
const newest = 10

/** As the gate writes it. */
type Entry = { readonly seq?: number; readonly begin?: number; readonly further?: number } & {
  readonly [Member in 'time' | 'event' | 'principal' | 'door' | 'method' | 'name' | 'upstream' | 'path' | 'outcome' | 'reason']?: string
}

/** The newest first. What cannot be read is left out: whether the record is whole is for `verify` to say. */
export async function recentTrouble(folder: string): Promise<readonly Trouble[]> {
  const { active } = namesOf(folder, 'ledger.jsonl')
  const sizeBytes = statOf(active)?.size ?? 0
  if (sizeBytes === 0) return []
  const start = Math.max(0, sizeBytes - lookedAtBytes)
  const parts: Buffer[] = []
  for await (const part of createReadStream(active, { start, end: sizeBytes - 1 })) parts.push(part as Buffer)
  const lines = Buffer.concat(parts).toString('utf8').split('\n')
  const begun = new Map<number | undefined, Entry>()
  const found: Trouble[] = []
  for (const line of lines) {
    const entry = parsed(line)
    if (!entry) continue // cut off at the beginning of what is looked at, or just being written
    if (entry.event === 'call.begin') begun.set(entry.seq, entry)
    if (entry.reason === noStream) continue
    const trouble =
      entry.event === 'refused' ? refused(entry) : entry.event === 'call.end' ? failed(entry, begun.get(entry.begin)) : undefined
    const at = Date.parse(entry.time ?? '')
    if (trouble && !Number.isNaN(at)) found.push({ at, ...trouble })
  }
  return found.slice(-newest).reverse()
}

function refused(entry: Entry): Omit<Trouble, 'at'> {
  const { principal, door, reason } = entry
  const at = door === undefined ? '' : ` at the door (${door})`
  return {
    about: principal ?? 'somebody',
    text: `refused${at}: ${what(entry)}${reason === undefined ? '' : `: ${reason}`}`,
  }
}

/** Without its begin, which may be further back, nobody knows whose it was. An answer that is an error is the server's to give. */
function failed({ outcome, reason }: Entry, begin: Entry | undefined): Omit<Trouble, 'at'> | undefined {
  if (!begin || (outcome !== 'notSent' && outcome !== 'unknown')) return undefined
  const how = outcome === 'notSent' ? 'not sent' : 'its effect is unknown'
  return { about: begin.principal ?? 'somebody', text: `${what(begin)}: ${how}${reason === undefined ? '' : ` (${reason})`}` }
}

function what({ method, name, upstream, path, further }: Entry): string {
  if (further !== undefined) return `${further} further`
  const call = method === 'tools/call' && name !== undefined ? name : [method, name ?? path].filter((part) => part !== undefined).join(' ')
  return upstream === undefined ? call : `${call} at ${upstream}`
}

function parsed(line: string): Entry | undefined {
  try {
    return JSON.parse(line) as Entry
  } catch {
    return undefined
  }
}
