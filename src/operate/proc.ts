// Reads what the kernel says of the whole machine in /proc (proc(5)): pure functions from text to numbers, undefined where the text does not say.

/** Ticks of one CPU since boot (USER_HZ); `cpu` is `all` or its number. */
export type CpuTimes = { readonly cpu: string; readonly busy: number; readonly total: number }

/** The cpu lines of /proc/stat. Guest time is inside user time already; steal counts as busy, since the machine could not have it. */
export function parseCpuTimes(stat: string): CpuTimes[] {
  const found: CpuTimes[] = []
  for (const line of stat.split('\n')) {
    const match = /^cpu(\d*)\s+(.*)$/.exec(line)
    if (!match) continue
    const ticks = match[2]!.trim().split(/\s+/).slice(0, 8).map(Number)
    const total = ticks.reduce((sum, value) => sum + value, 0)
    found.push({ cpu: match[1] === '' ? 'all' : match[1]!, busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0), total })
  }
  return found
}

/** Percent busy between two readings, 0 to 100; a CPU that did not tick or was not there before is left out. */
export function cpuPercents(before: readonly CpuTimes[], after: readonly CpuTimes[]): { cpu: string; percent: number }[] {
  const was = new Map(before.map((times) => [times.cpu, times]))
  return after.flatMap(({ cpu, busy, total }) => {
    const earlier = was.get(cpu)
    if (!earlier || total <= earlier.total) return []
    return [{ cpu, percent: percent(busy - earlier.busy, total - earlier.total) }]
  })
}

/** A share in percent with one decimal, within 0 to 100. */
export function percent(part: number, whole: number): number {
  return whole > 0 ? Math.min(100, Math.max(0, Math.round((part / whole) * 1_000) / 10)) : 0
}

/** Seconds since the Unix epoch at which the machine started, from /proc/stat. */
export function parseBootTime(stat: string): number | undefined {
  const match = /^btime (\d+)$/m.exec(stat)
  return match ? Number(match[1]) : undefined
}

/** Seconds since boot, from /proc/uptime. */
export function parseUptime(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)/.exec(text)
  return match ? Number(match[1]) : undefined
}

export type Load = { readonly oneMinute: number; readonly fiveMinutes: number; readonly fifteenMinutes: number }

export function parseLoad(text: string): Load | undefined {
  const [one, five, fifteen] = text.split(' ').map(Number)
  if (one === undefined || five === undefined || fifteen === undefined || Number.isNaN(one + five + fifteen)) return undefined
  return { oneMinute: one, fiveMinutes: five, fifteenMinutes: fifteen }
}

/** /proc/meminfo in bytes, by the kernel's own names. */
export function parseMeminfo(text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>()
  for (const [, name, amount, unit] of text.matchAll(/^(\S+):\s+(\d+)( kB)?$/gm)) values.set(name!, Number(amount) * (unit ? 1024 : 1))
  return values
}

/** Share of time in percent that some (or all: `full`) tasks waited, over 10, 60 and 300 s (PSI). */
export type Pressure = { readonly avg10: number; readonly avg60: number; readonly avg300: number }

export function parsePressure(text: string): { some?: Pressure; full?: Pressure } {
  const found: { some?: Pressure; full?: Pressure } = {}
  for (const [, kind, avg10, avg60, avg300] of text.matchAll(/^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+)/gm)) {
    found[kind as 'some' | 'full'] = { avg10: Number(avg10), avg60: Number(avg60), avg300: Number(avg300) }
  }
  return found
}

export type Mount = {
  readonly device: string
  readonly path: string
  readonly type: string
  readonly isReadOnly: boolean
  readonly isRemote: boolean
}

const onDisk = new Set([
  'ext2',
  'ext3',
  'ext4',
  'btrfs',
  'xfs',
  'f2fs',
  'vfat',
  'exfat',
  'ntfs',
  'ntfs3',
  'zfs',
  'bcachefs',
  'jfs',
  'reiserfs',
  'hfsplus',
  'apfs',
  'ubifs',
  'overlay',
  'fuseblk',
])
const remote = /^(nfs4?|cifs|smb3|9p|ceph|glusterfs|lustre|afs|virtiofs|fuse\..+)$/

/** Mounts that hold files for good, each device once (by its shortest path), from /proc/mounts. Pseudo filesystems and memory are left out. */
export function parseMounts(text: string): Mount[] {
  const byDevice = new Map<string, Mount>()
  for (const line of text.split('\n')) {
    const [device, path, type, options] = line.split(' ').map(unescaped)
    if (!device || !path || !type) continue
    const isRemote = remote.test(type)
    if (!isRemote && !onDisk.has(type)) continue
    const key = type === 'overlay' || isRemote ? path : device
    const known = byDevice.get(key)
    if (known && known.path.length <= path.length) continue
    byDevice.set(key, { device, path, type, isReadOnly: options?.split(',').includes('ro') ?? false, isRemote })
  }
  return [...byDevice.values()]
}

/** Mounts write a space as \040 (getmntent(3)). */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
