// An API double, a host and runners, each a process with a home of its own, as CI has them: started and asked from outside. Imports nothing of the program.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { ApiSaid, ApiTold } from '../kit/api-process.ts'

type Seen = ApiSaid['seen']

export interface Api {
  readonly url: string
  /** Every request that has arrived since this was asked last. */
  seen(): Promise<Seen>
  /** Tells it what to be like; answers where it listens. */
  tell(told: ApiTold): Promise<Omit<ApiSaid, 'seen'>>
}

export type Told = { readonly status: number; readonly text: string; readonly headers: NodeJS.Dict<string | string[]>; readonly ms: number }
/** `host`: whom it means, if not the API. */
export type Asking = { readonly token?: string; readonly method?: string; readonly body?: string; readonly host?: string }

/** A host, or a runner: a cache with a proxy at its socket. */
export interface Member {
  readonly pid: number
  readonly home: string
  /** What it printed: results, and what it said on the way. */
  readonly lines: readonly string[]
  readonly notes: readonly string[]
  /** As a client of this machine does. Rejects when nobody answers. */
  ask(path: string, asking?: Asking): Promise<Told>
  /** What it counted, as `share stats` asks for it. */
  stats(): Promise<Readonly<Record<string, number>>>
  end(signal: NodeJS.Signals): Promise<void>
}

export type MemberSettings = {
  readonly env?: Readonly<Record<string, string>>
  readonly flags?: readonly string[]
  /** The one that another had: with its identity, and what it kept. */
  readonly home?: string
  /** A network namespace. */
  readonly place?: string
  /** Where it finds the API, if that is not where the double listens first. */
  readonly api?: string
  /** Whether all tokens are one scope; so they are by default, as for the job tokens of CI. */
  readonly isShared?: boolean
}

export interface Runners {
  readonly api: Api
  /** In every home. */
  readonly secret: string
  host(settings?: MemberSettings): Promise<Member & { readonly address: string }>
  runner(address: string, settings?: MemberSettings): Promise<Member>
  /** A cache that is in no group. */
  alone(settings?: MemberSettings): Promise<Member>
  close(): Promise<void>
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const apiProcess = join(root, 'test/kit/api-process.ts')
const startMs = 30_000

/** `program`: argv of the program; by default what was built. `apiPlace`: the namespace of the API. */
export async function startRunners({
  program = [process.execPath, join(root, 'dist/main.js')],
  secret = 'one secret for all of them',
  apiPlace,
}: {
  readonly program?: readonly string[]
  readonly secret?: string
  readonly apiPlace?: string
} = {}): Promise<Runners> {
  const undo: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    for (const clean of undo.splice(0).reverse()) await clean()
  }
  try {
    const api = await startApi(undo, apiPlace)
    const member = async (word: 'host' | 'proxy', settings: MemberSettings): Promise<Member> => {
      const { env = {}, flags = [], home, place, api: apiUrl = api.url, isShared = true } = settings
      const own = home ?? (await folderFor(undo))
      const argv = [...inPlace(place), ...program, 'share', word, '--api', apiUrl, ...(isShared ? ['--shared-scope', 'ci'] : []), ...flags]
      return startMember(undo, argv, own, { CACHE_P2P_SHARED_SECRET: secret, IPFS_ACCELERATE_GITHUB_REPO: 'o/r', ...env })
    }
    return {
      api,
      secret,
      close,
      async host({ flags = ['--listen', '127.0.0.1', '--port', '0'], ...more } = {}) {
        const started = await member('host', { flags, ...more })
        const address = started.lines.find((line) => line.startsWith('/ip4/'))
        if (address === undefined) throw new Error(`the host printed no address: ${started.lines.join(' | ')}`)
        return { ...started, address }
      },
      runner: (address, { env = {}, ...more } = {}) => member('proxy', { env: { MCP_P2P_BOOTSTRAP_PEERS: address, ...env }, ...more }),
      alone: (settings = {}) => member('proxy', { isShared: false, ...settings }),
    }
  } catch (error) {
    await close()
    throw error
  }
}

