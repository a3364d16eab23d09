// The page /metrics: the last values of the machine, how well it is sampled, and what the server itself counts, as Prometheus reads it.
import { Exposition } from '../../base/http/metrics.ts'
import type { Metrics } from './metrics.ts'
import { seriesMeaning, seriesNames } from './series.ts'

export type PageNeeds = {
  readonly metrics: Metrics
  /** What the server counts. */
  readonly server: { readonly sessions: number; readonly running: number }
  readonly version: string
}

/** Looks at the machine; holds no name of anybody. */
export async function metricsPage({ metrics, server, version }: PageNeeds): Promise<string> {
  const page = new Exposition()
  const { values } = await metrics.realtime()
  for (const name of seriesNames) {
    const value = values.get(name)
    if (value !== undefined) page.gauge(`fairlead_machine_${name}`, seriesMeaning[name], [[{}, value]])
  }
  const { intervalSeconds, lastSampleMs, taken, missed, sizeBytes, problem } = metrics.state
  page.gauge('fairlead_machine_sampling', '1 while samples are taken.', [[{}, intervalSeconds === undefined ? 0 : 1]])
  page.counter('fairlead_machine_samples_total', 'Samples taken since the server started.', [[{}, taken]])
  page.counter('fairlead_machine_samples_missed_total', 'Times at which none was taken.', [[{}, missed]])
  if (lastSampleMs !== undefined)
    page.gauge('fairlead_machine_last_sample_timestamp_seconds', 'When the last sample was taken.', [[{}, lastSampleMs / 1_000]])
  if (sizeBytes !== undefined)
    page.gauge('fairlead_machine_metrics_database_bytes', 'What the database of samples takes up.', [[{}, sizeBytes]])
  page.gauge('fairlead_machine_metrics_kept', '0 when the last sample could not be kept.', [[{}, problem === undefined ? 1 : 0]])
  page.gauge('fairlead_machine_sessions', 'Sessions of legacy clients that are kept.', [[{}, server.sessions]])
  page.gauge('fairlead_machine_calls_running', 'Calls of tools at work now.', [[{}, server.running]])
  const { user, system } = process.cpuUsage()
  page.counter('process_cpu_seconds_total', 'CPU time of this process, in seconds.', [[{}, (user + system) / 1e6]])
  page.gauge('process_resident_memory_bytes', 'Memory that this process holds.', [[{}, process.memoryUsage.rss()]])
  page.gauge('fairlead_build_info', 'Which Fairlead this is, on which Node.', [[{ version, node: process.versions.node }, 1]])
  return page.text
}
