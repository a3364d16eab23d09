// Measures the machine tools beside bare Node: start to first answer, what a tool costs above its plain function, the way to the helper and back, idle memory, metrics:
// `node bench/operate.ts [--rounds N] [--only start,memory,tool,helper,metrics] [--check]`.
import { spawn } from 'node:child_process'
import { copyFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { systemClock } from '../src/kernel/clock.ts'
import { silentLog } from '../src/kernel/log.ts'
import { plainCall } from '../src/operate/helper/memory-link.fixture.ts'
import { socketLink } from '../src/operate/helper/socket-link.ts'
import { machineNeeds } from '../src/operate/needs.fixture.ts'
import readPin from '../src/operate/tools/gpio-read-pin.ts'
import basicInfo from '../src/operate/tools/system-get-basic-info.ts'
import { buildNote, launcher } from './kit/build.ts'
import { Household, type Started, childEnv, freePort, listens, pause, until } from './kit/children.ts'
import { Connection } from './kit/http1.ts'
import { cpuPercent, monthInBuckets } from './kit/machine-metrics.ts'
import { median, percentile, show, table } from './kit/numbers.ts'
import { machineState, memory } from './kit/process.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '20' }, only: { type: 'string' }, check: { type: 'boolean', default: false } },
})
const isWanted = (part: string): boolean => values.only === undefined || values.only.split(',').includes(part)
const rounds = Number(values.rounds)
const household = new Household()
const home = household.place('home')
const env = { ...childEnv, FAIRLEAD_HOME: home }
const inFlight = 16
const missed: string[] = []
const rows: string[][] = []

/** One line of the table; `aim` is the most that `value` may be. */
function row(what: string, ours: number, bare: number, unit: string, value: number, aim: number, aimUnit = '×'): void {
  rows.push([what, `${show(ours)} ${unit}`, `${show(bare)} ${unit}`, `${show(value)}${aimUnit}`, `${aim}${aimUnit}`])
  if (!(value <= aim)) missed.push(what)
}

// Start to first answer

async function started(argv: readonly string[], asks: readonly string[]): Promise<number> {
  const from = performance.now()
  const child = spawn(argv[0]!, argv.slice(1), { env, stdio: ['pipe', 'pipe', 'ignore'] })
  child.stdin.on('error', () => {})
  for (const ask of asks) child.stdin.write(`${ask}\n`)
  let tookMs = Number.NaN
  let answers = 0
  createInterface({ input: child.stdout }).on('line', () => {
    if (++answers < asks.filter((ask) => ask.includes('"id"')).length) return
    tookMs = performance.now() - from
    child.stdin.end()
  })
  if (asks.length === 0) child.stdin.end()
  await new Promise((resolve) => child.on('close', resolve))
  return asks.length === 0 ? performance.now() - from : tookMs
}

