// Measures an MCP server reached through our peer tunnel beside the same server through ssh and beside plain stdio, in one run: `node bench/reach.ts --help`.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Household, childEnv, freePort, listens, until } from './kit/children.ts'
import { type Carrier, carryFile, writeRandom } from './kit/carry.ts'
import { type LineClient, openLineClient } from './kit/line-client.ts'
import { median, percentile, show, table } from './kit/numbers.ts'
import { machineState } from './kit/process.ts'
import { buildNote, launcher } from './kit/build.ts'
import { startSsh } from './kit/ssh.ts'

const usage = `node bench/reach.ts [options]: one MCP server on stdio, through a peer tunnel, through ssh, and plain
  --quick           fewer of everything
  --calls N         round trips of 1 KB a round (2000)     --rounds N   (5)
  --starts N        cold starts (10)                       --results N  results of 1 MiB a round (200)
  --file-mb N       size of the file that is sent (200)     --files N    times that it is sent (5)
  --without-ours    ssh and plain stdio alone
  --check           exit 3 when a target is missed, or could not be measured`

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    'without-ours': { type: 'boolean', default: false },
    calls: { type: 'string' },
    rounds: { type: 'string' },
    starts: { type: 'string' },
    results: { type: 'string' },
    files: { type: 'string' },
    'file-mb': { type: 'string' },
  },
})
if (values.help) {
  process.stdout.write(`${usage}\n`)
  process.exit()
}
const rounds = Number(values.rounds ?? (values.quick ? 2 : 5))
const calls = Number(values.calls ?? (values.quick ? 300 : 2000))
const starts = Number(values.starts ?? (values.quick ? 3 : 10))
const results = Number(values.results ?? (values.quick ? 20 : 200))
const files = Number(values.files ?? (values.quick ? 2 : 5))
const fileBytes = Number(values['file-mb'] ?? 200) * 1e6

/** One way to the server: the command that a client would have in its configuration. */
type Way = {
  readonly name: 'plain stdio' | 'bare Node' | 'ssh' | 'fairlead reach' | 'the same, its host running'
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** The command that brings a file there, and where it then is. */
  readonly carry?: Carrier
}

const server = [process.execPath, fileURLToPath(new URL('kit/echo-raw.mjs', import.meta.url))] as const
const household = new Household()
const carried = join(household.place('file'), 'file')
writeRandom(carried, fileBytes)

async function sshWay(): Promise<Way[]> {
  const ssh = await startSsh(household)
  const arrived = join(household.place('ssh-files'), 'file')
  return [
    { name: 'ssh', argv: [...ssh, ...server], env: {}, carry: { argv: [...ssh, `cat > ${arrived}`], env: {}, arrived, isPiped: true } },
  ]
}

/** Two Node processes that do nothing but carry bytes: what no tunnel in Node can be faster than. */
async function bareWay(): Promise<Way[]> {
  const port = await freePort()
  const bare = [process.execPath, fileURLToPath(new URL('kit/bare-tunnel.mjs', import.meta.url))]
  const started = household.start([...bare, 'serve', `${port}`, ...server])
  await until(() => listens(port), 'the bare relay did not start', { hopeless: started.over })
  return [{ name: 'bare Node', argv: [...bare, 'connect', `${port}`], env: {} }]
}

