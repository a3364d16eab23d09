// The series that are sampled: their names and units, and one look at the machine that gives their values.
import { type Host, type Unavailable, isKnown } from '../host.ts'
import { type CpuTimes, cpuPercents, parseCpuTimes, parseMeminfo, percent } from '../proc.ts'

export const seriesNames = [
  'cpu_percent',
  'memory_percent',
  'memory_used_bytes',
  'disk_percent',
  'disk_used_bytes',
  'temperature_celsius',
] as const
export type SeriesName = (typeof seriesNames)[number]

/** What each is, for whoever reads it elsewhere. */
export const seriesMeaning: Readonly<Record<SeriesName, string>> = {
  cpu_percent: 'CPU use of all CPUs together since the sample before, in percent.',
  memory_percent: 'Memory that is not available, in percent.',
  memory_used_bytes: 'Memory that is not available, in bytes.',
  disk_percent: 'The root filesystem in use, in percent, as df counts it.',
  disk_used_bytes: 'The root filesystem in use, in bytes.',
  temperature_celsius: 'The hottest thermal zone, in degrees Celsius.',
}

/** What is known at one moment, and why the rest is not. `cpu` is for the next look. */
export type Look = {
  readonly values: ReadonlyMap<SeriesName, number>
  readonly missing: ReadonlyMap<SeriesName, string>
  readonly cpu: readonly CpuTimes[] | undefined
}

const maxZones = 64

/** Looks at the machine; CPU use is that since the `cpu` of an earlier look. Costs about a millisecond. */
export async function look(host: Host, earlier?: Look['cpu']): Promise<Look> {
  const [stat, meminfo, space, celsius] = await Promise.all([
    host.text('/proc/stat', 1 << 20),
    host.text('/proc/meminfo'),
    host.space('/'),
    hottest(host),
  ])
  const values = new Map<SeriesName, number>()
  const missing = new Map<SeriesName, string>()
  const put = (name: SeriesName, value: number | Unavailable): void => {
    if (isKnown(value)) values.set(name, value)
    else missing.set(name, value.unavailable)
  }
  const cpu = isKnown(stat) ? parseCpuTimes(stat) : undefined
  const silent: Unavailable = { unavailable: '/proc/meminfo does not say it' }
  const memory = isKnown(meminfo) ? parseMeminfo(meminfo) : undefined
  const total = memory?.get('MemTotal')
  const available = memory?.get('MemAvailable')
  const isSaid = total !== undefined && available !== undefined
  put('cpu_percent', cpu ? cpuUse(earlier, cpu) : (stat as Unavailable))
  put('memory_percent', isSaid ? percent(total - available, total) : isKnown(meminfo) ? silent : meminfo)
  put('memory_used_bytes', isSaid ? total - available : isKnown(meminfo) ? silent : meminfo)
  const usedBytes = isKnown(space) ? space.totalBytes - space.freeBytes : space
  put(
    'disk_percent',
    isKnown(space) ? percent(space.totalBytes - space.freeBytes, space.totalBytes - space.freeBytes + space.availableBytes) : space,
  )
  put('disk_used_bytes', usedBytes)
  put('temperature_celsius', celsius)
  return { values, missing, cpu }
}

function cpuUse(earlier: Look['cpu'], now: readonly CpuTimes[]): number | Unavailable {
  if (!earlier) return { unavailable: 'CPU use is known from the second look on' }
  const all = cpuPercents(earlier, now).find(({ cpu }) => cpu === 'all')
  return all?.percent ?? { unavailable: 'the CPU counters of /proc/stat did not move' }
}

async function hottest(host: Host): Promise<number | Unavailable> {
  const folder = '/sys/class/thermal'
  const names = await host.names(folder)
  if (!isKnown(names)) return names
  const zones = names.filter((name) => /^thermal_zone\d+$/.test(name)).slice(0, maxZones)
  const texts = await Promise.all(zones.map((zone) => host.text(`${folder}/${zone}/temp`)))
  const degrees = texts.flatMap((text) => (isKnown(text) && /^-?\d+\s*$/.test(text) ? [Number(text) / 1_000] : []))
  return degrees.length > 0 ? Math.max(...degrees) : { unavailable: 'this machine shows no temperature sensor' }
}
