// system_get_health_snapshot: how this machine is at this moment, and what deserves attention.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { bytes, orUnavailable, percentage, time } from '../answers.ts'
import { readTemperatures } from '../hardware/temperature.ts'
import { type Host, type Unavailable, found, isKnown, known } from '../host.ts'
import type { MachineNeeds } from '../needs.ts'
import {
  type Mount,
  cpuPercents,
  parseCpuTimes,
  parseLoad,
  parseMeminfo,
  parseMounts,
  parsePressure,
  parseUptime,
  percent,
} from '../proc.ts'
import { readThrottling } from '../throttling.ts'
import { warningsOf } from '../warnings.ts'

const maxDisks = 64
const pressure = z.object({ avg10: z.number(), avg60: z.number(), avg300: z.number() })
const flags = z.object({
  underVoltage: z.boolean(),
  frequencyCapped: z.boolean(),
  throttled: z.boolean(),
  softTemperatureLimit: z.boolean(),
})
const disk = z.object({ path: z.string(), device: z.string(), type: z.string(), isReadOnly: z.boolean() })

const output = z.object({
  time,
  uptimeSeconds: orUnavailable(z.number()),
  load: orUnavailable(z.object({ oneMinute: z.number(), fiveMinutes: z.number(), fifteenMinutes: z.number() })),
  cpu: orUnavailable(
    z.object({ percent: percentage, overMs: z.int(), each: z.array(z.object({ cpu: z.string(), percent: percentage })) }),
  ).describe('Measured over the last `overMs` milliseconds.'),
  memory: orUnavailable(
    z.object({ totalBytes: bytes, availableBytes: bytes, usedBytes: bytes, freeBytes: bytes, cachedBytes: bytes, usedPercent: percentage }),
  ),
  swap: orUnavailable(z.object({ totalBytes: bytes, usedBytes: bytes, usedPercent: percentage })),
  disks: orUnavailable(
    z.array(
      z.union([
        disk.extend({ totalBytes: bytes, availableBytes: bytes, usedBytes: bytes, usedPercent: percentage }),
        disk.extend({ unavailable: z.string() }),
      ]),
    ),
  ),
  disksLeftOut: z.int().describe(`Mounts beyond the first ${maxDisks}.`),
  temperatures: orUnavailable(z.array(z.object({ zone: z.string(), name: z.string(), celsius: orUnavailable(z.number()) }))),
  throttling: orUnavailable(z.object({ now: flags, sinceBoot: flags })),
  pressure: orUnavailable(
    z.object({
      cpu: orUnavailable(z.object({ some: pressure.optional(), full: pressure.optional() })),
      memory: orUnavailable(z.object({ some: pressure.optional(), full: pressure.optional() })),
      io: orUnavailable(z.object({ some: pressure.optional(), full: pressure.optional() })),
    }),
  ).describe('Percent of time that tasks waited for the resource (Linux PSI).'),
  warnings: z.array(z.object({ what: z.string(), message: z.string(), value: z.number().optional(), limit: z.number().optional() })),
})
type Snapshot = z.output<typeof output>

async function cpuOf({ host, clock, config }: MachineNeeds, signal: AbortSignal): Promise<Snapshot['cpu']> {
  const first = await host.text('/proc/stat', 1 << 20)
  if (!isKnown(first)) return first
  const from = clock.mono()
  await clock.wait(config.health.cpu_sample_ms, signal)
  const second = await host.text('/proc/stat', 1 << 20)
  if (!isKnown(second)) return second
  const percents = cpuPercents(parseCpuTimes(first), parseCpuTimes(second))
  const all = percents.find(({ cpu }) => cpu === 'all')
  if (!all) return { unavailable: 'the CPU counters of /proc/stat did not move' }
  return { percent: all.percent, overMs: Math.round(clock.mono() - from), each: percents.filter(({ cpu }) => cpu !== 'all').slice(0, 256) }
}