/** Identities in folders of their own, one serving to two others, without a registry; one of the two has a long-lived process that `mcp-connect` attaches to. */
async function reachWays(): Promise<Way[]> {
  const home = household.place('reach')
  const env = { HOME: home }
  const init = (name: string): string => {
    const out = execFileSync(launcher, ['reach', 'init', '--name', name, '--home', join(home, name), '--json'], {
      env: { ...childEnv, ...env },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    return (JSON.parse(out) as { peerId: string }).peerId
  }
  const [serving, calling, attaching] = [init('server'), init('client'), init('attached')]
  const [port, hostPort] = [await freePort(), await freePort()]
  const listening = (port: number): string[] => ['--host', '127.0.0.1', '--port', `${port}`]
  const started = household.start(
    [
      launcher,
      'reach',
      'mcp-serve',
      '--home',
      join(home, 'server'),
      '--authorized-peer',
      calling,
      '--authorized-peer',
      attaching,
      '--command',
      server.join(' '),
      ...listening(port),
    ],
    { env },
  )
  await until(() => listens(port), 'mcp-serve did not start', { hopeless: started.over })
  execFileSync(launcher, ['reach', 'accept-files', calling, '--home', join(home, 'server')], {
    env: { ...childEnv, ...env },
    stdio: 'ignore',
  })
  const host = household.start([launcher, 'reach', 'listen', '--home', join(home, 'attached'), ...listening(hostPort)], { env })
  await until(() => listens(hostPort), 'listen did not start', { hopeless: host.over })
  const way = (name: Way['name'], who: string): Way => {
    const client = ['--home', join(home, who), '--address', `/ip4/127.0.0.1/tcp/${port}`]
    const argv = [launcher, 'reach', 'mcp-connect', serving, ...client]
    if (who !== 'client') return { name, argv, env }
    const send = [launcher, 'reach', 'send-file', serving, carried, ...client]
    return { name, argv, env, carry: { argv: send, env, arrived: join(home, 'server', 'downloads', 'file'), isPiped: false } }
  }
  return [way('fairlead reach', 'client'), way('the same, its host running', 'attached')]
}

async function waysThatWork(): Promise<Way[]> {
  const ways: Way[] = [{ name: 'plain stdio', argv: server, env: {} }]
  for (const make of [bareWay, sshWay, ...(values['without-ours'] ? [] : [reachWays])]) {
    try {
      for (const way of await make()) {
        const client = await openLineClient(household, way.argv, way.env) // also fills the caches of a first start
        await client.close()
        ways.push(way)
      }
    } catch (error) {
      process.stdout.write(`not measured: ${(error as Error).message.slice(0, 400)}\n`)
    }
  }
  return ways
}

type Figures = {
  readonly trips: number[]
  readonly startsMs: number[]
  readonly bulkSeconds: number[]
  readonly fileSeconds: number[]
  /** Round trips while files go the same way. */
  readonly besideFile: number[]
}

/** Who begins changes from round to round, so that what drifts on the machine falls on all alike. */
async function eachInTurn(ways: readonly Way[], times: number, act: (way: Way) => Promise<void>): Promise<void> {
  for (let round = 0; round < times; round++) {
    for (const way of [...ways.slice(round % ways.length), ...ways.slice(0, round % ways.length)]) await act(way)
  }
}

async function measure(ways: readonly Way[], figures: ReadonlyMap<Way, Figures>): Promise<{ readonly bareMs: number[] }> {
  process.stderr.write(`${starts} cold starts\n`)
  const bareMs: number[] = []
  await eachInTurn(ways, starts, async (way) => {
    if (way.name === 'plain stdio') {
      const from = performance.now()
      spawnSync(process.execPath, ['-e', '0'])
      bareMs.push(performance.now() - from)
    }
    const client = await openLineClient(household, way.argv, way.env)
    figures.get(way)!.startsMs.push(client.openMs)
    await client.close()
  })

  const clients = new Map<Way, LineClient>()
  for (const way of ways) clients.set(way, await openLineClient(household, way.argv, way.env))
  const text = 'x'.repeat(900) // the request and its answer are 1 KB each
  process.stderr.write(`${rounds} rounds of ${calls} round trips\n`)
  for (const client of clients.values()) for (let call = 0; call < 200; call++) await client.call(text, 1024)
  await eachInTurn(ways, rounds, async (way) => {
    const client = clients.get(way)!
    for (let call = 0; call < calls; call++) figures.get(way)!.trips.push(await client.call(text, 1024))
  })
  process.stderr.write(`${Math.min(rounds, 3)} rounds of ${results} results of 1 MiB\n`)
  await eachInTurn(ways, Math.min(rounds, 3), async (way) => {
    const client = clients.get(way)!
    const from = performance.now()
    for (let call = 0; call < results; call++) await client.call('bulk', 1 << 20)
    figures.get(way)!.bulkSeconds.push((performance.now() - from) / 1000)
  })
  process.stderr.write(`${files} files of ${fileBytes / 1e6} MB\n`)
  await eachInTurn(ways, files, async (way) => {
    if (way.carry) figures.get(way)!.fileSeconds.push(await carryFile(way.carry, carried, fileBytes))
  })
  await eachInTurn(ways, Math.min(files, 3), async (way) => {
    if (!way.carry) return
    const carrying = { isOver: false }
    const done = carryFile(way.carry, carried, fileBytes).finally(() => {
      carrying.isOver = true
    })
    while (!carrying.isOver) figures.get(way)!.besideFile.push(await clients.get(way)!.call(text, 1024))
    await done
  })
  for (const client of clients.values()) await client.close()
  return { bareMs }
}

const state = machineState()
process.stdout.write(`${state}\n${buildNote()}`)
const ways = await waysThatWork()
const figures = new Map<Way, Figures>(
  ways.map((way) => [way, { trips: [], startsMs: [], bulkSeconds: [], fileSeconds: [], besideFile: [] }]),
)
const { bareMs } = await measure(ways, figures)

const rows = [...figures].map(([way, { trips, startsMs, bulkSeconds, fileSeconds, besideFile }]) => {
  const sorted = trips.toSorted((a, b) => a - b)
  const bulk = median(bulkSeconds)
  return {
    name: way.name,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    startMs: median(startsMs),
    bulk,
    rate: (results * (1 << 20)) / 1e6 / bulk,
    fileSeconds: median(fileSeconds),
    besideP99: percentile(
      besideFile.toSorted((a, b) => a - b),
      0.99,
    ),
  }
})
const cells = rows.map((row) => [
  row.name,
  show(row.p50),
  show(row.p99),
  show(row.startMs),
  show(row.bulk),
  show(row.rate),
  show(row.fileSeconds),
  show(row.besideP99),
])
process.stdout.write(
  `\n${table(['', '1 KB p50 ms', 'p99 ms', 'start → tools/list ms', `${results} × 1 MiB s`, 'MB/s', `file of ${fileBytes / 1e6} MB s`, 'p99 beside it ms'], cells)}\n`,
)
process.stdout.write(`bare \`node -e 0\`: ${show(median(bareMs))} ms\n`)

const row = (name: Way['name']): (typeof rows)[number] | undefined => rows.find((row) => row.name === name)
const [ssh, ours, attached] = [row('ssh'), row('fairlead reach'), row('the same, its host running')]
let missed = (ssh && ours && attached) || values['without-ours'] ? 0 : 1
if (ssh && ours && attached) {
  const verdicts = (
    [
      ['round trip of 1 KB, p50', ours.p50 / ssh.p50, 1],
      ['round trip of 1 KB, p99', ours.p99 / ssh.p99, 1],
      ['start to the first tools/list', ours.startMs / ssh.startMs, 0.7],
      ['the same, its host running', attached.startMs / ssh.startMs, 0.4],
      ['time of the 1 MiB results', ours.bulk / ssh.bulk, 1],
      ['time of the file, start to end', ours.fileSeconds / ssh.fileSeconds, 1],
    ] as const
  ).map(([name, ratio, target]) => {
    if (ratio > target) missed++
    return [`${name}, fairlead / ssh`, `${show(ratio)}×`, `≤ ${target}×`, ratio <= target ? 'met' : 'MISSED']
  })
  const beside = ours.besideP99 / ours.p99
  if (beside > 1.5) missed++
  verdicts.push(['p99 beside a file / alone, fairlead', `${show(beside)}×`, '≤ 1.5×', beside <= 1.5 ? 'met' : 'MISSED'])
  process.stdout.write(`\n${table(['ratio', 'measured', 'target', ''], verdicts)}\n`)
}
const folder = new URL('results/', import.meta.url)
mkdirSync(folder, { recursive: true })
const file = fileURLToPath(new URL(`reach-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`, folder))
const load = readFileSync('/proc/loadavg', 'utf8').trim()
writeFileSync(
  file,
  `${JSON.stringify({ state, loadAfter: load, rounds, calls, starts, results, rows, bareMs, samples: Object.fromEntries([...figures].map(([way, kept]) => [way.name, kept])) })}\n`,
)
process.stdout.write(`\nload after: ${load}; all samples: ${file}\n`)
process.exit(values.check && missed > 0 ? 3 : 0)
