// Measures how long the program takes to start beside a bare start of the same Node: `fairlead --help`, and `mcp-connect` to the first byte that the peer's server
// sends, directly and through a relay, with a host of its identity running and without: `node bench/start.ts [--rounds N] [--program FILE,…] [-- ARGS…]`.
import { execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Household, childEnv, freePort, listens, until } from './kit/children.ts'
import { median, percentile, show, table } from './kit/numbers.ts'
import { machinePath, machineState } from './kit/process.ts'
import { buildNote, launcher } from './kit/build.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '30' }, program: { type: 'string', default: launcher } },
})
const words = positionals.length > 0 ? positionals : ['--help']

type Start = {
  readonly name: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Asked this on stdin, and over with the first byte of the answer; else over when it ends. */
  readonly ask?: string
  readonly tookMs: number[]
  problem: string
}

const household = new Household()
const home = household.place('home')
const env = { ...childEnv, HOME: home }
const programs = values.program.split(',')
const start = (name: string, argv: readonly string[], more: Partial<Start> = {}): Start => ({
  name,
  argv,
  env,
  ...more,
  tookMs: [],
  problem: '',
})

/** Runs a command of reach, of the program that was named first, as the identity in this folder. */
const reach = (who: string, ...args: readonly string[]): string[] => [
  programs[0]!,
  'reach',
  args[0]!,
  '--home',
  join(home, who),
  ...args.slice(1),
]
const run = (who: string, ...args: readonly string[]): string => {
  const [file, ...rest] = reach(who, ...args)
  return execFileSync(file!, rest, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** A server that is there already answers through a peer, so that nothing is counted but the way to it. */
async function connecting(): Promise<Start[]> {
  const socket = join(home, 'server.sock')
  const server = createServer((peer) => {
    let isGreeted = false // the first line says who it is
    peer.on('data', (chunk: Buffer) => {
      if (isGreeted || chunk.includes(0x0a, chunk.indexOf(0x0a) + 1)) peer.write('{"jsonrpc":"2.0","id":1,"result":{}}\n')
      isGreeted = true
    })
    peer.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  const [registryPort, peerPort, hostPort] = [await freePort(), await freePort(), await freePort()]
  const begin = async (port: number, argv: readonly string[]): Promise<void> => {
    const started = household.start(argv, { env })
    await until(() => listens(port), `${argv[2]} did not start`, { hopeless: started.over })
  }
  const on = (port: number): string[] => ['--host', '127.0.0.1', '--port', `${port}`]
  await begin(registryPort, [programs[0]!, 'reach', 'registry', ...on(registryPort)])
  const at = ['--server', `127.0.0.1:${registryPort}`]
  const idOf = (name: string): string => (JSON.parse(run(name, 'init', '--name', name, '--json')) as { peerId: string }).peerId
  const [serving, alone, attached] = [idOf('server'), idOf('alone'), idOf('attached')]
  for (const who of ['alone', 'attached']) run(who, 'register', ...at)
  const authorized = ['--authorized-peer', alone, '--authorized-peer', attached]
  await begin(peerPort, reach('server', 'mcp-serve', ...authorized, '--to', `unix:${socket}`, ...at, ...on(peerPort)))
  await begin(hostPort, reach('attached', 'listen', ...at, ...on(hostPort)))
  await until(() => (/server.*relayed/.test(run('alone', 'peers')) ? true : undefined), 'the server has no place at the relay')
  const ask = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n'
  return programs.flatMap((program, n) => {
    const which = n === 0 ? '' : ` (${program})`
    const connect = (who: string, ...flags: readonly string[]): string[] => [
      program,
      ...reach(who, 'mcp-connect', serving, '--no-lan', ...flags).slice(1),
    ]
    const direct = ['--address', `/ip4/127.0.0.1/tcp/${peerPort}`]
    return [
      start(`mcp-connect, direct${which}`, connect('alone', ...direct), { ask }),
      start(`mcp-connect, through a relay${which}`, connect('alone', '--relay', ...at), { ask }),
      start(`mcp-connect, direct, its host running${which}`, connect('attached', ...direct), { ask }),
      start(`mcp-connect, relay, its host running${which}`, connect('attached', '--relay', ...at), { ask }),
    ]
  })
}

async function once(start: Start): Promise<number> {
  const { argv, env, ask } = start
  const from = performance.now()
  const passed = (): number => performance.now() - from
  // Through env(1), all alike, so that the PATH of the start decides which Node is found.
  const child = spawn('/usr/bin/env', argv, { env })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  let firstMs: number | undefined
  child.stdout.on('data', () => {
    firstMs ??= passed()
    child.stdin.end()
  })
  child.stdin.on('error', () => {})
  if (ask === undefined) child.stdin.end()
  else child.stdin.write(ask)
  const exitCode = await new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)))
  const tookMs = ask === undefined ? passed() : firstMs
  if (exitCode !== 0 || tookMs === undefined) start.problem = `exit ${exitCode}: ${said.trim().slice(0, 300)}`
  return tookMs ?? NaN
}

process.stdout.write(`${machineState()}\n${buildNote()}\n`)
const bare = start(`node -e 0 (${process.version})`, [process.execPath, '-e', '0'])
const starts = [
  bare,
  start("the machine's own node -e 0", ['node', '-e', '0'], { env: { ...env, PATH: machinePath } }),
  ...programs.map((program) => start(`${program === launcher ? 'fairlead' : program} ${words.join(' ')}`, [program, ...words])),
  ...(await connecting()),
]
for (const start of starts) for (let warm = 0; warm < 3; warm++) await once(start)
for (let round = 0; round < Number(values.rounds); round++) for (const start of starts) start.tookMs.push(await once(start))

const rows = starts.map(({ name, tookMs, problem }) => {
  if (problem) return [name, problem]
  const sorted = tookMs.toSorted((a, b) => a - b)
  return [name, show(median(tookMs)), show(sorted[0]!), show(percentile(sorted, 0.9)), `${show(median(tookMs) / median(bare.tookMs))}×`]
})
process.stdout.write(`${table(['warm start', 'median ms', 'least', 'p90', 'beside node -e 0'], rows)}\n`)
process.stdout.write(`load after: ${readFileSync('/proc/loadavg', 'utf8')}`)
process.exit()
