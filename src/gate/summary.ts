// The gate in a few numbers, for those who look after the machine: no secret in it, but the names of upstreams, principals and tools.
import type { z } from 'zod'
import type { gateApi } from './api.ts'
import type { Approvals } from './approval/approvals.ts'
import { type HealthNeeds, healthOf } from './health.ts'
import type { GateMetrics } from './metrics.ts'
import { recentTrouble } from './recent-trouble.ts'
import type { Sessions } from './sessions.ts'
import { type Together, clusterState } from './together.ts'

export type SummaryNeeds = {
  readonly health: HealthNeeds
  readonly approvals: Approvals
  readonly metrics: GateMetrics
  readonly sessions: Sessions
  /** What it has together with other gates; undefined: it is alone. */
  readonly shared: Together | undefined
}

/** `ledger`: its folder. */
export async function summaryOf(
  { health: needs, approvals, metrics, sessions, shared }: SummaryNeeds,
  { url, version, ledger }: { readonly url: string; readonly version: string; readonly ledger: string },
): Promise<z.input<(typeof gateApi)['summary']['output']>> {
  const [{ status, checks }, trouble, cluster] = await Promise.all([
    healthOf(needs, true),
    recentTrouble(ledger),
    shared ? clusterState(shared) : undefined,
  ])
  const { since, calls } = metrics.counts()
  const requests: Record<string, number> = {}
  for (const { outcomes } of calls)
    for (const [outcome, count] of Object.entries(outcomes)) requests[outcome] = (requests[outcome] ?? 0) + count
  const { awake, asleep } = sessions.counts
  return {
    url,
    version,
    startedAt: since,
    health: status,
    checks: Object.entries(checks).map(([name, { ok, reason }]) => ({ name, ok, reason, ...(ok ? {} : { remedy: remedyOf(name) }) })),
    upstreams: needs.upstreams().length,
    sessions: awake + asleep,
    waiting: approvals.list().length,
    requests,
    ...(cluster ? { cluster } : {}),
    trouble,
  }
}

/** What mends a check of the gate's health, by the first word of its name. */
const remedies: Readonly<Record<string, string>> = {
  gate: 'wait until it has stopped, then start it again',
  ledger: 'fairlead gate ledger verify; is the disk full?',
  sessions: 'look at the gate’s log; is the disk full?',
  configuration: 'mend the file; it is read again at once (fairlead config check)',
  upstream: 'look at the gate’s log, and at that server’s own',
  upstreams: 'fairlead gate doctrine',
  keys: 'is the issuer to be reached from here?',
  connector: 'fairlead gate doctrine',
  offers: 'start that daemon, or take it out of gate.offers',
}

function remedyOf(check: string): string | undefined {
  const [kind = ''] = check.split(' ')
  return kind === 'tools' ? `fairlead gate approve` : remedies[kind]
}
