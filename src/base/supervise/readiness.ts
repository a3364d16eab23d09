// Tells systemd that a daemon serves now, so that whoever is started after it finds it, and that it is still alive: units of `Type=notify` with `NotifyAccess=all`.
import type { Clock } from '../../kernel/clock.ts'
import { exec } from '../../kernel/exec.ts'
import type { Log } from '../../kernel/log.ts'

const timeoutMs = 5_000
type Env = Readonly<Record<string, string | undefined>>

/** Does nothing where nobody waits for it. By a command, since Node has no datagram sockets (sd_notify(3)). Faults: those of `exec`. */
export function tellReady(env: Env): Promise<void> {
  return notify(env, '--ready')
}

/**
 * Tells it again and again, at a third of the time that the unit's `WatchdogSec=` allows, until it is disposed of: a loop that stands still says nothing, and systemd ends the process. Does
 * nothing where nobody waits for it.
 */
export function keepAlive({ clock, log }: { readonly clock: Clock; readonly log: Log }, env: Env): Disposable {
  const everyMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1_000 / 3
  let cancel = (): void => {}
  const tell = (): void => {
    void notify(env, 'WATCHDOG=1').catch((error: unknown) => log.warn('watchdog.not_told', { error }))
    cancel = clock.after(everyMs, tell)
  }
  if (everyMs > 0 && env['NOTIFY_SOCKET']) cancel = clock.after(everyMs, tell)
  return { [Symbol.dispose]: () => cancel() }
}

async function notify(env: Env, word: string): Promise<void> {
  const { NOTIFY_SOCKET: socket, PATH: path = '/usr/bin:/bin' } = env
  if (socket) await exec(['systemd-notify', word], { env: { NOTIFY_SOCKET: socket, PATH: path }, timeoutMs })
}