function inPlace(place: string | undefined): readonly string[] {
  return place === undefined ? [] : ['ip', 'netns', 'exec', place]
}

/** Short: the path of a socket has at most 107 characters. */
async function folderFor(undo: (() => unknown)[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rn-'))
  undo.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function startApi(undo: (() => unknown)[], place: string | undefined): Promise<Api> {
  const [command, ...args] = [...inPlace(place), process.execPath]
  const child = fork(apiProcess, { execPath: command, execArgv: args, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  undo.push(() => ended(child, 'SIGTERM'))
  const seen: Seen = []
  const waiting: { resolve(said: ApiSaid): void; reject(error: Error): void }[] = []
  child.on('message', (said: ApiSaid) => waiting.shift()?.resolve(said)) // in the order in which it was asked
  child.once('exit', () => waiting.splice(0).forEach(({ reject }) => reject(new Error('the API double has ended'))))
  const ask = (told: ApiTold): Promise<ApiSaid> =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject })
      child.send({ told })
    })
  const { url } = await ask({})
  return {
    url,
    async seen() {
      seen.push(...(await ask({})).seen)
      return seen.splice(0)
    },
    async tell(told) {
      const said = await ask(told)
      seen.push(...said.seen)
      return said
    },
  }
}

async function startMember(
  undo: (() => unknown)[],
  [command, ...args]: readonly string[],
  home: string,
  env: Readonly<Record<string, string>>,
): Promise<Member> {
  const child = spawn(command!, args, {
    env: { PATH: process.env['PATH']!, HOME: home, FAIRLEAD_HOME: home, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  undo.push(() => ended(child, 'SIGTERM'))
  const [lines, notes]: [string[], string[]] = [[], []]
  createInterface({ input: child.stderr }).on('line', (line) => notes.push(line))
  const isReady = new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line)
      if (lines.length > 1) resolve()
    })
  })
  const hasEnded = new Promise<never>((_, reject) =>
    child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${notes.join(' | ')}`))),
  )
  hasEnded.catch(() => {})
  const late = new Promise<never>((_, reject) =>
    setTimeout(() => reject(new Error(`it is not ready: ${notes.join(' | ')}`)), startMs).unref(),
  )
  await Promise.race([isReady, hasEnded, late])
  const folder = join(home, 'run/share')
  return {
    pid: child.pid!,
    home,
    lines,
    notes,
    ask: (path, asking = {}) => askAt(join(folder, 'api.sock'), path, asking),
    async stats() {
      const { status, text } = await askAt(join(folder, 'observe.sock'), '/v1/stats', { method: 'POST', body: '{}' })
      if (status !== 200) throw new Error(text)
      return JSON.parse(text) as Record<string, number>
    },
    end: (signal) => ended(child, signal),
  }
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  await exit
}

function askAt(
  socketPath: string,
  path: string,
  { token = '', method = 'GET', body = '', host = 'api.github.com' }: Asking,
): Promise<Told> {
  const authorization: Record<string, string> = token === '' ? {} : { authorization: `token ${token}` }
  const headers = { host, ...(body === '' ? {} : { 'content-type': 'application/json' }), ...authorization }
  return new Promise((resolve, reject) => {
    const from = performance.now()
    const sent = request({ socketPath, path, method, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.once('error', reject)
      response.once('end', () => resolve({ status: response.statusCode!, text, headers: response.headers, ms: performance.now() - from }))
    })
    sent.once('error', reject).end(body)
  })
}

/** Each of these at the same time asks for all paths, one after the other, with a token of its own unless one is given; the statuses that came. */
export async function wave(members: readonly Member[], paths: readonly string[], token?: string): Promise<readonly number[]> {
  const each = members.map(async ({ ask }, at) => {
    const said = []
    for (const path of paths) said.push((await ask(path, { token: token ?? `job-${at}` })).status)
    return said
  })
  return [...new Set((await Promise.all(each)).flat())]
}

/** `/repos/o/r0` and so on: each holds for 300 s. */
export function repositories(count: number, from = 0): readonly string[] {
  return Array.from({ length: count }, (_, at) => `/repos/o/r${from + at}`)
}
