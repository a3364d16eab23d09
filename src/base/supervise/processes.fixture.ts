// What tests ask the operating system about processes, so that nothing is believed because our own code says it.
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { systemClock } from '../../kernel/clock.ts'

export type Seen = { readonly pid: number; readonly state: string; readonly ppid: number; readonly pgid: number; readonly session: number }

/** The process as /proc shows it (proc_pid_stat(5)); undefined when there is none. */
export function look(pid: number): Seen | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state, ppid, pgid, session] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { pid, state: state!, ppid: Number(ppid), pgid: Number(pgid), session: Number(session) }
  } catch {
    return undefined
  }
}

export function isRunning(pid: number): boolean {
  const seen = look(pid)
  return seen !== undefined && seen.state !== 'Z' && seen.state !== 'X'
}

export function everyProcess(): Seen[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (look(Number(name)) ?? []) : []))
}

/** Every running process below this one. */
export function descendants(pid: number): number[] {
  const all = everyProcess().filter(({ state }) => state !== 'Z' && state !== 'X')
  const below = (parent: number): number[] => all.filter(({ ppid }) => ppid === parent).flatMap((child) => [child.pid, ...below(child.pid)])
  return below(pid)
}

/** The command line; empty when there is no such process. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** The guards below this process. */
export function guardsOf(pid: number): number[] {
  return descendants(pid).filter((each) => commandOf(each).includes('fairlead-guard'))
}

/** Running processes whose environment at their start has `MARK=<mark>`, or a mark that begins so. */
export function marked(mark: string): number[] {
  return everyProcess().flatMap(({ pid }) => {
    try {
      return isRunning(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`MARK=${mark}`) ? [pid] : []
    } catch {
      return []
    }
  })
}

/** What each descriptor of the process stands for. */
export function descriptors(pid: number): Record<string, string> {
  const folder = `/proc/${pid}/fd`
  const linked = (fd: string): [string, string][] => {
    try {
      return [[fd, readlinkSync(`${folder}/${fd}`)]]
    } catch {
      return [] // the one that listed the folder
    }
  }
  return Object.fromEntries(readdirSync(folder).flatMap(linked))
}

/** Waits until `is` says so; throws `what` after `withinMs`. Returns how long it took. */
export async function until(what: string, is: () => boolean, withinMs = 5_000): Promise<number> {
  const from = systemClock.mono()
  while (!is()) {
    if (systemClock.mono() - from > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await systemClock.wait(10)
  }
  return systemClock.mono() - from
}

/** Every POSIX shell of this machine, to be spawned with `argv0: 'sh'`; `/bin/sh` may be any of them elsewhere. */
export function shells(): string[] {
  const folders = (process.env['PATH'] ?? '').split(':')
  return ['sh', 'dash', 'bash', 'busybox', 'mksh', 'yash', 'ksh'].flatMap(
    (name) => folders.map((folder) => `${folder}/${name}`).find(existsSync) ?? [],
  )
}

/** Descriptors that this process would hand to any child, because it was itself given them so: none of our doing. */
export function leaked(): string[] {
  return Object.keys(descriptors(process.pid)).filter((fd) => {
    try {
      return (Number.parseInt(/flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))![1]!, 8) & 0o2000000) === 0
    } catch {
      return false
    }
  })
}