function memoryOf(meminfo: string | Unavailable): Pick<Snapshot, 'memory' | 'swap'> {
  if (!isKnown(meminfo)) return { memory: meminfo, swap: meminfo }
  const values = parseMeminfo(meminfo)
  const [total, free, swapTotal, swapFree] = ['MemTotal', 'MemFree', 'SwapTotal', 'SwapFree'].map((name) => values.get(name))
  const available = values.get('MemAvailable')
  const cached = (values.get('Cached') ?? 0) + (values.get('SReclaimable') ?? 0)
  const silent = { unavailable: '/proc/meminfo does not say it' }
  return {
    memory:
      total === undefined || available === undefined
        ? silent
        : {
            totalBytes: total,
            availableBytes: available,
            usedBytes: total - available,
            freeBytes: free ?? 0,
            cachedBytes: cached,
            usedPercent: percent(total - available, total),
          },
    swap:
      swapTotal === undefined || swapFree === undefined
        ? silent
        : { totalBytes: swapTotal, usedBytes: swapTotal - swapFree, usedPercent: percent(swapTotal - swapFree, swapTotal) },
  }
}

async function disksOf(host: Host): Promise<Pick<Snapshot, 'disks' | 'disksLeftOut'>> {
  const mounts = await host.text('/proc/mounts', 1 << 20)
  if (!isKnown(mounts)) return { disks: mounts, disksLeftOut: 0 }
  const all = parseMounts(mounts)
  const measure = async ({ isRemote, ...mount }: Mount): Promise<Exclude<Snapshot['disks'], Unavailable>[number]> => {
    if (isRemote) return { ...mount, unavailable: 'not measured: asking a remote filesystem may hang' }
    const space = await host.space(mount.path)
    if (!isKnown(space)) return { ...mount, ...space }
    const usedBytes = space.totalBytes - space.freeBytes
    // As df counts: what is reserved for root is neither used nor available
    return {
      ...mount,
      totalBytes: space.totalBytes,
      availableBytes: space.availableBytes,
      usedBytes,
      usedPercent: percent(usedBytes, usedBytes + space.availableBytes),
    }
  }
  return { disks: await Promise.all(all.slice(0, maxDisks).map(measure)), disksLeftOut: Math.max(0, all.length - maxDisks) }
}

async function pressureOf(host: Host): Promise<Snapshot['pressure']> {
  const [cpu, memory, io] = await Promise.all(['cpu', 'memory', 'io'].map((name) => host.text(`/proc/pressure/${name}`)))
  if (!isKnown(cpu!) && !isKnown(memory!) && !isKnown(io!))
    return { unavailable: 'this kernel does not offer pressure stall information (/proc/pressure)' }
  const read = (text: string | Unavailable): ReturnType<typeof parsePressure> | Unavailable => (isKnown(text) ? parsePressure(text) : text)
  return { cpu: read(cpu!), memory: read(memory!), io: read(io!) }
}

export default tool({
  name: 'system_get_health_snapshot',
  title: 'Machine health now',
  description:
    'How this machine is at this moment: load, CPU use in percent (measured over a short interval), memory, swap, disks (all in bytes), temperatures in degrees Celsius, ' +
    'throttling of a Raspberry Pi, pressure, uptime, and warnings for what is over its configured limit. What the machine does not offer is `unavailable` with the reason.',
  input: z.strictObject({}),
  output,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  limits: { timeoutMs: 15_000 },
  async handle(needs: MachineNeeds, _input, { signal }) {
    const { host, clock, config } = needs
    const [cpu, meminfo, loadavg, up, { disks, disksLeftOut }, temperatures, throttling, pressures] = await Promise.all([
      cpuOf(needs, signal),
      host.text('/proc/meminfo'),
      host.text('/proc/loadavg'),
      host.text('/proc/uptime'),
      disksOf(host),
      readTemperatures(host),
      readThrottling(host),
      pressureOf(host),
    ])
    const { memory, swap } = memoryOf(meminfo)
    const load = found(loadavg, '/proc/loadavg', parseLoad)
    const warnings = warningsOf(
      {
        cpuPercent: known(cpu)?.percent,
        memoryPercent: known(memory)?.usedPercent,
        swapPercent: known(swap)?.usedPercent,
        loadFiveMinutes: known(load)?.fiveMinutes,
        cpus: known(cpu)?.each.length,
        disks: (known(disks) ?? []).flatMap((each) => ('usedPercent' in each && !each.isReadOnly ? [each] : [])),
        temperatures: (known(temperatures) ?? []).flatMap(({ name, celsius }) => (isKnown(celsius) ? [{ name, celsius }] : [])),
        throttling: known(throttling),
      },
      config.health,
    )
    return {
      time: new Date(clock.now()).toISOString(),
      uptimeSeconds: found(up, '/proc/uptime', parseUptime),
      load,
      cpu,
      memory,
      swap,
      disks,
      disksLeftOut,
      temperatures,
      throttling,
      pressure: pressures,
      warnings,
    }
  },
})
