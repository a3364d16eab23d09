// The machine server and its machine in a few numbers, for those who look after it.
import type { MachineSummary } from './api.ts'
import type { OperateConfig } from './config.ts'
import type { Health } from './health.ts'
import { type Unavailable, isKnown } from './host.ts'
import type { Look } from './metrics/series.ts'
import { warningsOf } from './warnings.ts'

export type Seen = {
  readonly url: string
  readonly config: OperateConfig
  readonly health: Health
  readonly seen: Look
  /** Of the machine, in seconds. */
  readonly uptime: number | Unavailable
}

/** Pure: what was seen, put together. */
export function machineSummary({ url, config, health, seen: { values }, uptime }: Seen): MachineSummary {
  const { version, uptimeSeconds, sessions, checks } = health
  const [disk, celsius] = [values.get('disk_percent'), values.get('temperature_celsius')]
  // not of the CPU: one look cannot tell a busy moment from too much work
  const measured = {
    memoryPercent: values.get('memory_percent'),
    disks: disk === undefined ? [] : [{ path: '/', usedPercent: disk }],
    temperatures: celsius === undefined ? [] : [{ name: 'the hottest zone', celsius }],
  }
  return {
    version,
    url,
    uptimeSeconds,
    sessions,
    sandbox: config.testing.sandbox_mode,
    checks: Object.entries(checks).map(([name, { ok, reason, optional = false }]) => ({
      name,
      ok,
      optional,
      ...(reason === undefined ? {} : { reason }),
    })),
    values: Object.fromEntries(values),
    uptimeOfMachineSeconds: isKnown(uptime) ? uptime : null,
    warnings: warningsOf(measured, config.health).map(({ message }) => message),
  }
}
