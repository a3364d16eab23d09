// Trace context (W3C Trace Context and Baggage) as MCP carries it: in `params._meta` of a request and in the headers of HTTP, each hop a span of its own.
import { randomBytes } from '../../kernel/random.ts'
import { type Edit, type Frame, splice, stringAt } from '../wire/frame.ts'
import { rescan } from '../wire/scan.ts'
import { insertInto, membersText } from './envelope.ts'

/** Their names are the same in `_meta` and in HTTP. */
export const traceNames = ['traceparent', 'tracestate', 'baggage'] as const
type Headers = Readonly<Record<string, string>>
type Carried = { readonly [name in (typeof traceNames)[number]]?: string | undefined }

/** What a request is traced by from here on. */
export type Trace = {
  /** Absent where there was only baggage. `parentId`: the caller's span. */
  readonly span?: { readonly traceId: string; readonly spanId: string; readonly parentId?: string }
  /** What goes on; what is undefined goes no further. */
  readonly carried: Carried
}

const traceParent = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
/** Sampled, and that the trace id is random: those of the flags that have a meaning (Trace Context, level 2). */
const knownFlags = 0b11
const maxStateLength = 512
const maxStateMembers = 32
const stateMember =
  /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const maxBaggageBytes = 8_192
const maxBaggageMembers = 180
/** What may stand between two parts is bounded, so that no text takes long to be found wrong. */
const baggageMember =
  /^[!#$%&'*+\-.^_`|~\w]+[ \t]{0,2}=[ \t]{0,2}[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*(?:[ \t]{0,2};[ \t]{0,2}[!#$%&'*+\-.^_`|~\w]+(?:[ \t]{0,2}=[ \t]{0,2}[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*)?)*$/
/** What a header may hold. */
const plain = /^[\x20-\x7e\t]*$/

/**
 * What this request carries of a trace, with a span of ours in the place of the caller's; undefined: nothing, and with `begins` false nothing is begun. The
 * body counts before the headers. A `traceparent` that is none is dropped with its `tracestate`, and a trace is begun in its place.
 */
export function traceOf(frame: Frame, headers: Headers, begins: boolean): Trace | undefined {
  const { inMeta } = frame.at
  const read = (name: string): string | undefined => (inMeta?.[name] ? (stringAt(frame, inMeta[name]) ?? '') : headers[name])
  const parent = read('traceparent')
  const baggage = read('baggage')
  const hasState = inMeta?.['tracestate'] !== undefined || headers['tracestate'] !== undefined
  if (parent === undefined && baggage === undefined && !hasState && !begins) return undefined
  const known = baggage !== undefined && isBaggage(baggage) ? baggage : undefined
  if (parent === undefined && !begins) return { carried: { baggage: known } }
  const given = parent === undefined ? undefined : parsed(parent)
  const traceId = given?.traceId ?? hex(16)
  const spanId = hex(8)
  const state = given && read('tracestate')
  return {
    span: { traceId, spanId, ...(given ? { parentId: given.parentId } : {}) },
    carried: {
      traceparent: `00-${traceId}-${spanId}-${given?.flags ?? '01'}`,
      tracestate: state !== undefined && isState(state) ? state : undefined,
      baggage: known,
    },
  }
}

/** The request with what goes on of its trace, and nothing else changed. */
export function withTrace(frame: Frame, { carried }: Trace): Frame {
  const { inMeta = {}, meta, params } = frame.at
  const absent = traceNames.filter((name) => carried[name] !== undefined && !inMeta[name])
  const isDropped = (name: string): boolean => Object.hasOwn(inMeta, name) && carried[name as 'baggage'] === undefined
  const dropped = traceNames.filter(isDropped)
  const added = absent.map((name) => `"${name}":${JSON.stringify(carried[name])}`).join(',')
  if (dropped.length > 0) {
    const kept = membersText(frame, meta!, (name) => !traceNames.some((one) => one === name))
    const own = traceNames.filter((name) => carried[name] !== undefined).map((name) => `"${name}":${JSON.stringify(carried[name])}`)
    return rescan(splice(frame, [{ span: meta!, with: Buffer.from(`{${[...own, ...kept].join(',')}}`) }]).bytes)
  }
  const edits: Edit[] = traceNames.flatMap((name) => {
    const span = inMeta[name]
    return span && stringAt(frame, span) !== carried[name] ? [{ span, with: Buffer.from(JSON.stringify(carried[name])) }] : []
  })
  if (added === '') return splice(frame, edits)
  if (meta) edits.push(insertInto(frame.bytes, meta[0], added))
  else if (params) edits.push(insertInto(frame.bytes, params[0], `"_meta":{${added}}`))
  else edits.push(insertInto(frame.bytes, 0, `"params":{"_meta":{${added}}}`))
  return rescan(splice(frame, edits).bytes)
}

/** The headers with what goes on of the trace; without one, with none of the client's. */
export function withTraceHeaders(headers: Headers, trace: Trace | undefined): Headers {
  if (!trace && !traceNames.some((name) => Object.hasOwn(headers, name))) return headers
  const { traceparent: _parent, tracestate: _state, baggage: _baggage, ...rest } = headers
  const carried = Object.entries(trace?.carried ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return { ...rest, ...Object.fromEntries(carried) }
}

function parsed(text: string): { readonly traceId: string; readonly parentId: string; readonly flags: string } | undefined {
  const [, version, traceId = '', parentId = '', flags = '', more] = traceParent.exec(text) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined
  return { traceId, parentId, flags: (Number.parseInt(flags, 16) & knownFlags).toString(16).padStart(2, '0') }
}

function isState(text: string): boolean {
  if (text.length > maxStateLength || !plain.test(text)) return false
  const members = text.split(',').map((member) => member.trim())
  const named = members.filter((member) => member !== '')
  const keys = new Set(named.map((member) => member.slice(0, member.indexOf('='))))
  const isUnique = members.length <= maxStateMembers && named.length > 0 && keys.size === named.length
  return isUnique && named.every((member) => stateMember.test(member))
}

function isBaggage(text: string): boolean {
  if (text.length > maxBaggageBytes || !plain.test(text)) return false
  const members = text.split(',')
  return members.length <= maxBaggageMembers && members.every((member) => baggageMember.test(member.trim()))
}

/** Never all zero, which would be no id. */
function hex(sizeBytes: number): string {
  for (;;) {
    const text = Buffer.from(randomBytes(sizeBytes)).toString('hex')
    if (!/^0+$/.test(text)) return text
  }
}
