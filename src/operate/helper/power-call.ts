// What system_reboot and system_shutdown have in common: whether they may, when it will be, and that the answer leaves before anything happens.
import { fault } from '../faults.ts'
import { isKnown } from '../host.ts'
import { parseUptime } from '../proc.ts'
import type { HelperNeeds } from './needs.ts'
import type { PowerAction } from './power.ts'
import type { HelperCall } from './privileged.ts'

export type PowerAsked = { readonly tool: string; readonly action: PowerAction; readonly delaySeconds: number; readonly reason: string }

/** Faults `operate.switched_off`, `operate.too_often`, `operate.power_busy`. */
export async function planPower(
  { config, power, host }: Pick<HelperNeeds, 'config' | 'power' | 'host'>,
  { tool, action, delaySeconds, reason }: PowerAsked,
  { afterReply }: Pick<HelperCall, 'afterReply'>,
): Promise<{ dueAt: string }> {
  const { allow_reboot: mayReboot, allow_shutdown: mayShutDown, min_reboot_interval_seconds: leastSeconds } = config.power
  if (!(action === 'reboot' ? mayReboot : mayShutDown)) throw fault.switched_off({ tool, key: `power.allow_${action}` })
  const uptime = await host.text('/proc/uptime')
  const upSeconds = isKnown(uptime) ? parseUptime(uptime) : undefined
  const leftMs = (leastSeconds - (upSeconds ?? 0)) * 1_000
  if (leftMs > 0) throw fault.too_often({ tool, waitMs: leftMs })
  const { dueAt, go } = power.plan(action, delaySeconds * 1_000, reason)
  afterReply(go)
  return { dueAt }
}
