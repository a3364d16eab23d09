// The page /metrics: what was counted, and what can be seen at the moment it is asked for.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Exposition, metricsType } from '../base/http/metrics.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import type { Children } from './children.ts'
import type { HealthNeeds } from './health.ts'
import type { GateMetrics } from './metrics.ts'
import type { Sessions } from './sessions.ts'

export type MetricsNeeds = HealthNeeds & {
  readonly metrics: GateMetrics
  readonly sessions: Sessions
  readonly children: Children
  /** The last entry that is known to be on the disk. */
  readonly syncedSeq: () => number
  readonly version: string
}

/** True for the page itself. */
export function isMetricsPath({ url, method }: IncomingMessage): boolean {
  return (method === 'GET' || method === 'HEAD') && url?.split('?', 1)[0] === '/metrics'
}

/** Names principals, servers and tools: only for whom the configuration says so. */
export function answerMetrics(needs: MetricsNeeds, response: ServerResponse): void {
  const page = new Exposition()
  needs.metrics.write(page)
  writeServers(page, needs)
  writeLedger(page, needs.ledger, needs.syncedSeq(), needs.ledger.problem === undefined)
  writeProcess(page, needs.version)
  response.writeHead(200, { 'content-type': metricsType, 'cache-control': 'no-store' })
  response.end(page.text)
}

function writeServers(page: Exposition, { sessions, children, upstreams, drain }: MetricsNeeds): void {
  const { awake, asleep } = sessions.counts
  page.gauge('fairlead_gate_sessions', 'Sessions of legacy clients that are kept.', [
    [{ state: 'awake' }, awake],
    [{ state: 'asleep' }, asleep],
  ])
  page.gauge('fairlead_gate_children', 'Servers that run now as child processes or connections.', [[{}, children.running]])
  page.gauge('fairlead_gate_draining', '1 while the gate takes nothing new.', [[{}, drain.isDraining ? 1 : 0]])
  page.gauge(
    'fairlead_gate_upstream_state',
    'What the last attempt to open the server told: 1 for the state it is in.',
    upstreams().flatMap(({ name: upstream, state: { is } }) =>
      ['unused', 'ready', 'failing'].map((state) => [{ upstream, state }, state === is ? 1 : 0] as const),
    ),
  )
  page.counter(
    'fairlead_gate_upstream_starts_total',
    'Times that the server was opened, for a session or for many, also after it had ended.',
    upstreams().map(({ name: upstream, starts }) => [{ upstream }, starts.begun]),
  )
  page.counter(
    'fairlead_gate_upstream_start_failures_total',
    'Times that it could not be opened.',
    upstreams().map(({ name: upstream, starts }) => [{ upstream }, starts.failed]),
  )
}

function writeLedger(page: Exposition, { next, last }: Ledger, syncedSeq: number, isWritable: boolean): void {
  page.counter('fairlead_gate_ledger_entries_total', 'The number of the last entry in the file.', [[{}, last.seq]])
  page.gauge('fairlead_gate_ledger_unwritten_entries', 'Entries that wait to be written.', [[{}, next - 1 - last.seq]])
  page.gauge('fairlead_gate_ledger_unsynced_entries', 'Entries that a loss of power would take.', [[{}, Math.max(0, last.seq - syncedSeq)]])
  page.gauge('fairlead_gate_ledger_writable', '0 when the last entry could not be written: calls are refused then.', [
    [{}, isWritable ? 1 : 0],
  ])
}

function writeProcess(page: Exposition, version: string): void {
  const { user, system } = process.cpuUsage()
  page.counter('process_cpu_seconds_total', 'CPU time of this process, in seconds.', [[{}, (user + system) / 1e6]])
  page.gauge('process_resident_memory_bytes', 'Memory that this process holds.', [[{}, process.memoryUsage.rss()]])
  page.gauge('fairlead_build_info', 'Which Fairlead this is, on which Node.', [[{ version, node: process.versions.node }, 1]])
}
