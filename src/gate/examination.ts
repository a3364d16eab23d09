// What the doctrine looks at: the gate that runs, asked once, and the files that it and the smoke runs leave. Nothing is changed by it.
import type { Clock } from '../kernel/clock.ts'
import type { Secret } from '../kernel/secret.ts'
import { type Answer, type Check, bad } from '../base/checks/check.ts'
import type { Drill, DrillsRead } from './connector/drills.ts'
import { readDrills } from './connector/drills.ts'
import type { ConnectorState } from './api.ts'
import type { Live } from './holder/live.ts'

/** One file per check in `checks/`. */
export type GateCheck = Check<Examination>

/** The window that the runbook sets. */
export const rotationWindowHours = 48

export interface Examination {
  readonly clock: Clock
  /** Ids of those that there have to be. */
  readonly connectors: readonly string[]
  /** Why the toggles turn connectors off, or the configuration cannot be read. */
  readonly problems: readonly { readonly evidence: string; readonly remedy?: string }[]
  /** Where the rotation ledger, receipts, packets and bundles lie. */
  readonly logs: string
  /** Credentials that must be found in no artefact, whatever they look like. */
  readonly tokens: readonly Secret[]
  /** Sessions whose first heartbeat was sent already. */
  readonly beating: ReadonlySet<string>
  /** Asked once. Faults: those of `liveEvidence`. */
  live(): Promise<Live>
  /** Read once. Fault `ledger.unreadable`. */
  drills(): Promise<DrillsRead>
}

export type ExaminationSettings = Omit<Examination, 'drills' | 'clock'>

export function createExamination({ clock }: { readonly clock: Clock }, settings: ExaminationSettings): Examination {
  return { ...settings, clock, live: once(settings.live), drills: once(() => readDrills(settings.logs)) }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}

/** Asks the same of every connector, as the gate tells of it now; one that it does not tell of is bad. */
export async function ofEachConnector(
  { connectors, live }: Examination,
  ask: (state: ConnectorState) => Answer | readonly Answer[],
): Promise<readonly Answer[]> {
  const { connectors: states } = await live()
  return connectors.flatMap((id) => {
    const state = states.get(id)
    const remedy = `fairlead gate rotate ${id} --out FILE, and put it into MCP_CONNECTOR_TOKEN`
    return state ? ask(state) : bad('the gate does not tell of it: no credential that is at hand is good for it', remedy, id)
  })
}

/** The newest line of the rotation ledger for a connector; those that tell of a gap only say when it was not used. */
export async function newestDrill({ drills }: Examination, connector: string): Promise<Drill | undefined> {
  return (await drills()).drills.findLast(({ connector_id: id, kind }) => id === connector && kind !== 'gap')
}
