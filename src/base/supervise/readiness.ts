// Tells systemd that a daemon serves now, so that whoever is started after it finds it: units of `Type=notify` with `NotifyAccess=all`.
import { exec } from '../../kernel/exec.ts'

const timeoutMs = 5_000

/** Does nothing where nobody waits for it. By a command, since Node has no datagram sockets (sd_notify(3)). Faults: those of `exec`. */
export async function tellReady(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  const { NOTIFY_SOCKET: socket, PATH: path = '/usr/bin:/bin' } = env
  if (socket) await exec(['systemd-notify', '--ready'], { env: { NOTIFY_SOCKET: socket, PATH: path }, timeoutMs })
}
