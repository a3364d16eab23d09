// How warm the machine is: by the kernel's thermal zones, or, where there are none, by the firmware of a Raspberry Pi.
import { asFault } from '../../kernel/fault.ts'
import { type Host, type Unavailable, isKnown, known } from '../host.ts'
import type { Temperature } from './ports.ts'

const maxZones = 64
const folder = '/sys/class/thermal'
const vcgencmdTimeoutMs = 2_000

async function zoneOf(host: Host, zone: string): Promise<Temperature> {
  const [type, temp] = await Promise.all([host.text(`${folder}/${zone}/type`), host.text(`${folder}/${zone}/temp`)])
  const millidegrees = isKnown(temp) ? Number(temp.trim() || Number.NaN) : undefined
  const silent = isKnown(temp) ? { unavailable: `${folder}/${zone}/temp holds no number` } : temp
  return {
    zone,
    name: known(type)?.trim() || zone,
    celsius: millidegrees === undefined || Number.isNaN(millidegrees) ? silent : Math.round(millidegrees / 100) / 10,
  }
}

/** `temp=48.3'C`, as `vcgencmd measure_temp` prints it. */
export function parseMeasuredTemp(text: string): number | undefined {
  const match = /^temp=(-?\d{1,3}(?:\.\d+)?)'C\s*$/.exec(text)
  return match ? Number(match[1]) : undefined
}

async function askFirmware(host: Host): Promise<Temperature | undefined> {
  try {
    const { exitCode, stdout } = await host.run(['vcgencmd', 'measure_temp'], vcgencmdTimeoutMs)
    const celsius = exitCode === 0 ? parseMeasuredTemp(stdout) : undefined
    return celsius === undefined ? undefined : { zone: 'vcgencmd', name: 'SoC', celsius }
  } catch (error) {
    const failure = asFault(error)
    if (failure.kind === 'bug') throw failure
    return undefined
  }
}

export async function readTemperatures(host: Host): Promise<Temperature[] | Unavailable> {
  const names = await host.names(folder)
  const zones = (known(names) ?? [])
    .filter((name) => /^thermal_zone\d+$/.test(name))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  if (zones.length > 0) return Promise.all(zones.slice(0, maxZones).map((zone) => zoneOf(host, zone)))
  const told = await askFirmware(host)
  if (told) return [told]
  return isKnown(names) ? { unavailable: `${folder} has no zone: this machine shows no temperature sensor` } : names
}
