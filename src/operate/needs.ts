// What every machine tool is given by the daemon that serves it.
import type { Clock } from '../kernel/clock.ts'
import type { OperateConfig } from './config.ts'
import type { HelperLink } from './helper/link.ts'
import type { Host } from './host.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { Places } from './places.ts'

export type MachineNeeds = {
  readonly host: Host
  readonly clock: Clock
  readonly config: OperateConfig
  /** Has done what needs root, by a process of its own that checks everything once more. */
  readonly helper: HelperLink
  readonly metrics: Metrics
  readonly places: Places
  /** Fairlead's own. */
  readonly version: string
}
