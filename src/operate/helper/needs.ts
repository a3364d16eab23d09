// What the helper hands to a privileged tool. It runs as root: nothing in here takes a shell string, and nothing comes from the server.
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { OperateConfig } from '../config.ts'
import type { Host } from '../host.ts'
import type { Systemd } from '../systemd.ts'
import type { Allows } from './allowed.ts'
import type { Power } from './power.ts'

export type HelperNeeds = {
  readonly host: Host
  readonly clock: Clock
  readonly log: Log
  /** The helper's own, as it is for this call. */
  readonly config: OperateConfig
  /** Whether that list of `helper.allow` names it: for answers that show only what may be touched. */
  readonly allows: Allows
  readonly systemd: Systemd
  readonly power: Power
  /** Fairlead's own. */
  readonly version: string
}
