// Rootless podman on a bare machine: a user of its own with an API socket, a tiny image and an image registry, gone without a trace at the end, however that comes.
// Imports nothing of the program: what is proved with it is seen from outside.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'

const tools = [
  'podman',
  'crun',
  'conmon',
  'newuidmap',
  'slirp4netns',
  'docker-registry',
  'busybox',
  'unshare',
  'nsenter',
  'setpriv',
  'mountpoint',
]
const folders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/lib/podman']

/** Why there can be no podman here, with these programs besides; undefined when there can. */
export function obstacle(...more: readonly string[]): string | undefined {
  if (process.platform !== 'linux') return 'podman runs on Linux'
  if (process.getuid?.() !== 0) return 'only root may make a user for podman'
  for (const tool of [...tools, ...more]) if (!folders.some((folder) => existsSync(join(folder, tool)))) return `${tool} is not installed`
  try {
    execFileSync('unshare', ['--mount', 'mount', '--make-rprivate', '/'], { stdio: 'pipe' })
    return undefined
  } catch (error) {
    return `no mount namespace can be made: ${String((error as { stderr?: Buffer }).stderr ?? error).trim()}`
  }
}

export interface PodmanHome {
  readonly folder: string
  /** Of podman's API, served from the beginning. */
  readonly socket: string
  /** In the local store: busybox, whose default command is a shell. */
  readonly image: string
  /** `127.0.0.1:PORT`; empty. */
  readonly registry: string
  /** argv that runs a command as that user, with exactly the environment of a login. */
  inside(...argv: readonly string[]): [string, ...string[]]
  /** Runs podman's own command line to its end; rejects with what it said when it fails. */
  podman(...words: readonly string[]): Promise<string>
  /** The same with an input. */
  feed(input: string, ...argv: readonly string[]): Promise<string>
  /** Ends the API's service with SIGKILL: containers go on. */
  killService(): Promise<void>
  /** Serves the API again. */
  startService(): Promise<void>
  close(): Promise<void>
}

let made = 0

/** Takes a second or two. `shown`: a folder of this machine that the user may read whatever lies above it, as `shown` in `folder`. Needs no `obstacle`. */
export async function createPodmanHome({ shown }: { readonly shown?: string } = {}): Promise<PodmanHome> {
  const folder = mkdtempSync('/var/tmp/flbed-') // on a disk, so that overlays can be native; short, for the sockets in it
  const own = (process.pid % 4_000_000) * 10 + made++
  const uid = 2_000_000_000 + own
  const sub = 600_000_000 + (own % 20_000) * 65_536
  const script = join(import.meta.dirname, 'podman-home.sh')
  const words = [script, folder, String(uid), String(sub), ...(shown === undefined ? [] : [shown])]
  const holder = spawn('unshare', ['--mount', 'sh', ...words], { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(holder, 'exit')
  const close = async (): Promise<void> => {
    holder.stdin.end()
    await ended
  }
  let registry = ''
  try {
    registry = await readiness(holder)
  } catch (error) {
    await close()
    throw error
  }
  const home = join(folder, 'home')
  const socket = join(folder, 'run/podman/podman.sock')
  const env = { HOME: home, USER: 'flbed', PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LANG: 'C.UTF-8', XDG_RUNTIME_DIR: join(folder, 'run') }
  const inside = (...argv: readonly string[]): [string, ...string[]] => [
    'nsenter',
    `--mount=/proc/${holder.pid}/ns/mnt`,
    `--wdns=${home}`,
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${uid}`,
    '--clear-groups',
    '--inh-caps=-all',
    'env',
    '-i',
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...argv,
  ]
  let service: ChildProcess | undefined
  const startService = async (): Promise<void> => {
    const [command, ...args] = inside('podman', 'system', 'service', '--time=0', `unix://${socket}`)
    service = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    for (const from = performance.now(); !(await answers(socket)); await wait(10))
      if (performance.now() - from > 20_000) throw new Error('the API of podman does not answer')
  }
  const feed = (input: string, ...argv: readonly string[]): Promise<string> => {
    const [command, ...args] = inside('sh', '-c', 'cat | "$@"', 'sh', ...argv) // Node's pipes are sockets, which /dev/stdin cannot open
    return new Promise((resolve, reject) => {
      const child = execFile(command, args, { encoding: 'utf8', timeout: 60_000, maxBuffer: 16 << 20 }, (error, stdout, stderr) =>
        error ? reject(new Error(`${argv.join(' ')}: ${stderr}`)) : resolve(stdout),
      )
      child.stdin?.on('error', () => {})
      child.stdin?.end(input)
    })
  }
  try {
    await startService()
  } catch (error) {
    await close()
    throw error
  }
  return {
    folder,
    socket,
    image: 'localhost/busybox:1',
    registry,
    inside,
    feed,
    podman: (...words) => feed('', 'podman', ...words),
    async killService() {
      if (!service) return
      const gone = once(service, 'exit')
      service.kill('SIGKILL')
      await gone
      service = undefined
    },
    startService,
    close,
  }
}

async function readiness(holder: ChildProcess): Promise<string> {
  let said = ''
  holder.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text))
  let port: string | undefined
  for await (const line of createInterface(holder.stdout!)) {
    port ??= /^registry (\d+)$/.exec(line)?.[1]
    if (line === 'ready' && port !== undefined) return `127.0.0.1:${port}`
  }
  throw new Error(`podman's home could not be made: ${said}`)
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/_ping', timeout: 2_000, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => resolve(false))
    asked.end()
  })
}

/** What /proc says of a process: undefined when there is none that lives. */
export function look(pid: number): { readonly parent: number; readonly state: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' || state === 'X' ? undefined : { parent: Number(parent), state: state! }
  } catch {
    return undefined
  }
}
