// The life-line guard: a small shell process that outlives its owner by a moment, to end the process groups that the owner left behind.
//
// It holds a set of process groups, changed by lines on its standard input, which only the owner can write to (every descriptor of Node is
// close-on-exec). However the owner ends, that input ends, and the guard kills what it holds. No command runs before the guard has said that it
// holds its group (see latch.ts), so there is no moment at which the owner's death leaves a running command behind.
import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { failed, healthy, rested } from './backoff.ts'
import { fault } from './faults.ts'
import { signalGroup } from './group.ts'

/**
 * `+N` takes a group and answers `N`, `-N` lets it go; a line cut short by the owner's death does not count. Signals meant for the owner are ignored, and so
 * is a reader of the answers that is gone. Descriptors that the owner itself was given and that are not close-on-exec are closed. 0 and 1 would mean "my own group" and "everybody". The last kill is in the exit trap, so that it also happens
 * when nothing can be forked any more, as after a fork bomb in one of the groups. `sleep` takes fractions nearly everywhere, whole seconds everywhere.
 */
export const guardScript = `
trap '' HUP INT QUIT TERM PIPE USR1 USR2 ALRM TSTP TTIN TTOU
exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-
held=' '
while read -r line; do
  group=\${line#?}
  case $group in '' | *[!0-9]* | 0* | 1) continue ;; esac
  case $line in
    +*)
      case $held in *" $group "*) ;; *) held="$held$group " ;; esac
      echo "$group" ;;
    -*)
      case $held in *" $group "*) held="\${held%%" $group "*} \${held#*" $group "}" ;; esac ;;
  esac
done
trap 'for group in $held; do kill -KILL "-$group"; done' EXIT
for group in $held; do kill -TERM "-$group"; done
tries=0
while [ "$tries" -lt 10 ]; do
  left=
  for group in $held; do
    if kill -0 "-$group"; then left="$left $group"; fi
  done
  held=$left
  [ -n "$held" ] || exit 0
  tries=$((tries + 1))
  sleep 0.1 || { sleep 1; tries=10; }
done
`

/** A guard that does not answer for so long is killed and replaced. */
const deafMs = 2_000
const registerTimeoutMs = 6_000

export interface Guard {
  /** Of the guard process, for those who watch it from outside; undefined while there is none. */
  readonly pid: number | undefined
  /** Resolves when the guard has said that it holds the group: from then on the owner may die. Fault: `supervise.no_guard` after 6 s. */
  register(pgid: number): Promise<void>
  /** To be called as soon as no process of the group is left, because its number may be given to a stranger then. */
  unregister(pgid: number): void
  /** Ends the guard, which ends every group that it still holds. Resolves when it is gone. */
  close(): Promise<void>
}

class ShellGuard implements Guard {
  readonly #clock: Clock
  readonly #log: Log
  readonly #held = new Map<number, Set<() => void>>() // group → those who wait for the guard's word on it
  #process: ChildProcess | undefined
  #backoff = rested
  #isClosing = false

  constructor(needs: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = needs.clock
    this.#log = needs.log
    this.#start()
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  register(pgid: number): Promise<void> {
    const waiting = this.#held.get(pgid) ?? new Set()
    this.#held.set(pgid, waiting)
    return new Promise((resolve, reject) => {
      const asked = this.#process
      const cancelDeaf = this.#clock.after(deafMs, () => {
        if (!asked || asked !== this.#process || asked.killed) return
        this.#log.warn('supervise.guard.deaf', { pid: asked.pid })
        asked.kill('SIGKILL')
      })
      const cancelTimeout = this.#clock.after(registerTimeoutMs, () => {
        waiting.delete(done)
        reject(fault.no_guard({ timeoutMs: registerTimeoutMs }))
      })
      const done = (): void => {
        cancelDeaf()
        cancelTimeout()
        resolve()
      }
      waiting.add(done)
      this.#say(`+${pgid}`)
    })
  }

  unregister(pgid: number): void {
    const waiting = this.#held.get(pgid)
    if (!waiting) return
    this.#held.delete(pgid)
    this.#say(`-${pgid}`)
    for (const done of waiting) done() // there is nothing to hold any more, so it is as good as held
  }

  async close(): Promise<void> {
    this.#isClosing = true
    const guard = this.#process
    if (guard) {
      guard.ref()
      const gone = new Promise((resolve) => guard.once('exit', resolve))
      guard.stdin?.end()
      const cancel = this.#clock.after(deafMs, () => guard.kill('SIGKILL'))
      await gone
      cancel()
    }
    for (const pgid of this.#held.keys()) signalGroup(pgid, 'SIGKILL') // what a guard that was lost just now did not come to
  }

  #say(line: string): void {
    this.#process?.stdin?.write(`${line}\n`)
  }

  #start(): void {
    let guard: ChildProcess
    try {
      // a session of its own: signals for the owner's group, the terminal's among them, pass it by; '/' and three descriptors: it keeps nothing busy
      guard = spawn('/bin/sh', ['-c', guardScript, 'fairlead-guard'], {
        cwd: '/',
        env: { PATH: '/usr/bin:/bin' },
        detached: true,
        stdio: ['pipe', 'pipe', 'ignore'],
      })
    } catch (error) {
      return this.#replace({ reason: String(error) })
    }
    this.#process = guard
    let isOver = false
    const over = (reason: Record<string, unknown>): void => {
      if (isOver) return
      isOver = true
      this.#replace(reason)
    }
    guard.on('exit', (exitCode, signal) => over({ exitCode, signal }))
    guard.on('error', (error) => guard.pid === undefined && over({ reason: error.message }))
    guard.stdin?.on('error', () => {}) // its exit tells
    guard.stdout?.on('error', () => {})
    this.#listen(guard)
    guard.unref()
    for (const stream of [guard.stdin, guard.stdout]) (stream as Socket | undefined)?.unref() // undefined when no pipe could be made
    for (const pgid of this.#held.keys()) this.#say(`+${pgid}`)
  }

  #listen(guard: ChildProcess): void {
    let rest = ''
    guard.stdout?.setEncoding('latin1').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        const waiting = this.#held.get(Number(line))
        for (const done of waiting ?? []) done()
        waiting?.clear()
      }
      this.#backoff = healthy(this.#backoff, this.#clock.mono())
    })
  }

  #replace(reason: Record<string, unknown>): void {
    const pid = this.pid
    this.#process = undefined
    if (this.#isClosing) return
    const { next, delayMs } = failed(this.#backoff, this.#clock.mono())
    this.#backoff = next
    this.#log.warn('supervise.guard.lost', { pid, groups: this.#held.size, delayMs, ...reason })
    if (delayMs === 0) this.#start()
    else this.#clock.after(delayMs, () => this.#isClosing || this.#start())
  }
}

/** Starts the guard of this process. One is enough for all its children; it never keeps the process alive. */
export function startGuard(needs: { readonly clock: Clock; readonly log: Log }): Guard {
  return new ShellGuard(needs)
}
