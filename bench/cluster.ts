// What a cluster costs a gate, and what a second gate gives: one gate alone, one that names a cluster, two that do. `node bench/cluster.ts [--rounds N] [--calls N]`
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { buildNote, launcher } from './kit/build.ts'
import { Household, type Started, freePort, listens, until } from './kit/children.ts'
import type { LoadResult } from './kit/loop.ts'
import { medianOf, show, table } from './kit/numbers.ts'
import { machineState, treeCpuMs } from './kit/process.ts'
import { echoStdio } from './kit/rivals.ts'

const load = fileURLToPath(new URL('kit/load.ts', import.meta.url))
const clients = 16

type Sample = { readonly callsPerSecond: number; readonly cpuMsPerCall: number; readonly natsCpuMsPerCall: number }
type Setup = { readonly name: string; readonly gates: number; readonly isClustered: boolean }

const setups: readonly Setup[] = [
  { name: 'one gate, alone', gates: 1, isClustered: false },
  { name: 'one gate, in a cluster', gates: 1, isClustered: true },
  { name: 'two gates, in a cluster', gates: 2, isClustered: true },
]

/** Debian's nats-server, three as one cluster on loopback. */
async function startNats(household: Household): Promise<{ readonly urls: readonly string[]; readonly servers: readonly Started[] }> {
  const ports = await Promise.all(Array.from({ length: 6 }, freePort))
  const [own, routes] = [ports.slice(0, 3), ports.slice(3)]
  const servers = own.map((port, at) => {
    const folder = household.place('nats')
    const config = join(folder, 'nats.conf')
    const all = routes.map((route) => `"nats://127.0.0.1:${route}"`).join(', ')
    writeFileSync(
      config,
      `server_name: n${at}\nlisten: 127.0.0.1:${port}\njetstream { store_dir: "${folder}/store" }\ncluster { name: bench, listen: 127.0.0.1:${routes[at]}, routes: [${all}] }\n`,
    )
    return household.start(['nats-server', '-c', config])
  })
  for (const port of own) await until(() => listens(port), 'nats-server')
  return { urls: own.map((port) => `nats://127.0.0.1:${port}`), servers }
}

type Gate = { readonly started: Started; readonly flags: readonly string[] }

async function startGate(household: Household, nats: readonly string[] | undefined): Promise<Gate> {
  const [port, home, token] = [await freePort(), household.place('gate'), randomBytes(24).toString('base64url')]
  const config = join(home, 'fairlead.toml')
  const text = `[gate]
listen = "127.0.0.1:${port}"
state = "${home}/state"
runtime = "${home}/run"
[gate.upstreams.echo]
command = ${JSON.stringify([process.execPath, echoStdio])}
isolation = "principal"
[gate.principals.bench]
token_sha256 = "${createHash('sha256').update(token).digest('hex')}"
[[gate.rules]]
principals = ["bench"]
upstreams = ["echo"]
tools = ["*"]
[[gate.limits]]
calls_per_minute = 10000000
concurrent = 64
${nats ? `[cluster]\nnats = ${JSON.stringify(nats)}\n` : ''}`
  writeFileSync(config, text, { mode: 0o600 })
  const started = household.start([launcher, 'gate', 'serve', '--config', config], { env: { HOME: home }, cwd: home })
  const isLive = async (): Promise<true | undefined> => {
    const answer = await fetch(`http://127.0.0.1:${port}/livez`).catch(() => undefined)
    await answer?.body?.cancel()
    return answer?.ok ? true : undefined
  }
  await until(isLive, 'a gate', { hopeless: started.over })
  return { started, flags: ['--url', `http://127.0.0.1:${port}/mcp/echo`, `--token=${token}`] }
}

/** All at once: each gate has its part of the clients. */
async function measure(household: Household, { gates: count, isClustered }: Setup, calls: number): Promise<Sample> {
  const nats = isClustered ? await startNats(household) : undefined
  const gates: Gate[] = []
  for (let at = 0; at < count; at++) gates.push(await startGate(household, nats?.urls))
  const loads = gates.map(({ flags }) => {
    const plan = [
      '--era',
      'legacy',
      '--clients',
      `${clients / count}`,
      '--calls',
      `${calls}`,
      '--warmup',
      '300',
      '--size',
      '1024',
      '--limit',
      '120',
    ]
    const talking = household.talk([process.execPath, load, ...flags, ...plan])
    const lines = talking.lines()[Symbol.asyncIterator]()
    return { talking, next: async () => JSON.parse((await lines.next()).value as string) as LoadResult }
  })
  try {
    await Promise.all(loads.map(({ next }) => next()))
    const spent = (all: readonly Started[]): number => all.reduce((sum, { pid }) => sum + treeCpuMs(pid), 0)
    const own = gates.map(({ started }) => started)
    const before = [spent(own), spent(nats?.servers ?? [])] as const
    const fromMs = performance.now()
    for (const { talking } of loads) talking.say('go')
    const results = await Promise.all(loads.map(({ next }) => next()))
    const seconds = (performance.now() - fromMs) / 1_000
    const made = results.reduce((sum, result) => sum + result.calls, 0)
    return {
      callsPerSecond: made / seconds,
      cpuMsPerCall: (spent(own) - before[0]) / made,
      natsCpuMsPerCall: (spent(nats?.servers ?? []) - before[1]) / made,
    }
  } finally {
    for (const { talking } of loads) {
      talking.say('end')
      await talking.stop()
    }
    for (const { started } of gates) await started.stop()
    for (const server of nats?.servers ?? []) await server.stop()
  }
}

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' }, calls: { type: 'string', default: '1500' } } })
const household = new Household()
process.stderr.write(`${machineState()}\n${buildNote()}\n`)
const samples = new Map<string, Sample[]>(setups.map(({ name }) => [name, []]))
for (let round = 0; round < Number(values.rounds); round++)
  for (const setup of setups) samples.get(setup.name)!.push(await measure(household, setup, Number(values.calls)))
const rows = [...samples].map(([name, all]) => [
  name,
  ...(['callsPerSecond', 'cpuMsPerCall', 'natsCpuMsPerCall'] as const).map((key) => show(medianOf(all, (sample) => sample[key]))),
])
console.log(table(['', 'calls/s', 'CPU ms a call', 'CPU ms a call, NATS'], rows))
const results = new URL('results/', import.meta.url)
mkdirSync(results, { recursive: true })
writeFileSync(
  new URL(`cluster-${Date.now()}.json`, results),
  JSON.stringify({ machine: machineState(), samples: [...samples] }, undefined, 2),
)
household.close()