const initialize =
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}'
const toolCall = (id: number): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"system_get_basic_info","arguments":{}}}`

async function measureStart(): Promise<void> {
  const server = [launcher, 'operate', 'server', '--stdio']
  const ways = {
    bare: () => started([process.execPath, '-e', '0'], []),
    first: () => started(server, [initialize]),
    tool: () => started(server, [initialize, '{"jsonrpc":"2.0","method":"notifications/initialized"}', toolCall(2)]),
  }
  const took: Record<keyof typeof ways, number[]> = { bare: [], first: [], tool: [] }
  for (const way of Object.values(ways)) await way()
  for (let round = 0; round < rounds; round++) {
    for (const [name, way] of Object.entries(ways)) took[name as keyof typeof ways].push(await way())
  }
  const bare = median(took.bare)
  row('start to first answer (stdio)', median(took.first), bare, 'ms', median(took.first) / bare, 8)
  rows.push([
    'and to the answer of its first tool',
    `${show(median(took.tool))} ms`,
    `${show(bare)} ms`,
    `${show(median(took.tool) / bare)}×`,
  ])
}

// What runs all the time

const helperFolder = household.place('helper')
const socket = join(helperFolder, 'run/ops-agent.sock')

async function startHelper(program: readonly string[] = [launcher]): Promise<Started> {
  const file = join(helperFolder, 'config.yml')
  const helper = `  socket: ${socket}\n  ledger: ${join(helperFolder, 'ledger')}\n  server_max_role: operator\n  allow:\n    pins: ["gpiochip0:17"]\n`
  writeFileSync(file, `helper:\n${helper}hardware:\n  backend: simulated\n`, { mode: 0o600 })
  const started = household.start([...program, 'operate', 'agent', '--config', file], { env })
  await until(() => isOpen(socket), 'the helper did not start', { hopeless: started.over })
  return started
}

function isOpen(path: string): Promise<true | undefined> {
  return new Promise((resolve) => {
    const peer = connect(path)
    peer.on('connect', () => {
      peer.destroy()
      resolve(true)
    })
    peer.on('error', () => resolve(undefined))
  })
}

async function startServer(program: readonly string[] = [launcher], more = ''): Promise<Started & { readonly port: number }> {
  const port = await freePort()
  const file = join(helperFolder, 'server.yml')
  writeFileSync(file, `server:\n  port: ${port}\nhelper:\n  socket: ${socket}\n${more}`, { mode: 0o600 })
  const started = household.start([...program, 'operate', 'server', '--config', file], { env })
  await until(() => listens(port), 'the server did not start', { hopeless: started.over })
  return { ...started, port }
}

const settleMs = 3_000

/** By a copy of Node that nobody else runs: what is shared with others would be counted by halves. */
async function measureMemory(): Promise<void> {
  const node = join(household.place('node'), 'node')
  copyFileSync(process.execPath, node)
  const bare = household.start([node, '-e', 'setInterval(() => {}, 1e6)'])
  await pause(settleMs)
  const ofBare = memory(bare.pid).treePssMb
  await bare.stop()
  const program = [node, fileURLToPath(new URL('../dist/main.js', import.meta.url))]
  const both = [await startHelper(program), await startServer(program)]
  await pause(settleMs)
  const [ofHelper, ofServer] = both.map(({ pid }) => memory(pid).treePssMb) as [number, number]
  for (const one of both) await one.stop()
  rows.push(['of which the server', `${show(ofServer)} MB`], ['of which the helper', `${show(ofHelper)} MB`])
  row('idle memory of server and helper (PSS)', ofServer + ofHelper, ofBare, 'MB', (ofServer + ofHelper) / ofBare, 3)
}

// A tool above its plain function

async function timed(count: number, act: () => Promise<unknown>): Promise<number> {
  const took: number[] = []
  for (let n = 0; n < count; n++) {
    const from = performance.now()
    await act()
    if (n >= count / 4) took.push(performance.now() - from)
  }
  return percentile(
    took.toSorted((a, b) => a - b),
    0.5,
  )
}

async function measureTool(port: number): Promise<void> {
  const needs = machineNeeds()
  const url = `http://127.0.0.1:${port}/mcp`
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 'system_get_basic_info',
  }
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'system_get_basic_info', arguments: {}, _meta: meta },
  })
  const connection = new Connection(new URL(url))
  const lines = Object.entries({ host: `127.0.0.1:${port}`, ...headers, 'content-length': Buffer.byteLength(body) })
  const request = `POST /mcp HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
  const post = (): Promise<void> =>
    new Promise((resolve, reject) => {
      let text = ''
      connection.send(request, {
        onBody: (chunk) => void (text += chunk.toString('utf8')),
        onEnd: ({ status }) =>
          status === 200 && text.includes('"hostname"') ? resolve() : reject(new Error(`${status}: ${text.slice(0, 500)}`)),
        onFail: reject,
      })
    })
  const plain = await timed(800, () => basicInfo.handle(needs, {}, plainCall()))
  const called = await timed(800, post)
  row('a read tool above its plain function, p50', called, plain, 'ms', called - plain, 2, ' ms')
}

// To the helper and back

/** Milliseconds a call, with 16 always on their way. */
async function throughput(total: number, call: () => Promise<unknown>): Promise<number> {
  let left = total
  const from = performance.now()
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (left-- > 0) await call()
    }),
  )
  return (performance.now() - from) / total
}

async function echoClient(path: string): Promise<() => Promise<unknown>> {
  const peer = connect(path)
  await new Promise((resolve) => peer.once('connect', resolve))
  const waiting: ((line: string) => void)[] = []
  createInterface({ input: peer }).on('line', (line) => waiting.shift()!(line))
  const line = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'gpio_read_pin',
    params: { arguments: { chip: 'gpiochip0', pin: 17 }, principal: { name: 'bench', via: 'token' }, request: '1', source: 'bench' },
  })
  return () =>
    new Promise((resolve) => {
      waiting.push((text) => resolve(JSON.parse(text)))
      peer.write(`${line}\n`)
    })
}

async function measureHelper(): Promise<void> {
  const path = join(household.folder, 'echo.sock')
  const { over } = household.start([process.execPath, fileURLToPath(new URL('kit/echo-unix.mjs', import.meta.url)), path])
  await until(() => isOpen(path), 'the echo did not start', { hopeless: over })
  const echo = await echoClient(path)
  await using link = socketLink({ clock: systemClock, log: silentLog }, socket)
  const read = (): Promise<unknown> => link.ask(readPin, { chip: 'gpiochip0', pin: 17 }, plainCall())
  const ways = { echo, read }
  const took: Record<keyof typeof ways, number[]> = { echo: [], read: [] }
  for (const way of Object.values(ways)) await throughput(30_000, way) // the helper runs for months
  for (let round = 0; round < Math.max(3, rounds / 4); round++) {
    for (const [name, way] of Object.entries(ways)) took[name as keyof typeof ways].push(await throughput(3_000, way))
  }
  row('helper round trip, 16 in flight', median(took.read), median(took.echo), 'ms', median(took.read) / median(took.echo), 3)
}

// Metrics

/** At the shortest interval, where there is enough to count in a minute; the default is six times as long. */
const sampledMs = 60_000

async function measureMetrics(): Promise<void> {
  const cpu: number[] = []
  for (const sampling of ['false', 'true\n  sampling_interval_seconds: 5']) {
    const server = await startServer([launcher], `metrics:\n  sampling: ${sampling}\n`)
    await pause(settleMs)
    cpu.push(await cpuPercent(server.pid, sampledMs))
    await server.stop()
  }
  const [without, sampled] = cpu as [number, number]
  row('CPU while sampling every 5 s, beside none', sampled, without, '%', sampled, 0.5, ' %')
  const { ours, shell, rows: asked } = monthInBuckets(household.place('month'), Math.max(3, rounds / 4))
  row(`${asked.toLocaleString('en')} samples in buckets of an hour, beside sqlite3`, ours, shell, 'ms', ours / shell, 0.05)
}

process.stdout.write(`${machineState()}\n${buildNote()}\n`)
if (isWanted('start')) await measureStart()
if (isWanted('memory')) await measureMemory()
const helper = await startHelper()
if (isWanted('tool')) {
  const server = await startServer()
  await measureTool(server.port)
  await server.stop()
}
if (isWanted('helper')) await measureHelper()
if (isWanted('metrics')) await measureMetrics()
await helper.stop()
process.stdout.write(`${table(['', 'fairlead', 'bare', 'ratio', 'aim'], rows)}\n`)
if (missed.length > 0) process.stdout.write(`missed: ${missed.join('; ')}\n`)
process.exit(values.check && missed.length > 0 ? 3 : 0)
