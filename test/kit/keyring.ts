// A real Secret Service of its own in a folder: a session bus and gnome-keyring, with nobody who could be asked.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface TestKeyring {
  /** What a session has by which its keyring is found. */
  readonly env: Readonly<Record<string, string>>
  lock(): void
  /** The secret of an item, as a program that knows nothing of ours sees it; empty when there is none. */
  secretOf(item: string): string
  stop(): Promise<void>
}

/** Why it cannot run here; undefined when it can. */
export const keyringMissing = ((): string | undefined => {
  const isThere = (name: string): boolean => process.env['PATH']!.split(delimiter).some((folder) => existsSync(join(folder, name)))
  const missing = ['dbus-daemon', 'dbus-send', 'gnome-keyring-daemon', 'secret-tool'].filter((name) => !isThere(name))
  return missing.length === 0 ? undefined : `needs ${missing.join(', ')} (Debian: dbus, gnome-keyring, libsecret-tools)`
})()

/** Starts both in the foreground, unlocked, and waits until the service is there. */
export async function startKeyring(folder: string): Promise<TestKeyring> {
  const runtime = join(folder, 'runtime')
  mkdirSync(runtime)
  chmodSync(runtime, 0o700)
  const address = `unix:path=${join(runtime, 'bus')}`
  const env = { PATH: process.env['PATH']!, HOME: folder, XDG_RUNTIME_DIR: runtime, DBUS_SESSION_BUS_ADDRESS: address, LC_ALL: 'C' }
  const children: [ChildProcess, Promise<unknown>][] = []
  const start = (command: string, ...args: string[]): ChildProcess => {
    const child = spawn(command, args, { env, stdio: ['pipe', 'ignore', 'ignore'] })
    children.push([child, once(child, 'close')])
    return child
  }
  const run = (command: string, ...args: string[]): string => execFileSync(command, args, { env, encoding: 'utf8', stdio: 'pipe' })
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      if (children.some(([child]) => child.exitCode !== null)) throw new Error('no keyring')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const bus = (...message: string[]): string => run('dbus-send', '--session', '--print-reply', ...message)
  start('dbus-daemon', '--session', '--nofork', '--nopidfile', `--address=${address}`)
  await until(() => existsSync(join(runtime, 'bus')))
  start('gnome-keyring-daemon', '--foreground', '--unlock', '--components=secrets').stdin!.end('password of the keyring')
  const isOwned = ['--dest=org.freedesktop.DBus', '/', 'org.freedesktop.DBus.NameHasOwner', 'string:org.freedesktop.secrets']
  await until(() => bus(...isOwned).includes('boolean true'))
  const collection = '/org/freedesktop/secrets/aliases/default'
  return {
    env: { XDG_RUNTIME_DIR: runtime, DBUS_SESSION_BUS_ADDRESS: address },
    lock: () =>
      void bus(
        '--dest=org.freedesktop.secrets',
        '/org/freedesktop/secrets',
        'org.freedesktop.Secret.Service.Lock',
        `array:objpath:${collection}`,
      ),
    secretOf(item) {
      try {
        return run('secret-tool', 'lookup', 'service', 'fairlead', 'item', item)
      } catch {
        return ''
      }
    },
    async stop() {
      for (const [child, ended] of children.toReversed()) {
        child.kill()
        await ended
      }
    },
  }
}
