// The envelope of 2026-07-28 (`params._meta`) put on and taken off a request; whatever else stands in the message stays byte for byte.
import { type Edit, type Frame, type Span, asBuffer, splice, token } from '../wire/frame.ts'
import { members } from '../wire/locate.ts'
import { rescan } from '../wire/scan.ts'
import { meta } from './protocol.ts'

const envelopeKeys: ReadonlySet<string> = new Set([meta.protocolVersion, meta.clientCapabilities, meta.clientInfo, meta.logLevel])

/** The text of the members of the object at `span` that `keep` wants, as it stands there. */
export function membersText(frame: Frame, span: Span, keep: (name: string) => boolean): string[] {
  if (frame.bytes[span[0]] !== 0x7b) return []
  const bytes = asBuffer(frame.bytes)
  return [...members(frame.bytes, span)].filter(({ name }) => keep(name)).map(({ start, value }) => bytes.toString('utf8', start, value[1]))
}

/** An edit that puts members, given as text, at the start of the object that begins at `at`. */
export function insertInto(bytes: Uint8Array, at: number, text: string): Edit {
  let next = at + 1
  while (bytes[next] === 0x20 || bytes[next] === 0x09) next++
  const isEmpty = bytes[next] === 0x7d
  return { span: [at + 1, at + 1], with: Buffer.from(text === '' || isEmpty ? text : `${text},`) }
}

/** The request as a legacy server knows it. */
export function withoutEnvelope(frame: Frame): Frame {
  const { meta: span } = frame.at
  if (!span) return frame
  const rest = membersText(frame, span, (name) => !envelopeKeys.has(name))
  // A progress token may stand there, and its place must stay known: what was written is scanned.
  return rescan(splice(frame, [{ span, with: Buffer.from(`{${rest.join(',')}}`) }]).bytes)
}

/** The request with an envelope, and with further members of `params` given as JSON text by name. */
export function withEnvelope(
  frame: Frame,
  envelope: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, string>> = {},
): Frame {
  const { meta: metaSpan, params } = frame.at
  const inside = Object.entries(envelope).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  if (metaSpan) inside.push(...membersText(frame, metaSpan, (name) => !envelopeKeys.has(name)))
  const _meta = `{${inside.join(',')}}`
  const added = Object.entries(more).map(([name, text]) => `${JSON.stringify(name)}:${text}`)
  if (!metaSpan) added.push(`"_meta":${_meta}`)
  const edits: Edit[] = metaSpan ? [{ span: metaSpan, with: Buffer.from(_meta) }] : []
  if (params) edits.push(insertInto(frame.bytes, params[0], added.join(',')))
  else edits.push(insertInto(frame.bytes, 0, `"params":{${added.join(',')}}`))
  return rescan(splice(frame, edits).bytes)
}

/** A notification with one more member in `params._meta`, given as text. */
export function withMeta(frame: Frame, name: string, text: string): Frame {
  const member = `${JSON.stringify(name)}:${text}`
  if (frame.at.meta) return splice(frame, [insertInto(frame.bytes, frame.at.meta[0], member)])
  const whole = `"_meta":{${member}}`
  if (frame.at.params) return splice(frame, [insertInto(frame.bytes, frame.at.params[0], whole)])
  return splice(frame, [insertInto(frame.bytes, 0, `"params":{${whole}}`)])
}

/** The request with this text, and none that was there, as the member `name` of `params._meta`; undefined: without the member. */
export function withOwnMember(frame: Frame, name: string, text: string | undefined): Frame {
  const { meta: metaSpan, inMeta } = frame.at
  const isThere = inMeta?.[name] !== undefined
  if (text === undefined && !isThere) return frame
  if (!metaSpan) return rescan(withMeta(frame, name, text!).bytes)
  const kept = membersText(frame, metaSpan, (other) => other !== name)
  const own = text === undefined ? [] : [`${JSON.stringify(name)}:${text}`]
  return rescan(splice(frame, [{ span: metaSpan, with: Buffer.from(`{${[...own, ...kept].join(',')}}`) }]).bytes)
}

/** The frame with another id token and, where it has one, another progress token; a progress notification without a new token is not for this client. */
export function readdressed(frame: Frame, id: string, progressToken: string | undefined): Frame | undefined {
  if (frame.kind === 'result' || frame.kind === 'error')
    return frame.at.id ? splice(frame, [{ span: frame.at.id, with: Buffer.from(id) }]) : frame
  if (frame.method !== 'notifications/progress' || !frame.at.progressToken) return frame
  if (progressToken === undefined) return undefined
  if (token(frame, frame.at.progressToken) === progressToken) return frame
  return splice(frame, [{ span: frame.at.progressToken, with: Buffer.from(progressToken) }])
}
