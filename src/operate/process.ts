// Reads what the kernel says of one process in /proc/<pid>; pure functions.
import { basename } from 'node:path'

/** `startTicks` since boot; user and system time together in `cpuTicks` (USER_HZ, 100 a second on Linux for every architecture Node runs on). */
export type ProcessStat = {
  readonly pid: number
  readonly command: string
  readonly state: ProcessState
  readonly ppid: number
  readonly cpuTicks: number
  readonly startTicks: number
}

export const ticksPerSecond = 100

/** /proc/<pid>/stat. The command stands in parentheses and may itself hold any of `) (` and line feeds, so the last `)` ends it. */
export function parseProcessStat(text: string): ProcessStat | undefined {
  const open = text.indexOf('(')
  const close = text.lastIndexOf(')')
  if (open < 0 || close < open) return undefined
  const rest = text
    .slice(close + 2)
    .trim()
    .split(' ')
  const pid = Number(text.slice(0, open))
  const [ppid, user, system, start] = [rest[1], rest[11], rest[12], rest[19]].map(Number) as [number, number, number, number]
  if (!Number.isSafeInteger(pid) || Number.isNaN(ppid + user + system + start)) return undefined
  return { pid, command: text.slice(open + 1, close), state: stateOf(rest[0]!), ppid, cpuTicks: user + system, startTicks: start }
}

export const processStates = ['running', 'sleeping', 'waiting', 'stopped', 'traced', 'zombie', 'dead', 'idle', 'other'] as const
type ProcessState = (typeof processStates)[number]

const states: Readonly<Record<string, ProcessState>> = {
  R: 'running',
  S: 'sleeping',
  D: 'waiting',
  T: 'stopped',
  t: 'traced',
  Z: 'zombie',
  X: 'dead',
  x: 'dead',
  I: 'idle',
}

function stateOf(letter: string): ProcessState {
  return states[letter] ?? 'other'
}

/** /proc/<pid>/status: effective user, and memory in bytes. Pages are not used, for their size differs between machines; kernel threads have no memory of their own. */
export function parseProcessStatus(text: string): { uid: number | undefined; rssBytes: number } {
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(text)?.[1]
  const rss = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1]
  return { uid: uid === undefined ? undefined : Number(uid), rssBytes: rss === undefined ? 0 : Number(rss) * 1024 }
}

/** /proc/<pid>/cmdline: arguments that each end with a zero byte. */
export function parseCmdline(text: string): string[] {
  if (text === '') return []
  return text.replace(/\0$/, '').split('\0')
}

/** The kernel keeps this many characters of a command's name. */
const shortNameLength = 15

/** Whether the kernel may have cut the name: then the command line is needed to know it. */
export function isCut({ command }: Pick<ProcessStat, 'command'>): boolean {
  return command.length === shortNameLength
}

/** The name that people know a process by. */
export function processName({ command }: Pick<ProcessStat, 'command'>, cmdline: readonly string[]): string {
  const first = cmdline[0] === undefined ? '' : basename(cmdline[0])
  return isCut({ command }) && first.startsWith(command) ? first : command
}

/** Names by user id, from /etc/passwd. */
export function parsePasswd(text: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>()
  for (const line of text.split('\n')) {
    const [name, , uid] = line.split(':')
    if (name && uid && !names.has(Number(uid))) names.set(Number(uid), name)
  }
  return names
}

/** The unit of systemd in /proc/<pid>/cgroup, of version 2 (`0::/…`) or of systemd's own hierarchy of version 1. */
export function unitOfCgroup(text: string): string | undefined {
  const path = /^(?:0:|\d+:name=systemd):(.*)$/m.exec(text)?.[1]
  return path?.split('/').findLast((part) => /\.(?:service|scope|slice|socket|mount|swap)$/.test(part))
}
