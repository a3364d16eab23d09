// Looks at processes from outside, and waits for what has to become so.
import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

/** Whether a process of that number lives. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

/** Processes of this machine whose argv is exactly this, its words joined by NUL. */
export function processesOf(argv: string): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `${argv}\0`
    } catch {
      return false
    }
  })
}

/** Asks again and again until there is an answer, up to a time. */
export async function within<Result>(ms: number, ask: () => Promise<Result | undefined>): Promise<Result> {
  for (const from = performance.now(); ; await wait(20)) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (performance.now() - from > ms) throw new Error(`it did not come to be so within ${ms} ms`)
  }
}
