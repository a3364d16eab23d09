// Kills a plan at every moment that differs from the one before: right after each deed, when it is not recorded yet, and right after each record. A child process
// carries the plan out and is killed by a real SIGKILL at the moment of that number; the same is begun again; then the test looks at the world.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Step } from '../../src/base/steps/plan.ts'
import { type Log, silentLog } from '../../src/kernel/log.ts'

/** In the child: counts the moments, and ends the process at the one of that number (from 0; −1 for never). */
export function killPoints(at: number): { readonly wrap: (steps: readonly Step[]) => Step[]; readonly log: Log } {
  let count = 0
  const point = (): void => {
    if (count++ === at) process.kill(process.pid, 'SIGKILL')
  }
  const thenPoint = (act: Step['do']) => async (): Promise<void> => {
    await act()
    point()
  }
  return {
    wrap: (steps) =>
      steps.map(({ name, isDone, do: act, undo }) => ({ name, isDone, do: thenPoint(act), ...(undo ? { undo: thenPoint(undo) } : {}) })),
    log: { ...silentLog, debug: point }, // what is logged was recorded just before
  }
}

/** Runs the child once: its exit code, or null when it was killed. */
export async function runKilled(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number | null> {
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit'], env: { PATH: process.env['PATH']!, ...env } })
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  if (code === null && signal !== 'SIGKILL') throw new Error(`ended by ${signal}`)
  return code
}

/** Calls `round` for the moments 0, 1, 2, …, several at a time, until one of them tells that its child was not killed any more: answers how many there are. */
export async function atEveryPoint(round: (at: number) => Promise<{ readonly wasKilled: boolean }>): Promise<number> {
  const atOnce = 3
  for (let first = 0; ; first += atOnce) {
    const rounds = await Promise.all(Array.from({ length: atOnce }, (_, i) => round(first + i)))
    const end = rounds.findIndex(({ wasKilled }) => !wasKilled)
    if (end >= 0) return first + end
  }
}
