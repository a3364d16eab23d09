// What a process and all its descendants cost, and the state of the machine while it was measured, from Linux's /proc.
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'

/** The clock of /proc's CPU times: 100 a second on every Linux that Node supports. */
const tickMs = 10

type Stat = { readonly pid: number; readonly parent: number; readonly session: number; readonly cpuMs: number; readonly rssPages: number }

/** One line of /proc/<pid>/stat; CPU is user and system, its own and that of its children that have ended (proc_pid_stat(5)). */
export function parseStat(line: string): Stat {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ') // a command's name may hold anything, ")" too
  const ticks = Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14])
  return {
    pid: Number.parseInt(line, 10),
    parent: Number(fields[1]),
    session: Number(fields[3]),
    cpuMs: ticks * tickMs,
    rssPages: Number(fields[21]),
  }
}

function readMaybe(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // the process has just ended, or is not ours to read
  }
}

function everyStat(): Stat[] {
  const stats: Stat[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const line = readMaybe(`/proc/${name}/stat`)
    if (line !== undefined) stats.push(parseStat(line))
  }
  return stats
}

/**
 * `root`, which leads a session of its own, all its living descendants, and who was orphaned within that session; the root first, if it lives.
 * What an orphan had spent is lost to us when it ends: the figures of someone who orphans its children come out too good.
 */
export function tree(root: number): Stat[] {
  const stats = everyStat()
  const found = stats.filter(({ pid }) => pid === root)
  found.push(...stats.filter(({ pid, session }) => session === root && pid !== root))
  const known = new Set(found.map(({ pid }) => pid))
  for (let at = 0; at < found.length; at++) {
    for (const stat of stats) {
      if (stat.parent !== found[at]!.pid || known.has(stat.pid)) continue
      known.add(stat.pid)
      found.push(stat)
    }
  }
  return found
}

/** CPU of `root` and its descendants so far, in ms. */
export function treeCpuMs(root: number): number {
  return tree(root).reduce((sum, { cpuMs }) => sum + cpuMs, 0)
}

function fieldKb(text: string | undefined, name: string): number {
  const found = text?.match(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm'))?.[1]
  return found === undefined ? Number.NaN : Number(found)
}

export type Memory = {
  /** Resident now: the process alone; it and its descendants; the same with shared pages counted by share. */
  readonly rootMb: number
  readonly treeMb: number
  readonly treePssMb: number
  /** The most that the process alone was resident. */
  readonly rootPeakMb: number
  readonly processes: number
}

/** What `root` and its descendants hold now, in units of 10⁶ bytes. */
export function memory(root: number): Memory {
  const pids = tree(root).map(({ pid }) => pid)
  const mb = (kb: number): number => (kb * 1024) / 1e6
  const rss = pids.map((pid) => fieldKb(readMaybe(`/proc/${pid}/status`), 'VmRSS')).map((kb) => (Number.isNaN(kb) ? 0 : kb))
  const pss = pids.map((pid) => fieldKb(readMaybe(`/proc/${pid}/smaps_rollup`), 'Pss'))
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
  return {
    rootMb: mb(rss[0] ?? Number.NaN),
    treeMb: mb(sum(rss)),
    treePssMb: mb(sum(pss)),
    rootPeakMb: mb(fieldKb(readMaybe(`/proc/${root}/status`), 'VmHWM')),
    processes: pids.length,
  }
}

/** Milliseconds of CPU that the whole machine has spent and had, since it started. */
export function machineCpu(): { readonly busyMs: number; readonly allMs: number } {
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]!
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number)
  const busy = user + nice + system + irq + soft + steal
  return { busyMs: busy * tickMs, allMs: (busy + idle + wait) * tickMs }
}

/** The share of the machine's CPU, 0…1, that went to processes which are no part of the measurement, of which `oursMs` is known. */
export function otherShare(before: ReturnType<typeof machineCpu>, after: ReturnType<typeof machineCpu>, oursMs: number): number {
  return Math.max(0, after.busyMs - before.busyMs - oursMs) / Math.max(1, after.allMs - before.allMs)
}

/** The path without folders of npm packages: what a login shell of this machine finds. */
export const machinePath = (process.env['PATH'] ?? '')
  .split(':')
  .filter((folder) => !folder.includes('node_modules'))
  .join(':')

function ownNodeVersion(): string {
  try {
    return execFileSync('/usr/bin/env', ['node', '--version'], { encoding: 'utf8', env: { PATH: machinePath } }).trim()
  } catch {
    return 'none'
  }
}

/** A line that says where and beside what this was measured. */
export function machineState(): string {
  const [first] = cpus()
  const load = loadavg()
    .map((value) => value.toFixed(2))
    .join(' ')
  const memoryGb = (totalmem() / 1e9).toFixed(1)
  return `${cpus().length} × ${first?.model ?? 'unknown CPU'}, ${memoryGb} GB, Linux ${release()}, measured with Node ${process.version} (the machine's own: ${ownNodeVersion()}), load ${load}`
}
