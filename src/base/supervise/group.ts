// What the operating system says of a process group, and the signals that are sent to one.
import { readFile, readdir } from 'node:fs/promises'

/** Signals every process of the group (0 only asks). False when the group has none. A member that we may not signal counts as one. */
export function signalGroup(pgid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pgid, signal)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/**
 * Whether a process of the group has not ended. An orphan that has ended still counts for `signalGroup` until the system's first process takes note of it,
 * which some do every few seconds only and, in a container without an init, nobody does. Always true where there is no /proc (proc_pid_stat(5)).
 */
export async function hasLiving(pgid: number): Promise<boolean> {
  const names = await readdir('/proc').catch(() => [])
  const pids = names.filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
    const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (group === String(pgid) && state !== 'Z' && state !== 'X') return true
  }
  return pids.length === 0
}
