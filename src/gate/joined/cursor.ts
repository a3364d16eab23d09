// One cursor for the lists of many upstreams: where to go on at each. It needs no seal: whoever makes one up asks upstreams what they may ask them anyway.
import { type Frame, splice } from '../../base/wire/frame.ts'
import { locate } from '../../base/wire/locate.ts'
import { rescan } from '../../base/wire/scan.ts'
import { membersText } from '../../base/mcp/envelope.ts'

/** By upstream, its own cursor; null: from the beginning. */
export type Positions = ReadonlyMap<string, string | null>

const maxCursorLength = 64 << 10

export function writeCursor(positions: Positions): string {
  return Buffer.from(JSON.stringify(Object.fromEntries(positions))).toString('base64url')
}

/** Undefined for what `writeCursor` never wrote. */
export function readCursor(text: string): Positions | undefined {
  if (text.length > maxCursorLength) return undefined
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    if (typeof value !== 'object' || value === null) return undefined
    const entries = Object.entries(value)
    return entries.every(([, at]) => typeof at === 'string' || at === null) ? new Map(entries) : undefined
  } catch {
    return undefined
  }
}

/** The request for a list with the cursor of one upstream in place of ours. */
export function withCursor(frame: Frame, cursor: string | null): Frame {
  const { params } = frame.at
  const span = locate(frame.bytes, params, 'cursor')
  if (!params || !span) return frame
  if (cursor !== null) return splice(frame, [{ span, with: Buffer.from(JSON.stringify(cursor)) }])
  const rest = membersText(frame, params, (name) => name !== 'cursor')
  return rescan(splice(frame, [{ span: params, with: Buffer.from(`{${rest.join(',')}}`) }]).bytes)
}
