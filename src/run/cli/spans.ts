// Spans of time that a person types, as flags of commands.
import { durationMs } from '../../base/config/duration.ts'
import type { Clock } from '../../kernel/clock.ts'
import { fault } from './faults.ts'

/** Milliseconds. Fault `mcp.no_duration`. */
export function spanMs(text: string): number {
  const ms = durationMs(text)
  if (ms === undefined) throw fault.no_duration({ text })
  return ms
}

/** So long ago, or at that time (RFC 3339), in ms since 1970; undefined when nothing was said. Fault `mcp.no_duration`. */
export function sinceMs(clock: Pick<Clock, 'now'>, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? clock.now() - spanMs(text) : at
}
