// One list out of the lists of many upstreams: elements as they came, names prefixed, one cursor, and in `_meta` who is missing and what is hidden.
import { type Frame, asBuffer, stringAt, valueAt } from '../../base/wire/frame.ts'
import { elements, locate } from '../../base/wire/locate.ts'
import { rescan } from '../../base/wire/scan.ts'
import type { Era } from '../../base/mcp/exchange.ts'
import { type Listing, nameIn } from '../../base/mcp/listing.ts'
import { idToken } from '../../base/mcp/message.ts'
import { meta } from '../../base/mcp/protocol.ts'
import { type Positions, writeCursor } from './cursor.ts'
import { prefixing } from './names.ts'

/** An upstream whose part a list lacks, and why. */
export type Missing = { readonly upstream: string; readonly reason: string }
/** A resource that is left out, since another upstream has one of the same URI. */
type Hidden = { readonly upstream: string; readonly uri: string; readonly owner: string }

export const metaKeys = { missing: 'fairlead/missing', hidden: 'fairlead/hidden' } as const

/** Told in a result at most. */
const maxHidden = 100

export type Merging = {
  readonly request: Frame
  readonly era: Era
  readonly listing: Listing
  /** Where each upstream was asked to go on. */
  readonly asked: Positions
  /** Results only, in the order of their upstreams' names. */
  readonly answers: ReadonlyMap<string, Frame>
  readonly missing: readonly Missing[]
  /** Whose a URI is. */
  readonly owner: (uri: string, upstream: string) => string
  readonly serverInfo: unknown
  /** Upstreams whose parts would make the page larger come with the next one. */
  readonly maxPageBytes: number
}

/** The list as one answer to the request. */
export function merged(merging: Merging): Frame {
  const { request, era, listing, asked, answers, missing, maxPageBytes } = merging
  const parts: Uint8Array[] = []
  const hidden: Hidden[] = []
  const next = new Map<string, string | null>()
  let sizeBytes = 0
  let ttlMs = missing.length > 0 ? 0 : Infinity
  for (const [upstream, answer] of answers) {
    if (parts.length > 0 && sizeBytes + answer.bytes.length > maxPageBytes) {
      next.set(upstream, asked.get(upstream) ?? null)
      continue
    }
    for (const element of elementsOf(merging, upstream, answer, hidden)) {
      sizeBytes += element.length
      parts.push(parts.length === 0 ? element : Buffer.concat([comma, element]))
    }
    const cursor = stringAt(answer, locate(answer.bytes, answer.at.result, 'nextCursor'))
    if (cursor !== undefined) next.set(upstream, cursor)
    const ttl = locate(answer.bytes, answer.at.result, 'ttlMs')
    ttlMs = Math.min(ttlMs, Number(ttl ? valueAt(answer, ttl) : 0) || 0)
  }
  const more = {
    ...(missing.length > 0 ? { [metaKeys.missing]: missing } : {}),
    ...(hidden.length > 0 ? { [metaKeys.hidden]: hidden } : {}),
    ...(era === 'modern' ? { [meta.serverInfo]: merging.serverInfo } : {}),
  }
  const rest = {
    ...(next.size > 0 ? { nextCursor: writeCursor(next) } : {}),
    ...(era === 'modern' ? { resultType: 'complete', ttlMs: Number.isFinite(ttlMs) ? ttlMs : 0, cacheScope: 'private' } : {}),
    ...(Object.keys(more).length > 0 ? { _meta: more } : {}),
  }
  const tail = JSON.stringify(rest).slice(1, -1)
  return rescan(
    Buffer.concat([
      Buffer.from(`{"jsonrpc":"2.0","id":${idToken(request)},"result":{"${listing.member}":[`),
      ...parts,
      Buffer.from(`]${tail === '' ? '' : `,${tail}`}}}`),
    ]),
  )
}

const comma = Buffer.from(',')

/** The elements that a client can use, as they are to stand in the list. */
function* elementsOf({ listing, owner }: Merging, upstream: string, answer: Frame, hidden: Hidden[]): Generator<Uint8Array> {
  const span = locate(answer.bytes, answer.at.result, listing.member)
  if (!span || answer.bytes[span[0]] !== 0x5b) return
  for (const element of elements(answer.bytes, span)) {
    const place = nameIn(answer, element, listing)
    const named = stringAt(answer, place)
    if (!place || named === undefined) continue // nobody could ask for it
    if (listing.kind !== 'resource') {
      const { span: at, with: prefix } = prefixing(upstream, place)
      const bytes = asBuffer(answer.bytes)
      yield Buffer.concat([bytes.subarray(element[0], at[0]), prefix, bytes.subarray(at[1], element[1])])
      continue
    }
    const first = owner(named, upstream)
    if (first === upstream) yield answer.bytes.subarray(...element)
    else if (hidden.length < maxHidden) hidden.push({ upstream, uri: named, owner: first })
  }
}
