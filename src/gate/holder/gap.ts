// The gap in the rotation ledger: since when messages of a connector take the direct way, and how many did. It outlives the process, and is written down when MCP is back.
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { makeFolder, readText, removeFile, writeWhole } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { addDrills, drillOf, readDrills } from '../connector/drills.ts'
import { instantText } from '../connector/instant.ts'

type Gap = { readonly from: string; readonly why: string; readonly direct: number }

export type GapNeeds = { readonly clock: Clock; readonly log: Log }
export type GapSettings = { readonly logs: string; readonly connector: string; readonly instance: string }

function fileOf({ logs, connector, instance }: GapSettings): string {
  return join(logs, 'stage_b', `.gap-${connector}-${encodeURIComponent(instance)}.json`)
}

function gapIn(path: string): Gap | undefined {
  try {
    return JSON.parse(readText(path) ?? 'null') ?? undefined
  } catch {
    return undefined // torn by no write of ours; a new one begins
  }
}

/** Notes one more message on the direct way. */
export function noteDirect({ clock }: GapNeeds, settings: GapSettings, why: string): void {
  const path = fileOf(settings)
  const gap = gapIn(path) ?? { from: instantText(clock.now()), why, direct: 0 }
  makeFolder(join(settings.logs, 'stage_b'))
  writeWhole(path, JSON.stringify({ ...gap, direct: gap.direct + 1 }))
}

/** MCP is back: writes the gap into the ledger, once, whatever stops come between. `rotatedMs`: what the gate knows of the last rotation. */
export async function closeGap(
  needs: GapNeeds,
  settings: GapSettings,
  { rotatedMs, windowMs }: { readonly rotatedMs: number; readonly windowMs: number },
): Promise<void> {
  const path = fileOf(settings)
  const gap = gapIn(path)
  if (!gap) return
  const { connector, instance: by, logs } = settings
  const { drills } = await readDrills(logs)
  const isWritten = drills.some(
    (one) => one.kind === 'gap' && one.connector_id === connector && one['by'] === by && one['from'] === gap.from,
  )
  const line = drillOf(
    { connector, kind: 'gap', rotatedMs, windowMs },
    { from: gap.from, to: instantText(needs.clock.now()), why: gap.why, direct: gap.direct, by },
  )
  if (!isWritten) await addDrills(needs, logs, [line])
  removeFile(path)
}
