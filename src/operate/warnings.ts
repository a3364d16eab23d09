// Which measured values deserve a warning: one pure function from a snapshot and the thresholds of the configuration.
import type { OperateConfig } from './config.ts'
import type { Throttling } from './throttling.ts'

/** What is compared; a value that is not known is left out, and warns of nothing. */
export type Measured = {
  readonly cpuPercent?: number | undefined
  readonly memoryPercent?: number | undefined
  readonly swapPercent?: number | undefined
  readonly loadFiveMinutes?: number | undefined
  readonly cpus?: number | undefined
  readonly disks: readonly { readonly path: string; readonly usedPercent: number }[]
  readonly temperatures: readonly { readonly name: string; readonly celsius: number }[]
  readonly throttling?: Throttling | undefined
}

/** `value` and `limit` are in the unit that `message` names. */
export type Warning = { readonly what: string; readonly message: string; readonly value?: number; readonly limit?: number }

export function warningsOf(measured: Measured, limits: OperateConfig['health']): Warning[] {
  const found: Warning[] = []
  const check = (what: string, value: number | undefined, limit: number, words: string): void => {
    if (value !== undefined && value >= limit) found.push({ what, message: `${words}, at or above the limit of ${limit}`, value, limit })
  }
  const { cpuPercent, memoryPercent, swapPercent, loadFiveMinutes, cpus, disks, temperatures, throttling } = measured
  check('cpu', cpuPercent, limits.cpu_percent, `the CPUs are ${cpuPercent} % busy`)
  check('memory', memoryPercent, limits.memory_percent, `${memoryPercent} % of the memory is in use`)
  check('swap', swapPercent, limits.swap_percent, `${swapPercent} % of the swap is in use`)
  const load = loadFiveMinutes === undefined || !cpus ? undefined : Math.round((loadFiveMinutes / cpus) * 100) / 100
  check('load', load, limits.load_per_cpu, `the load average of five minutes is ${load} for each CPU`)
  for (const { path, usedPercent } of disks) check('disk', usedPercent, limits.disk_percent, `${usedPercent} % of ${path} is in use`)
  for (const { name, celsius } of temperatures) check('temperature', celsius, limits.temperature_celsius, `${name} is at ${celsius} °C`)
  if (throttling?.now.underVoltage)
    found.push({ what: 'power', message: 'the supply voltage is too low now: use a better power supply or cable' })
  if (throttling?.now.throttled) found.push({ what: 'throttling', message: 'the firmware slows the CPU down now' })
  return found
}
