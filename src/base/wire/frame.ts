// A frame is one JSON-RPC 2.0 message as bytes, scanned once and whole: what a relay may rely on, and where its parts are.

/** A half-open range of byte offsets into `Frame.bytes`. */
export type Span = readonly [start: number, end: number]

type FrameKind = 'request' | 'notification' | 'result' | 'error'

/** The members whose place a relay must know, so that it can read or splice them without parsing the message. Spans cover the value only. */
export type Places = {
  /** Root members. */
  id?: Span
  params?: Span
  result?: Span
  error?: Span
  /** Members of `result`. */
  isError?: Span
  resultType?: Span
  cacheScope?: Span
  resultMeta?: Span
  /** Members of `params`. */
  name?: Span
  uri?: Span
  taskId?: Span
  task?: Span
  requestState?: Span
  arguments?: Span
  requestId?: Span
  meta?: Span
  protocolVersion?: Span
  /** `params._meta.progressToken` of a request, `params.progressToken` of a notification. */
  progressToken?: Span
  /** Members of `params._meta`, by their whole name. */
  inMeta?: Record<string, Span>
}

/** Bytes are never changed after the scan: a changed frame is a new one, see `splice`. */
export interface Frame {
  readonly bytes: Uint8Array
  readonly kind: FrameKind
  readonly method: string | undefined
  readonly at: Readonly<Places>
}

export type Edit = { readonly span: Span; readonly with: Uint8Array }

/** The frame with some spans replaced, everything else byte for byte as it was. `edits` must not overlap; each replacement must itself be valid JSON. */
export function splice(frame: Frame, edits: readonly Edit[]): Frame {
  if (edits.length === 0) return frame
  const ordered = [...edits].sort((a, b) => a.span[0] - b.span[0])
  const parts: Uint8Array[] = []
  let from = 0
  for (const edit of ordered) {
    parts.push(frame.bytes.subarray(from, edit.span[0]), edit.with)
    from = edit.span[1]
  }
  parts.push(frame.bytes.subarray(from))
  const moved = (offset: number): number =>
    ordered.reduce((sum, { span, with: bytes }) => (span[1] <= offset ? sum + bytes.length - (span[1] - span[0]) : sum), offset)
  const move = (span: Span): Span => [moved(span[0]), moved(span[1])]
  const at: Places = {}
  for (const [place, span] of Object.entries(frame.at) as [keyof Places, Span | Record<string, Span>][]) {
    if (place === 'inMeta')
      at.inMeta = Object.fromEntries(Object.entries(span as Record<string, Span>).map(([key, inner]) => [key, move(inner)]))
    else at[place] = move(span as Span)
  }
  return { bytes: Buffer.concat(parts), kind: frame.kind, method: frame.method, at }
}

/** The text of a span, undecoded: a string keeps its quotes and escapes. */
export function token(frame: Frame, span: Span): string {
  return asBuffer(frame.bytes).toString('utf8', span[0], span[1])
}

/** The JSON value of a span. */
export function valueAt(frame: Frame, span: Span): unknown {
  return JSON.parse(token(frame, span)) as unknown
}

/** The string at a span, or undefined when there is no span or no string. */
export function stringAt(frame: Frame, span: Span | undefined): string | undefined {
  if (!span || frame.bytes[span[0]] !== 0x22) return undefined
  return valueAt(frame, span) as string
}

/** A key that is equal for two ids exactly when JSON-RPC holds them to be the same id: `1` and `"1"` differ, `"a"` and `"\u0061"` do not. */
export function idKey(frame: Frame, span: Span): string {
  const text = token(frame, span)
  return text.startsWith('"') && text.includes('\\') ? JSON.stringify(JSON.parse(text)) : text
}

/** A view of the same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
