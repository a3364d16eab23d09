// The process that keeps GPIO lines (gpio-script.ts): started by the first call, asked by JSON lines, replaced when it was lost.
import { type Child, startChild } from '../../base/supervise/child.ts'
import { type Guard, startGuard } from '../../base/supervise/guard.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Host } from '../host.ts'
import { fault } from './faults.ts'
import { gpioScript } from './gpio-script.ts'

const answerTimeoutMs = 5_000
const maxWaiting = 256
/** Of one answer: every line of the largest chip. */
const maxAnswerBytes = 1 << 20

export type KeeperAnswer = { readonly ok: unknown } | { readonly error: string; readonly reason: string }

export interface Keeper {
  /** Asks one operation. Faults: `hardware.absent` when it cannot be started, `hardware.failed` when it was lost or is deaf, `hardware.too_many`. */
  ask(op: string, details?: object): Promise<KeeperAnswer>
  /** Ends it: what was for a time only is undone, and outputs are left in their safe states. */
  close(): Promise<void>
}

type Waiting = { readonly resolve: (answer: KeeperAnswer) => void; readonly reject: (error: Error) => void }

export function createKeeper(needs: { readonly host: Host; readonly clock: Clock; readonly log: Log }): Keeper {
  const { host, clock, log } = needs
  const waiting = new Map<number, Waiting>()
  let guard: Guard | undefined
  let running: Promise<Child> | undefined
  let ids = 0
  let isClosed = false

  function lost(reason: string): void {
    running = undefined
    for (const { reject } of waiting.values()) reject(fault.failed({ what: 'the keeper of GPIO lines', reason }))
    waiting.clear()
  }

  function listen(child: Child): void {
    let rest = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      if (rest.length > maxAnswerBytes) return void child.stop({ eofMs: 0 })
      for (const line of lines) {
        const { id, ...answer } = JSON.parse(line) as KeeperAnswer & { id: number }
        waiting.get(id)?.resolve(answer)
        waiting.delete(id)
      }
    })
    child.stdin.on('error', () => {}) // its end tells
    void child.ended.then(({ lastWords }) => {
      if (lastWords) log.warn('hardware.keeper', { lastWords })
      lost(lastWords.split('\n').at(-1) || 'it ended')
    })
  }

  async function start(): Promise<Child> {
    guard ??= startGuard({ clock, log })
    const argv = ['python3', '-I', '-u', '-c', gpioScript, host.place('/dev')] as const
    const child = await startChild({ guard, clock, log }, { name: 'gpio-keeper', argv, env: host.env, cwd: '/' })
    listen(child)
    return child
  }

  async function child(): Promise<Child> {
    if (isClosed) throw fault.absent({ what: 'GPIO', reason: 'the helper is ending' })
    try {
      return await (running ??= start())
    } catch (error) {
      running = undefined
      const { code, message } = error as { code?: string; message: string }
      const reason = code === 'supervise.command_not_found' ? 'python3 is not installed: sudo apt install python3' : message
      throw fault.absent({ what: 'GPIO', reason }, error)
    }
  }

  return {
    async ask(op, details = {}) {
      if (waiting.size >= maxWaiting) throw fault.too_many({ what: 'calls for GPIO lines', max: maxWaiting })
      const { stdin } = await child()
      const id = ++ids
      return new Promise<KeeperAnswer>((resolve, reject) => {
        const late = clock.after(answerTimeoutMs, () => {
          waiting.delete(id)
          reject(fault.failed({ what: `${op} of GPIO lines`, reason: `there was no answer within ${answerTimeoutMs} ms` }))
        })
        const done =
          <T>(end: (value: T) => void) =>
          (value: T): void => {
            late()
            end(value)
          }
        waiting.set(id, { resolve: done(resolve), reject: done(reject) })
        stdin.write(`${JSON.stringify({ id, op, ...details })}\n`)
      })
    },
    async close() {
      isClosed = true
      await (await running?.catch(() => undefined))?.stop()
      await guard?.close()
    },
  }
}
