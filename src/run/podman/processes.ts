// Looks at the machine itself: whether the process that podman remembers is there, and is that one. Podman believes what conmon told it, and conmon may be dead.
import { readFileSync } from 'node:fs'
import type { Clock } from '../../kernel/clock.ts'

/** What /proc/<pid>/stat says (proc_pid_stat(5)). */
export type Stat = { readonly parent: number; readonly group: number; readonly startTicks: number }

/** In which /proc/<pid>/stat counts time, on every architecture that Linux runs on (sysconf(_SC_CLK_TCK)). */
const ticksPerSecond = 100
/** Podman's time of a start is later than the kernel's by what lies between; and the clock may have been set a little since. */
const toleranceMs = 5_000

/** What the process leads: undefined when there is none that lives. */
export function statOfProcess(pid: number): Stat | undefined {
  if (pid <= 1) return undefined
  const text = read(`/proc/${pid}/stat`)
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  if (fields.length < 20 || fields[0] === 'Z' || fields[0] === 'X') return undefined
  return { parent: Number(fields[1]), group: Number(fields[2]), startTicks: Number(fields[19]) }
}

/** Whether this process is the conmon of that container. */
export function isConmon(pid: number, id: string): boolean {
  return pid > 1 && read(`/proc/${pid}/cmdline`).split('\0').includes(id)
}

export interface Processes {
  /** Whether `pid`, which podman started at `startedAtMs` for this container, is that very process still. */
  isAlive(id: string, pid: number, startedAtMs: number): boolean
  /** Drops what is remembered of all other containers. */
  keepOnly(ids: ReadonlySet<string>): void
}

/**
 * A number alone proves nothing: it may be another process by now. That its parent is the container's conmon proves it; then its start is remembered to the tick, and holds
 * also when conmon is gone and the clock was set. Only for one that was never seen so, the start that podman noted has to do.
 */
export function processes({ clock }: { readonly clock: Clock }): Processes {
  const proved = new Map<string, { readonly pid: number; readonly startTicks: number }>()
  return {
    isAlive(id, pid, startedAtMs) {
      const stat = statOfProcess(pid)
      if (!stat) return false
      const before = proved.get(id)
      if (before?.pid === pid) return before.startTicks === stat.startTicks
      if (isConmon(stat.parent, id)) {
        proved.set(id, { pid, startTicks: stat.startTicks })
        return true
      }
      const bootedAtMs = clock.now() - uptimeMs()
      return Math.abs(bootedAtMs + (stat.startTicks / ticksPerSecond) * 1_000 - startedAtMs) < toleranceMs
    },
    keepOnly(ids) {
      for (const id of proved.keys()) if (!ids.has(id)) proved.delete(id)
    },
  }
}

function uptimeMs(): number {
  return Number(read('/proc/uptime').split(' ')[0]) * 1_000
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
