// The doctrine as the gate itself asks it: of its own state, without a way through HTTP, and of the files that it and the smoke runs leave.
import type { Clock } from '../kernel/clock.ts'
import type { Finding, NamedCheck } from '../base/checks/check.ts'
import type { Connectors } from './connector/connectors.ts'
import { type Examination, createExamination } from './examination.ts'
import { type HealthNeeds, healthOf } from './health.ts'
import { doctrineOf } from './holder/doctrine.ts'
import type { Live } from './holder/live.ts'

export type OwnDoctrineNeeds = {
  readonly clock: Clock
  readonly connectors: Pick<Connectors, 'states'>
  readonly health: HealthNeeds
  /** Loaded when they are first asked for. */
  readonly checks: () => Promise<readonly NamedCheck<Examination>[]>
}

export type OwnDoctrineSettings = { readonly logs: string; readonly isOff: boolean }

/** Asks everything; whoever asks meanwhile gets the same answer. */
export function ownDoctrine(
  { clock, connectors, health, checks }: OwnDoctrineNeeds,
  { logs, isOff }: OwnDoctrineSettings,
): (signal: AbortSignal) => Promise<readonly Finding[]> {
  let underWay: Promise<readonly Finding[]> | undefined
  const live = async (): Promise<Live> => ({
    connectors: new Map(connectors.states().map((state) => [state.connector_id, state])),
    health: Object.fromEntries(
      Object.entries((await healthOf(health, true)).checks).map(([name, { ok, reason, unpinned = 0 }]) => [name, { ok, reason, unpinned }]),
    ),
  })
  const ask = async (): Promise<readonly Finding[]> => {
    const examination = createExamination(
      { clock },
      {
        connectors: connectors.states().map(({ connector_id: id }) => id),
        problems: isOff ? [{ evidence: 'the environment of the gate turns connectors off', remedy: 'start it with ABZU_USE_MCP=1' }] : [],
        logs,
        tokens: [],
        beating: new Set(),
        live,
      },
    )
    const neverStopped = new AbortController().signal // others wait for it, too; each check has an end of its own
    return doctrineOf({ checks: await checks(), examination }, { clock, signal: neverStopped })
  }
  return async (signal) => {
    underWay ??= ask().finally(() => (underWay = undefined))
    const findings = await underWay
    signal.throwIfAborted()
    return findings
  }
}
