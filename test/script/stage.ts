// Machines for a script to play on: network namespaces on one switch, each with processes, a /home and an address of its own, gone without a trace at the end.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { plain } from './pattern.ts'

/** The person on every host. */
export const home = '/home/user'

export type Ended = { readonly exitCode: number | null; readonly output: string }

/** A terminal in which something runs. */
export interface Window {
  /** stdout and stderr so far, as they came, without colours. */
  output(): string
  /** Ctrl-C; resolves when it has ended. */
  stop(): Promise<Ended>
  readonly ended: Promise<Ended>
}

export interface Host {
  readonly address: string
  /** argv that runs a command in this host's namespaces, with only HOME, PATH and TERM set. */
  inside(...argv: readonly string[]): [string, ...string[]]
  /** Runs a script in a terminal, from the home folder, to its end, which must come within 60 s. */
  run(script: string): Promise<Ended>
  /** The same, beside what comes after it. */
  open(script: string): Window
  /** `~/` is the home folder. */
  write(path: string, text: string): void
  read(path: string): string
}

export interface Stage {
  readonly hosts: ReadonlyMap<string, Host>
  close(): Promise<void>
}

/** Why there can be no stage here; undefined when there can. */
export function obstacle(tools: readonly string[] = []): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'network namespaces need Linux and root'
  const missing = ['unshare', 'nsenter', 'ip', 'script', 'bash', ...tools].filter((tool) => !isThere(tool))
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`
  try {
    execFileSync('unshare', ['--net', '--pid', '--fork', '--mount', '--mount-proc', 'true'], { stdio: 'pipe' })
    return undefined
  } catch (error) {
    return `no namespaces: ${String((error as { stderr?: Buffer }).stderr).trim()}`
  }
}

function isThere(tool: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore', env: { PATH: path } })
    return true
  } catch {
    return false
  }
}

const path = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'

/** /home is what it was, but what is written there is written to memory; on the stage everybody is root, so that sudo has nothing to do. */
const setting = `set -e
mount -t tmpfs stage "$1"
mkdir "$1/upper" "$1/work" "$1/bin"
mount -t overlay stage -o "lowerdir=/home,upperdir=$1/upper,workdir=$1/work" /home
mkdir -p ${home}/.local/bin
printf '#!/bin/sh\\nexec "$@"\\n' >"$1/bin/sudo"
chmod +x "$1/bin/sudo"
ip link set lo up
echo ready
exec cat`

/** Nobody leaves before the program that was put behind has taken the place of what starts it, and knows what to do when the terminal ends. */
const leaving = `for job in $(jobs -p); do
  for try in $(seq 500); do
    case $(readlink "/proc/$job/exe") in
      */bash | */nohup | */dash | */env) ;;
      *) ! grep -qE '^Sig(Ign|Cgt):.*[13579bdf]$' "/proc/$job/status" 2>/dev/null || break ;;
    esac
    sleep 0.01
  done
done`

const switchSetting = 'ip link add br0 type bridge forward_delay 0 && ip link set br0 up && echo ready && exec cat'

/** Hosts of these names: 10.88.7.1, 10.88.7.2 … on one network. Needs no `obstacle`. */
export async function createStage(names: readonly string[]): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-stage-'))
  const holders: ChildProcess[] = []
  // A namespace lives as long as its holder, a holder as long as its stdin: nothing outlives this process, however it ends.
  const hold = async (flags: readonly string[], script: string, ...args: string[]): Promise<number> => {
    const holder = spawn('unshare', [...flags, 'sh', '-c', script, 'holder', ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    holders.push(holder)
    await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit').then(() => Promise.reject(new Error('a host did not start')))])
    return holder.pid!
  }
  const close = async (): Promise<void> => {
    await Promise.all(
      holders.map(async (holder) => {
        if (holder.exitCode !== null || holder.signalCode !== null) return
        const ended = once(holder, 'exit')
        holder.stdin!.end()
        await ended
      }),
    )
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const hub = await hold(['--net'], switchSetting)
    const hosts = new Map<string, Host>()
    for (const [at, name] of names.entries()) {
      const own = join(folder, name)
      mkdirSync(own)
      const pid = firstChild(await hold(['--net', '--pid', '--fork', '--kill-child', '--mount', '--mount-proc'], setting, own))
      const address = `10.88.7.${at + 1}`
      const link = `ip link add v${at} type veth peer name eth0 netns ${pid} && ip link set v${at} master br0 up`
      execFileSync('nsenter', ['-t', `${hub}`, '--net', 'sh', '-c', link])
      execFileSync('nsenter', ['-t', `${pid}`, '--net', 'sh', '-c', `ip address add ${address}/24 dev eth0 && ip link set eth0 up`])
      hosts.set(name, hostAt(pid, address, own))
    }
    return { hosts, close }
  } catch (error) {
    await close()
    throw error
  }
}

function firstChild(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0])
}

function hostAt(pid: number, address: string, own: string): Host {
  const inside = (...argv: readonly string[]): [string, ...string[]] => {
    const env = ['env', '-i', `HOME=${home}`, `PATH=${home}/.local/bin:${own}/bin:${path}`, 'TERM=xterm', 'SHELL=/bin/bash']
    return ['nsenter', '-t', `${pid}`, '--net', '--pid', '--mount', `--wdns=${home}`, ...env, ...argv]
  }
  const at = (file: string): string => join(`/proc/${pid}/root`, file.replace(/^~/, home))
  return {
    address,
    inside,
    ...terminals(inside),
    write(file, text) {
      mkdirSync(dirname(at(file)), { recursive: true })
      writeFileSync(at(file), text)
      chmodSync(at(file), 0o644)
    },
    read: (file) => readFileSync(at(file), 'utf8'),
  }
}

/** A terminal, as a person has: what runs in it sees one, Ctrl-C goes to what is in front, and what is behind loses it when the shell ends. */
export function terminals(inside: Host['inside']): Pick<Host, 'run' | 'open'> {
  const terminal = (script: string): ChildProcess => {
    const [command, ...args] = inside('script', '-qefc', `set -eo pipefail\nstty cols 400 -echo\n${script}`, '/dev/null')
    return spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true })
  }
  return {
    async run(script) {
      const child = terminal(`${script}\n${leaving}`)
      const timer = setTimeout(() => kill(child), 60_000)
      child.stdin!.end()
      return listen(child).ended.finally(() => clearTimeout(timer))
    },
    open(script) {
      const child = terminal(script)
      const heard = listen(child)
      return {
        ...heard,
        async stop() {
          child.stdin!.write('\u0003')
          const timer = setTimeout(() => kill(child), 20_000)
          return heard.ended.finally(() => clearTimeout(timer))
        },
      }
    },
  }
}

/** With it goes the terminal, and with that all that runs in it. */
function kill({ pid }: ChildProcess): void {
  process.kill(-pid!, 'SIGKILL')
}

function listen(child: ChildProcess): Pick<Window, 'output' | 'ended'> {
  let text = ''
  child.stdout!.setEncoding('utf8').on('data', (more: string) => (text += more))
  child.stdin!.on('error', () => {}) // it has ended
  const ended = once(child, 'close').then(([exitCode]) => ({ exitCode: exitCode as number | null, output: plain(text) }))
  return { output: () => plain(text), ended }
}
