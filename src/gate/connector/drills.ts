// The rotation ledger `stage_b_rotation_drills.jsonl`: one chained line for each connector and rotation, drill or gap. Its writers open it for one batch and let it go, so that
// the gate and a smoke run share it.
import { asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { type Ledger, openLedger } from '../../base/ledger/ledger.ts'
import { checkLine } from '../../base/ledger/line.ts'
import { linesOf } from '../../base/ledger/lines.ts'
import { type Segment, listSegments, namesOf } from '../../base/ledger/segments.ts'
import { compactText, instantText, parseInstant } from './instant.ts'
import { durationText, endOf, parseDuration } from './iso-duration.ts'

export const drillsFile = 'stage_b_rotation_drills.jsonl'
/** What its first line is chained to. */
export const drillsOrigin = 'fairlead/gate/rotation-drills'

/** `rotation`: a credential was replaced. `drill`: a smoke run looked at it. `gap`: connectors did not go through MCP for a while. */
export const drillKinds = ['rotation', 'drill', 'gap'] as const
type DrillKind = (typeof drillKinds)[number]

/** The members of a line, in their order; the chain's own stand around them. */
export type Drill = {
  readonly connector_id: string
  /** The last rotation that was proved, never the time of this line. */
  readonly rotated_at: string
  readonly window_hours: number
  readonly rotation_window: {
    readonly window_id: string
    readonly started_at: string
    readonly expires_at: string
    readonly duration: string
  }
  readonly kind: DrillKind
} & Readonly<Record<string, unknown>>

/** The line that says when `connector` was last rotated (with proof), and how long that holds. `more`: further members, after the others. */
export function drillOf(
  { connector, kind, rotatedMs, windowMs }: { connector: string; kind: DrillKind; rotatedMs: number; windowMs: number },
  more: Readonly<Record<string, unknown>> = {},
): Drill {
  const duration = durationText(windowMs)
  return {
    connector_id: connector,
    rotated_at: instantText(rotatedMs),
    window_hours: windowMs / 3_600_000,
    rotation_window: {
      window_id: `${compactText(rotatedMs)}-${duration}`,
      started_at: instantText(rotatedMs),
      expires_at: instantText(rotatedMs + windowMs),
      duration,
    },
    kind,
    ...more,
  }
}

const lockTries = 50
const lockWaitMs = 100

/** Adds the lines, synced. Waits up to 5 s for another writer. Faults: those of `openLedger` and of its `append`. */
export async function addDrills({ clock, log }: { clock: Clock; log: Log }, folder: string, drills: readonly Drill[]): Promise<void> {
  const ledger = await opened({ clock, log }, folder)
  try {
    await Promise.all(drills.map((drill) => ledger.append(drill, 'synced')))
  } finally {
    await ledger.close()
  }
}

async function opened({ clock, log }: { clock: Clock; log: Log }, folder: string): Promise<Ledger> {
  for (let tries = 1; ; tries++) {
    try {
      return openLedger({ folder, file: drillsFile, origin: drillsOrigin, clock, log })
    } catch (error) {
      if (asFault(error).code !== 'store.locked' || tries === lockTries) throw error
      await clock.wait(lockWaitMs)
    }
  }
}

/** A line that says nothing of a rotation: reported, and skipped. */
export type BadLine = { readonly file: string; readonly line: number; readonly problem: string }

export type DrillsRead = { readonly drills: readonly (Drill & { readonly seq: number })[]; readonly bad: readonly BadLine[] }

const maxBad = 100

/** All lines that can be understood, oldest first; the first 100 that cannot. Whether the chain is whole, `verifyLedger` tells. Fault `ledger.unreadable`. */
export async function readDrills(folder: string, signal?: AbortSignal): Promise<DrillsRead> {
  const drills: (Drill & { readonly seq: number })[] = []
  const bad: BadLine[] = []
  for (const segment of listSegments(namesOf(folder, drillsFile))) await readSegment(segment, drills, bad, signal)
  return { drills, bad: bad.slice(0, maxBad) }
}

async function readSegment(
  segment: Segment,
  drills: (Drill & { readonly seq: number })[],
  bad: BadLine[],
  signal?: AbortSignal,
): Promise<void> {
  const { path: file } = segment
  let line = 0
  for await (const lines of linesOf(segment, { signal })) {
    if (typeof lines === 'number') return void bad.push({ file, line: line + 1, problem: 'cut off: its end is missing' })
    for (const bytes of lines) {
      line++
      const checked = checkLine(bytes)
      const said = parsed(bytes)
      if (typeof said === 'object' && 'ledger' in said) continue // what the ledger says of itself
      const problem = typeof checked === 'string' ? checked : typeof said === 'string' ? said : problemOf(said)
      if (problem === undefined) drills.push(said as Drill & { readonly seq: number })
      else bad.push({ file, line, problem })
    }
  }
}

function parsed(bytes: Buffer): Record<string, unknown> | string {
  try {
    const value = JSON.parse(bytes.toString('utf8')) as unknown
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : 'no JSON object'
  } catch {
    return 'no JSON'
  }
}

/** What keeps a line from being one about a rotation; undefined: nothing. */
function problemOf(said: Record<string, unknown>): string | undefined {
  const { connector_id: connector, rotated_at: rotatedAt, window_hours: hours, rotation_window: window, kind } = said as Partial<Drill>
  if (typeof connector !== 'string' || connector === '') return 'connector_id is missing'
  if (typeof rotatedAt !== 'string' || parseInstant(rotatedAt) === undefined) return 'rotated_at is no time with a zone'
  if (typeof hours !== 'number' || !(hours > 0)) return 'window_hours is no number above 0'
  if (!drillKinds.includes(kind!)) return `kind is none of ${drillKinds.join(', ')}`
  if (typeof window !== 'object' || window === null) return 'rotation_window is missing'
  const { window_id: id, started_at: started, expires_at: expires, duration } = window
  const [startedMs, expiresMs] = [started, expires].map((text) => (typeof text === 'string' ? parseInstant(text) : undefined))
  const length = typeof duration === 'string' ? parseDuration(duration) : undefined
  if (typeof id !== 'string' || startedMs === undefined || expiresMs === undefined || !length) return 'rotation_window is not whole'
  if (endOf(startedMs, length) !== expiresMs) return 'rotation_window ends at another time than its duration says'
  return undefined
}
