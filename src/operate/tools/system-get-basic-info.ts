// system_get_basic_info: what this machine is.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { bytes, orUnavailable, time } from '../answers.ts'
import { type Host, type Unavailable, found, known } from '../host.ts'
import { type Cpu, deviceTreeText, parseCpuinfo, parseOsRelease, zoneOfLink } from '../model.ts'
import type { MachineNeeds } from '../needs.ts'
import { parseBootTime, parseMeminfo, parseUptime } from '../proc.ts'

const output = z.object({
  hostname: orUnavailable(z.string()),
  os: orUnavailable(
    z.object({
      name: z.string(),
      version: z.string().optional(),
      id: z.string().optional(),
      prettyName: z.string().optional(),
      codename: z.string().optional(),
    }),
  ),
  kernel: orUnavailable(z.string()).describe('The release of the running kernel.'),
  architecture: z.string(),
  model: orUnavailable(z.string()).describe('The board or the computer, as its firmware names it.'),
  cpu: orUnavailable(z.object({ count: z.int(), model: orUnavailable(z.string()) })),
  memoryTotalBytes: orUnavailable(bytes),
  bootedAt: orUnavailable(time),
  uptimeSeconds: orUnavailable(z.number()),
  timezone: orUnavailable(z.string()),
  fairleadVersion: z.string(),
})

/** Device tree (Raspberry Pi and other boards), then DMI (PCs and virtual machines), then the Pi kernel's line in /proc/cpuinfo. */
async function modelOf(host: Host, cpu: Cpu | undefined): Promise<string | Unavailable> {
  const tree = known(await host.text('/proc/device-tree/model'))
  const board = tree && deviceTreeText(tree)
  if (board) return board
  const [vendor, product] = await Promise.all(['sys_vendor', 'product_name'].map((name) => host.text(`/sys/class/dmi/id/${name}`)))
  const named = [vendor, product].map((value) => known(value!)?.trim()).filter(Boolean)
  if (named.length > 0) return named.join(' ')
  return cpu?.board ?? { unavailable: 'neither a device tree nor DMI names this machine' }
}

async function timezoneOf(host: Host): Promise<string | Unavailable> {
  const linked = known(await host.link('/etc/localtime'))
  const zone = linked && zoneOfLink(linked)
  if (zone) return zone
  const named = known(await host.text('/etc/timezone'))?.trim()
  return named || { unavailable: 'neither /etc/localtime nor /etc/timezone names a zone' }
}

export default tool({
  name: 'system_get_basic_info',
  title: 'Machine facts',
  description:
    'What this machine is: hostname, operating system, kernel, architecture, board or computer model, CPUs, memory in bytes, boot time and uptime, timezone. ' +
    'These hardly change; for load, memory in use, disks and temperatures use system_get_health_snapshot.',
  input: z.strictObject({}),
  output,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  async handle({ host, version }: MachineNeeds) {
    const [hostname, release, kernel, cpuinfo, meminfo, stat, uptime, timezone] = await Promise.all([
      host.text('/proc/sys/kernel/hostname'),
      host.text('/etc/os-release'),
      host.text('/proc/sys/kernel/osrelease'),
      host.text('/proc/cpuinfo', 1 << 20),
      host.text('/proc/meminfo'),
      host.text('/proc/stat', 1 << 20),
      host.text('/proc/uptime'),
      timezoneOf(host),
    ])
    const cpu = found(cpuinfo, '/proc/cpuinfo', parseCpuinfo)
    return {
      hostname: found(hostname, '/proc/sys/kernel/hostname', (text) => text.trim() || undefined),
      os: found(release, '/etc/os-release', parseOsRelease),
      kernel: found(kernel, '/proc/sys/kernel/osrelease', (text) => text.trim() || undefined),
      architecture: host.architecture,
      model: await modelOf(host, known(cpu)),
      cpu: 'unavailable' in cpu ? cpu : { count: cpu.count, model: cpu.model ?? { unavailable: '/proc/cpuinfo names no model' } },
      memoryTotalBytes: found(meminfo, '/proc/meminfo', (text) => parseMeminfo(text).get('MemTotal')),
      bootedAt: found(stat, '/proc/stat', (text) => {
        const seconds = parseBootTime(text)
        return seconds === undefined ? undefined : new Date(seconds * 1_000).toISOString()
      }),
      uptimeSeconds: found(uptime, '/proc/uptime', parseUptime),
      timezone,
      fairleadVersion: version,
    }
  },
})
