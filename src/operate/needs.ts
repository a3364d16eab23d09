// What every machine tool is given by the daemon that serves it.
import type { Clock } from '../kernel/clock.ts'
import type { OperateConfig } from './config.ts'
import type { Host } from './host.ts'

export type MachineNeeds = {
  readonly host: Host
  readonly clock: Clock
  readonly config: OperateConfig
  /** Fairlead's own. */
  readonly version: string
}
