// What tools are given, for tests of them: this machine, and nothing that was measured or recorded.
import { systemClock } from '../kernel/clock.ts'
import { silentLog } from '../kernel/log.ts'
import schema from './config.ts'
import { noHelper } from './helper/link.ts'
import { createHost } from './host.ts'
import { openMetrics } from './metrics/metrics.ts'
import type { MachineNeeds } from './needs.ts'

/** The needs of the server's tools, with what the test has of its own. */
export function machineNeeds(changes: Partial<MachineNeeds> = {}): MachineNeeds {
  const { host = createHost(), clock = systemClock, config = schema.parse({}) } = changes
  return {
    host,
    clock,
    config,
    helper: noHelper('none here'),
    metrics: openMetrics({ host, clock, log: silentLog }, { ...config.metrics, path: '/nonexistent/metrics.db', isReader: true }),
    places: { metrics: '/nonexistent/metrics.db', logs: '/nonexistent/log', secret: '/nonexistent/audit.secret' },
    version: '0.0.1',
    ...changes,
  }
}
