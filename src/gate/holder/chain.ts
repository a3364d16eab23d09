// Whether the rotation ledger is as it was written. A writer puts a torn or foreign tail aside before it goes on, so a run looks before it writes.
import { type LedgerVerdict, verifyLedger } from '../../base/ledger/verify.ts'
import { drillsFile, drillsOrigin, readDrills } from '../connector/drills.ts'

/** What to do about it. */
export const chainRemedy = `keep ${drillsFile} for the incident, find out who changed it, and put it back from a copy`

/** `problem`: the first that there is. Fault `ledger.unreadable`. */
export async function chainOf(logs: string, signal: AbortSignal): Promise<LedgerVerdict & { readonly problem?: string }> {
  const verdict = await verifyLedger(logs, { file: drillsFile, origin: drillsOrigin, signal })
  const problem = await problemOf(logs, verdict)
  return problem === undefined ? verdict : { ...verdict, problem }
}

async function problemOf(logs: string, verdict: LedgerVerdict): Promise<string | undefined> {
  if (!verdict.intact) return `${verdict.firstBad.file} line ${verdict.firstBad.line}: ${verdict.firstBad.problem}`
  const [gap] = verdict.gaps
  if (gap) return `lines ${gap.from} to ${gap.to} are missing`
  const [torn] = verdict.torn
  if (torn) return `${torn.file} ends in ${torn.sizeBytes} bytes that are no line`
  const [wrong] = (await readDrills(logs)).bad
  return wrong && `${wrong.file} line ${wrong.line}: ${wrong.problem}`
}
