// Starts a command that does not run yet: a shell in a process group of its own waits behind a latch, and becomes the command when that is opened.
//
// Node makes the group and runs the program in one step; a group must be known to the guard before its command can run. The shell in between reads one
// line from descriptor 3, whose other end only this process holds. If this process dies first, the shell reads the end of file and exits: it has done
// nothing and leaves nothing. `exec` keeps the process id, so the command is the leader of the group that was registered.
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { reasonOf } from '../../kernel/fault.ts'
import { fault } from './faults.ts'

export type Command = {
  /** What people call it; it opens every message about it. */
  readonly name: string
  /** The program and its arguments. Never read by a shell: every metacharacter is a letter. */
  readonly argv: readonly [string, ...string[]]
  /** The whole environment: nothing is inherited that is not named, nothing is added. See `childEnvironment`. */
  readonly env: Readonly<Record<string, string>>
  /** The working folder; this process's own by default. */
  readonly cwd?: string
}

/**
 * What shells add to an environment is taken out again: `PWD`, `OLDPWD`, `SHLVL`, a default `PATH` if `$1` says so; and bash as `sh` sets `SHLVL` in `exec`
 * itself, which only `env` can undo. No descriptor but the first three is for the command.
 */
export const latchScript = `
read -r fairlead_latch <&3 || exit 0
unset fairlead_latch PWD OLDPWD SHLVL $1
shift
[ -z "$BASH_VERSION" ] || set -- /usr/bin/env -u SHLVL "$@"
exec "$@" 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-
`

/** Variables in which a shell keeps its own affairs: their values would not come through one, so `env` sets them behind it. None holds a secret. */
const shellOwned =
  /^(?:_|PWD|OLDPWD|SHLVL|IFS|OPT(?:ARG|ERR|IND)|E?UID|PPID|GROUPS|LINENO|S?RANDOM|SECONDS|EPOCH\w+|ENV|BASH\w*|SHELLOPTS|POSIXLY_CORRECT|DIRSTACK|FUNCNAME|HISTCMD|HOSTNAME|COMP_\w+|PS[0-4]|fairlead_latch)$/
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/

/** What is handed to `sh -c latchScript`, and in which environment, so that `file` runs in exactly `env`. */
export function throughLatch(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): { args: string[]; env: Record<string, string> } {
  const entries = Object.entries(env)
  const behind = entries.filter(([name]) => shellOwned.test(name)).map(([name, value]) => `${name}=${value}`)
  return {
    args: [env['PATH'] === undefined ? 'PATH' : '', ...(behind.length > 0 ? ['/usr/bin/env', ...behind] : []), file, ...args],
    env: Object.fromEntries(entries.filter(([name]) => !shellOwned.test(name))),
  }
}

export type Latched = { readonly process: ChildProcess; readonly pid: number; open(): void }

/** Puts the command behind a latch. Faults: every `supervise.*` that names the command, its folder or its environment; `supervise.failed_to_start`. */
export async function spawnLatched(command: Command): Promise<Latched> {
  const { name, argv, cwd } = command
  const file = await locate(command)
  for (const [variable, value] of Object.entries(command.env)) {
    if (!variableName.test(variable) || value.includes('\0')) throw fault.environment_unusable({ name, variable })
  }
  const failed = (error: unknown): Error => fault.failed_to_start({ name, command: argv[0], reason: reasonOf(error) }, error)
  const { args, env } = throughLatch(file, argv.slice(1), command.env)
  let child: ChildProcess
  try {
    child = spawn('/bin/sh', ['-c', latchScript, name, ...args], { env, cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe', 'pipe'] })
  } catch (error) {
    throw failed(error)
  }
  const { pid } = child
  if (pid === undefined) throw await new Promise((resolveWith) => child.once('error', (error) => resolveWith(failed(error))))
  child.on('error', () => {}) // a later one can only be about a signal that missed
  const latch = child.stdio[3] as Duplex
  latch.on('error', () => {}) // whoever died behind the latch is told by its exit
  latch.resume()
  return { process: child, pid, open: () => latch.end('\n') }
}

/** The file that a command stands for, found as the command's own environment says, so that a missing one is told before anything is started. */
async function locate({ name, argv: [command], env, cwd = '.' }: Command): Promise<string> {
  if (!(await stat(cwd).catch(() => undefined))?.isDirectory()) throw fault.folder_missing({ name, folder: resolve(cwd) })
  const folders = (env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter).filter((folder) => folder !== '')
  const places = command.includes('/')
    ? [resolve(cwd, command)]
    : command === ''
      ? []
      : folders.map((folder) => resolve(cwd, folder, command))
  let refused: string | undefined
  for (const file of places) {
    if (!(await stat(file).catch(() => undefined))?.isFile()) continue
    const isRunnable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (!isRunnable) refused ??= file
    else if (file.includes('='))
      throw fault.command_unusable({ name, command, problem: `is ${file}, whose "=" some systems would take for a variable` })
    else return file
  }
  if (refused) throw fault.command_not_executable({ name, command, file: refused })
  throw fault.command_not_found({ name, command, path: command.includes('/') ? (places[0] ?? command) : folders.join(delimiter) })
}
