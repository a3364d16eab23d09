// What all gates of a cluster may still use together under one limit: one small record, out of which each gate takes a part ahead of its calls.
import { type Limit, againMs, mostCalls } from './account.ts'
import { minuteMs } from './bucket.ts'

/** As it is kept. `atMs`: wall time of the last change; `calls`, `bytes`: what was left then; `running`: how many calls each gate has taken the right to run at once. */
export type Allowance = {
  readonly atMs: number
  readonly calls: number
  readonly bytes: number
  readonly running: Readonly<Record<string, number>>
}

/** What a gate has of it: may be below nothing, which is owed. */
export type Part = { readonly calls: number; readonly bytes: number; readonly running: number }

export const noPart: Part = { calls: 0, bytes: 0, running: 0 }

/** A gate takes what is used in so long, at least what it needs. */
const partMs = 5_000
/** Clocks of gates may differ by so much; one that is further off is taken for wrong. */
const maxSkewMs = 60_000
/** The right to run so many calls at once is taken by this part of all. */
const runningPart = 1 / 8

/** What a gate takes ahead at a time. */
export function usualPart({ callsPerMinute = 0, bytesPerMinute = 0, concurrent = 0 }: Limit): Part {
  return {
    calls: Math.max(1, Math.floor((callsPerMinute * partMs) / minuteMs)),
    bytes: Math.max(1, (bytesPerMinute * partMs) / minuteMs),
    running: Math.max(1, Math.floor(concurrent * runningPart)),
  }
}

export type Lack = { readonly of: 'running' | 'calls' | 'bytes'; readonly what: string; readonly waitMs: number }
export type Taken = { readonly allowance: Allowance; readonly part: Part; readonly lack: Lack | undefined }

export type Taking = {
  readonly gate: string
  /** What the gate has, and gives back before it takes. */
  readonly has: Part
  readonly wants: Part
  /** How many of its calls run now, whatever it may. */
  readonly runs: number
  /** Gates that are not there any more: they run nothing. */
  readonly gone: ReadonlySet<string>
  /** Wall time. */
  readonly nowMs: number
}

/** What a gate gets of what it wants, what is left then, and what it lacks for one more call. Undefined: a record as nobody has used it. */
export function take(limit: Limit, before: Allowance | undefined, { gate, has, wants, runs, gone, nowMs }: Taking): Taken {
  const { callsPerMinute, bytesPerMinute, concurrent } = limit
  const isWrong = before !== undefined && before.atMs - nowMs > maxSkewMs
  const atMs = before && !isWrong ? Math.max(nowMs, before.atMs) : nowMs
  const passedMs = before && !isWrong ? atMs - before.atMs : 0
  const filled = (left: number | undefined, back: number, perMinute: number, most: number): number =>
    Math.min(most, left === undefined ? most : left + back + (passedMs * perMinute) / minuteMs)
  const calls = filled(before?.calls, has.calls, callsPerMinute ?? 0, mostCalls(limit))
  const bytes = filled(before?.bytes, has.bytes, bytesPerMinute ?? 0, bytesPerMinute ?? 0)
  const others = Object.entries(before?.running ?? {}).filter(([id]) => id !== gate && !gone.has(id))
  const free = (concurrent ?? 0) - others.reduce((sum, [, count]) => sum + count, 0)
  const part = {
    calls: callsPerMinute === undefined ? 0 : Math.max(0, Math.min(wants.calls, Math.floor(calls))),
    bytes: bytesPerMinute === undefined ? 0 : Math.max(0, Math.min(wants.bytes, bytes)),
    running: concurrent === undefined ? 0 : Math.max(runs, Math.min(wants.running, free)),
  }
  const own = part.running > 0 ? [[gate, part.running] as const] : []
  return {
    allowance: { atMs, calls: calls - part.calls, bytes: bytes - part.bytes, running: Object.fromEntries([...others, ...own]) },
    part,
    lack: lackOf(limit, part, runs, { calls, bytes }),
  }
}

function lackOf(limit: Limit, part: Part, runs: number, left: { readonly calls: number; readonly bytes: number }): Lack | undefined {
  const { callsPerMinute, bytesPerMinute, concurrent } = limit
  const untilOne = (count: number, perMinute: number): number => ((1 - count) * minuteMs) / perMinute
  if (concurrent !== undefined && part.running <= runs) return { of: 'running', what: `for ${concurrent} at once`, waitMs: againMs }
  if (callsPerMinute !== undefined && part.calls < 1)
    return { of: 'calls', what: `for ${callsPerMinute} calls a minute`, waitMs: untilOne(left.calls, callsPerMinute) }
  if (bytesPerMinute !== undefined && part.bytes < 1)
    return { of: 'bytes', what: `for ${bytesPerMinute} bytes a minute`, waitMs: untilOne(left.bytes, bytesPerMinute) }
  return undefined
}

/** After so long an allowance that nobody used is whole again. */
export function wholeAfterMs(limit: Limit): number {
  const { callsPerMinute, bytesPerMinute } = limit
  const callsMs = callsPerMinute === undefined ? 0 : (mostCalls(limit) * minuteMs) / callsPerMinute
  return Math.max(callsMs, bytesPerMinute === undefined ? 0 : minuteMs)
}
