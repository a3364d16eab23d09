// Measures what runners with our cache cost at an API, by the API's own count, beside nginx's proxy_cache and beside a cache in each process; and how fast hits are: `node bench/share.ts --help`.
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { type Member, type MemberSettings, type Runners, repositories, startRunners, wave } from '../test/bed/runners.ts'
import { buildNote, launcher } from './kit/build.ts'
import { Household, childEnv, pause } from './kit/children.ts'
import { Connection } from './kit/http1.ts'
import { startNginx } from './kit/nginx.ts'
import { median, percentile, show, table } from './kit/numbers.ts'
import { machineState } from './kit/process.ts'

const usage = `node bench/share.ts [options]: requests that reach an API with 20 ms of latency, and the time of a hit
  --runs N     cold starts of five runners, in a row (10)
  --only WORDS of counts, hits (both)
  --quick      fewer of everything
  --check      exit 3 when a target is missed, or could not be measured`

const { values } = parseArgs({
  options: {
    runs: { type: 'string' },
    only: { type: 'string', default: 'counts,hits' },
    quick: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(`${usage}\n`)
  process.exit()
}
const runs = Number(values.runs ?? (values.quick ? 2 : 10))
const seconds = values.quick ? 2 : 5
const hundred = repositories(100)
const household = new Household()
const kit = (name: string): string => fileURLToPath(new URL(`kit/${name}`, import.meta.url))
const samples: Record<string, readonly number[]> = {}
let missed = 0

const many = <Value>(count: number, make: (at: number) => Promise<Value>): Promise<Value[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => make(at)))

type Group = { readonly bed: Runners; readonly host: Member & { readonly address: string }; readonly runners: readonly Member[] }

/** All new: processes, homes, API. */
async function inGroup(count: number, act: (group: Group) => Promise<void>, settings: MemberSettings = {}): Promise<void> {
  const bed = await startRunners({ program: [launcher] })
  try {
    const host = await bed.host()
    const runners = await many(count, () => bed.runner(host.address, settings))
    await bed.api.tell({ delayMs: 20 })
    await act({ bed, host, runners })
  } finally {
    await bed.close()
  }
}

/** Asks as `wave` does; how many requests it took, of which each must have been answered 200. */
async function requests({ api }: Runners, members: readonly Member[], paths: readonly string[], token?: string): Promise<number> {
  const said = await wave(members, paths, token)
  if (said.join() !== '200') throw new Error(`answers with status ${said.join()}`)
  return (await api.seen()).length
}

const counted: string[][] = []
/** One line of the table; `most` requests may have been made each time. */
function count(what: string, times: readonly number[], least: number, most = least): void {
  const isMet = times.length > 0 && times.every((made) => made >= least && made <= most)
  if (!isMet) missed++
  samples[what] = times
  const seen = [...new Set(times)].join(', ')
  counted.push([what, seen, least === most ? `${most}` : `${least}–${most}`, isMet ? 'met' : 'MISSED'])
}

async function coldStarts(): Promise<void> {
  const [first, second, late, own]: number[][] = [[], [], [], []]
  for (let run = 0; run < runs; run++) {
    await inGroup(5, async ({ bed, host, runners }) => {
      first!.push(await requests(bed, runners, hundred))
      second!.push(await requests(bed, runners, hundred))
      const sixth = await bed.runner(host.address)
      late!.push(await requests(bed, [sixth], hundred))
      const all = await Promise.all([host, ...runners, sixth].map(({ stats }) => stats()))
      own!.push(all.reduce((sum, stats) => sum + stats['api_calls_made']!, 0))
    })
    process.stderr.write(`${run + 1} of ${runs} cold starts\n`)
  }
  count(`5 cold runners × 100, ${runs} times, a job token each`, first!, 100)
  count('the same again', second!, 0)
  count('a sixth, late', late!, 0)
  count('as all of them counted together', own!, 100)
}

async function otherCounts(): Promise<void> {
  await inGroup(5, async ({ bed, runners }) =>
    count('5 cold runners × 100, one token', [await requests(bed, runners, hundred, 'one')], 100),
  )
  for (const size of values.quick ? [2, 10] : [2, 10, 20])
    await inGroup(size, async ({ bed, runners }) => count(`${size} cold runners × 100`, [await requests(bed, runners, hundred)], 100))
  await inGroup(1, async ({ bed, host, runners }) => {
    await requests(bed, runners, hundred)
    const stranger = await bed.runner(host.address, { env: { CACHE_P2P_SHARED_SECRET: 'another' } })
    count('a runner with another secret, which gets nothing', [await requests(bed, [stranger], hundred)], 100)
    if (!stranger.notes.join('\n').includes('another secret')) throw new Error('it was not told')
  })
  await inGroup(
    5,
    async ({ bed, runners }) => {
      const paths = hundred.map((path) => `${path}/teams`)
      await requests(bed, runners, paths, 'one')
      await pause(3_000)
      await wave(runners, paths, 'one')
      const seen = await bed.api.seen()
      count('after its time, with the ETag: 304', [seen.filter(({ status }) => status === 304).length], 100)
      count('after its time: a whole answer', [seen.filter(({ status }) => status !== 304).length], 0)
    },
    { env: { CACHE_DEFAULT_TTL: '3' } },
  )
}

async function killedHosts(): Promise<void> {
  const made: number[] = []
  for (let run = 0; run < (values.quick ? 1 : 5); run++)
    await inGroup(
      5,
      async ({ bed, host, runners }) => {
        const asking = wave(runners, hundred)
        let before = 0
        while (before < 50) before += (await bed.api.seen()).length
        await host.end('SIGKILL')
        const said = await asking
        if (said.join() !== '200') throw new Error(`a call failed when the host was killed: ${said.join()}`)
        made.push(before + (await bed.api.seen()).length)
      },
      { flags: ['--p2p-port', '0'] },
    )
  count('host killed midway, runners that listen: all answered', made, 100, 105)
}

/** Programs of their own that ask by themselves: what they need, and how long it took the slowest. */
async function byPrograms(
  api: Runners['api'],
  url: string,
  tokens: 'one' | 'each',
  cached: 'cached' | 'bare',
): Promise<{ made: number; ms: number }> {
  const programs = await many(5, async (at) => {
    const program = household.talk([
      process.execPath,
      kit('api-calls.mjs'),
      url,
      tokens === 'one' ? 'one' : `job-${at}`,
      '100',
      '1',
      cached,
    ])
    const lines = program.lines()[Symbol.asyncIterator]()
    await lines.next() // it is ready
    return { program, lines }
  })
  await api.seen()
  for (const { program } of programs) program.say('go')
  const took = await Promise.all(programs.map(async ({ lines }) => Number((await lines.next()).value)))
  return { made: (await api.seen()).length, ms: Math.max(...took) }
}

async function rivalCounts(): Promise<string[][]> {
  const bed = await startRunners({ program: [launcher] })
  try {
    await bed.api.tell({ delayMs: 20 })
    const rows: string[][] = []
    const row = (what: string, { made, ms }: { made: number; ms: number }): void => void rows.push([what, show(made), show(ms)])
    row('nothing', await byPrograms(bed.api, bed.api.url, 'each', 'bare'))
    row('a cache in each process', await byPrograms(bed.api, bed.api.url, 'each', 'cached'))
    for (const tokens of ['one', 'each'] as const) {
      const nginx = await startNginx(household, bed.api.url)
      row(
        `nginx on one machine, ${tokens === 'one' ? 'one token' : 'a job token each'}`,
        await byPrograms(bed.api, nginx.url, tokens, 'bare'),
      )
      await nginx.stop()
    }
    const host = await bed.host()
    const runners = await many(5, () => bed.runner(host.address))
    await bed.api.seen()
    const from = performance.now()
    const made = await requests(bed, runners, hundred)
    row('fairlead share, five machines, a job token each', { made, ms: performance.now() - from })
    return rows
  } finally {
    await bed.close()
  }
}

const ratios: string[][] = []
function ratio(what: string, ours: number, theirs: number, aim: string, isMet: (ratio: number) => boolean): void {
  const measured = ours / theirs
  const verdict = Number.isFinite(measured) && isMet(measured) ? 'met' : 'MISSED'
  if (verdict === 'MISSED') missed++
  ratios.push([what, show(ours), show(theirs), `${show(measured)}×`, aim, verdict])
}

const headOf = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token one\r\n\r\n`

/** Each path once, one after the other, on a connection that stays; the times in ms. */
async function oneByOne(url: string, paths: readonly string[]): Promise<number[]> {
  const connection = new Connection(new URL(url))
  const took: number[] = []
  for (const path of paths) {
    const from = performance.now()
    await new Promise<void>((resolve, reject) => {
      connection.send(headOf(path), {
        onEnd: ({ status }) => (status === 200 ? resolve() : reject(new Error(`${status} for ${path}`))),
        onFail: reject,
      })
    })
    took.push(performance.now() - from)
  }
  connection.close()
  return took
}

/** Of hits on a hundred paths, by 16 connections of wrk (a program in C, which no server here can outrun). */
function hitsPerSecond(url: string): number {
  const script = join(household.folder, 'hundred.lua')
  writeFileSync(
    script,
    `local n = 0
request = function() n = (n + 1) % 100; return wrk.format("GET", "/repos/o/r" .. n, { Authorization = "token one" }) end
done = function(summary) io.write(string.format("%d %d\\n", summary.requests * 1e6 / summary.duration, summary.errors.status + summary.errors.read)) end\n`,
  )
  const told = execFileSync('wrk', ['-t1', '-c16', `-d${seconds}s`, '-s', script, url], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [rate, errors] = told.trim().split('\n').at(-1)!.split(' ').map(Number)
  if (errors !== 0) throw new Error(`${errors} requests failed at ${url}`)
  return rate!
}

const urlOf = ({ lines }: Member): string => lines.find((line) => /^ *http:/.test(line))!.trim()
const port = ['--port', '0']

/** By a program that opens the cache of that home, or attaches to who has it open. */
async function libraryGets(home: string, count: number): Promise<number[]> {
  const argv = [kit('library-gets.mjs'), fileURLToPath(new URL('../dist/share.js', import.meta.url)), String(count)]
  const env = { ...childEnv, HOME: home, FAIRLEAD_HOME: home }
  return JSON.parse((await promisify(execFile)(process.execPath, argv, { env })).stdout) as number[]
}

async function peerHits(): Promise<void> {
  const paths = repositories(values.quick ? 300 : 2_000)
  const bed = await startRunners({ program: [launcher] })
  try {
    const host = await bed.host()
    const first = await bed.runner(host.address)
    await requests(bed, [first], paths)
    const late = await bed.runner(host.address, { flags: port })
    const took = await oneByOne(urlOf(late), paths)
    const [asked, { peer_hits: hits }] = [(await bed.api.seen()).length, await late.stats()]
    if (asked > 0 || hits !== paths.length) throw new Error(`${asked} requests and ${hits} peer hits`)
    const again = await oneByOne(urlOf(late), paths)
    const server = household.talk([process.execPath, kit('bare-libp2p.mjs'), 'serve', '1024'])
    const address = (await server.lines()[Symbol.asyncIterator]().next()).value as string
    const bare = JSON.parse(execFileSync(process.execPath, [kit('bare-libp2p.mjs'), 'ask', address, `${paths.length}`, '1024'], { encoding: 'utf8' })) as number[] // prettier-ignore
    await server.stop()
    Object.assign(samples, { 'peer hit, ms': took, 'local hit at the proxy, ms': again, 'bare libp2p, ms': bare })
    ratio('hit from a peer beside a bare libp2p round trip, p50 ms', median(took), median(bare), '≤ 5×', (measured) => measured <= 5)
    ratio('the same, p99 ms', p99(took), p99(bare), '', () => true)
    const own = await libraryGets(household.place('own'), paths.length)
    const attached = await libraryGets(late.home, paths.length)
    Object.assign(samples, { 'get in the library, ms': own, 'the same, attached, ms': attached })
    ratio('local hit in the library beside that, p50 ms', median(own), median(bare), '≤ 0.1×', (measured) => measured <= 0.1)
    ratio('the same, of a process that attached to the proxy', median(attached), median(bare), '', () => true)
    ratio('hit at the own proxy beside a bare libp2p round trip, p50 ms', median(again), median(bare), '', () => true)
  } finally {
    await bed.close()
  }
}

const p99 = (took: readonly number[]): number =>
  percentile(
    took.toSorted((a, b) => a - b),
    0.99,
  )

async function proxyHits(): Promise<void> {
  const wrk = (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, 'wrk')))
  if (!wrk) {
    missed++
    return void process.stdout.write('hits per second are not measured: apt-get install wrk\n')
  }
  for (const padBytes of [0, 20_000]) {
    const bed = await startRunners({ program: [launcher] })
    try {
      await bed.api.tell({ padBytes })
      const nginx = await startNginx(household, bed.api.url)
      const alone = await bed.alone({ flags: port })
      const urls = [urlOf(alone), nginx.url]
      for (const url of urls) await oneByOne(url, hundred)
      await bed.api.seen()
      const rates: [number[], number[]] = [[], []]
      for (let round = 0; round < (values.quick ? 2 : 5); round++)
        for (const at of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) rates[at].push(hitsPerSecond(urls[at]!))
      if ((await bed.api.seen()).length > 0) throw new Error('the hits were none')
      const what = `hits/s of ${padBytes === 0 ? 'small answers' : '20 KB'} at the proxy beside nginx, one process each`
      samples[what] = rates.flat()
      ratio(what, median(rates[0]), median(rates[1]), '≥ 0.3×', (measured) => measured >= 0.3)
      await nginx.stop()
    } finally {
      await bed.close()
    }
  }
}

const state = machineState()
process.stdout.write(`${state}\n${buildNote()}`)
const only = values.only.split(',')
if (only.includes('counts')) {
  await coldStarts()
  await otherCounts()
  await killedHosts()
  process.stdout.write(`\n${table(['requests at the API', 'counted there', 'aim', ''], counted)}\n`)
  process.stdout.write(`\n${table(['5 × the same 100, cold, 20 ms each', 'requests', 'slowest, ms'], await rivalCounts())}\n`)
}
if (only.includes('hits')) {
  await peerHits()
  await proxyHits()
  process.stdout.write(`\n${table(['time', 'ours', 'beside', 'ratio', 'aim', ''], ratios)}\n`)
}
const folder = new URL('results/', import.meta.url)
mkdirSync(folder, { recursive: true })
const file = fileURLToPath(new URL(`share-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`, folder))
const load = readFileSync('/proc/loadavg', 'utf8').trim()
writeFileSync(file, `${JSON.stringify({ state, loadAfter: load, counted, ratios, samples })}\n`)
process.stdout.write(`\nload after: ${load}; all samples: ${file}\n`)
process.exit(values.check && missed > 0 ? 3 : 0)
