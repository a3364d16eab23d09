// Measures run beside podman's own command line, on real rootless podman, and what it costs by itself: `node bench/run.ts [--rounds N] [--without-podman]`.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { systemClock } from '../src/kernel/clock.ts'
import { memoryRuntime } from '../src/run/memory/runtime.ts'
import { World } from '../src/run/memory/world.ts'
import { specOf } from '../src/run/container.ts'
import { byPlace, driftOf } from '../src/run/drift.ts'
import { planMend } from '../src/run/plan.ts'
import { readService } from '../src/run/service/read.ts'
import { type PodmanHome, createPodmanHome, obstacle } from '../test/bed/containers.ts'
import { buildNote, launcher } from './kit/build.ts'
import { Household, childEnv, until } from './kit/children.ts'
import { median, percentile, show, table } from './kit/numbers.ts'
import { machineState, memory, treeCpuMs } from './kit/process.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '20' }, 'without-podman': { type: 'boolean', default: false } },
})
const rounds = Number(values.rounds)
const household = new Household()
const rows: string[][] = []
const row = (what: string, ours: number, theirs: number, aim: string): void => {
  rows.push([what, show(ours), show(theirs), `${show(ours / theirs)}×`, aim])
}

type Agent = {
  readonly folder: string
  readonly pid: number
  ask(name: string, input: object, onItem?: (item: Item) => void): Promise<unknown>
}
type Item = { readonly step?: string; readonly event?: string }

async function startAgent(runtime: string, more: string): Promise<Agent> {
  const folder = household.place(`agent-${runtime}`)
  writeFileSync(join(folder, 'mcp-agent.toml'), `[agent]\nnode_name = "rift"\ncontainer_runtime = "${runtime}"\n${more}`)
  const started = household.start([launcher, 'run', 'agent', '--config', join(folder, 'mcp-agent.toml')], { env: { HOME: folder } })
  const agent: Agent = { folder, pid: started.pid, ask: (name, input, onItem) => ask(join(folder, 'run/change.sock'), name, input, onItem) }
  await until(
    () =>
      agent.ask('describe-node', {}).then(
        () => true as const,
        () => undefined,
      ),
    'the agent did not start',
    { hopeless: started.over },
  )
  return agent
}

function ask(socketPath: string, name: string, input: object, onItem: (item: Item) => void = () => {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asking = request(
      { socketPath, method: 'POST', path: `/v1/${name}`, headers: { 'content-type': 'application/json' }, agent: false },
      (response) => {
        let last: unknown
        createInterface(response)
          .on('line', (line) => {
            if (line === '') return
            const said = JSON.parse(line) as { item?: Item }
            if (said.item) onItem(said.item)
            else last = said
          })
          .on('close', () => (response.statusCode === 200 ? resolve(last) : reject(new Error(JSON.stringify(last)))))
      },
    )
    asking.on('error', reject).end(JSON.stringify(input))
  })
}

const definition = (name: string, image: string, onDrift = 'alert'): string =>
  `name = "${name}"\nnode = "rift"\non_drift = "${onDrift}"\n[[components]]\nname = "${name}"\nimage = "${image}"\nrestart = "no"\ncmd = ["sleep", "600"]\nstop_within = "0ms"\n`

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}

async function besidePodman(home: PodmanHome): Promise<void> {
  const agent = await startAgent('podman', `podman_socket = "${home.socket}"\n`)
  const [starts, theirStarts]: number[][] = [[], []]
  for (let round = 0; round < rounds; round++) {
    const from = performance.now()
    await agent.ask('deploy', { service: `s${round}`, text: definition(`s${round}`, home.image) }, ({ step }) => {
      if (step === 'await-health') starts!.push(performance.now() - from) // it was started
    })
    theirStarts!.push(await timed(() => home.podman('run', '-d', '--pull=never', '--name', `p${round}`, home.image, 'sleep', '600')))
  }
  row('start of a container, ms', median(starts!), median(theirStarts!), '≤ 1.1×')
  for (let more = rounds; more < 25; more++)
    await home.podman('run', '-d', '--pull=never', '--name', `m${more}`, home.image, 'sleep', '600')
  for (let more = rounds * 2 + Math.max(0, 25 - rounds); more < 50; more++)
    await home.podman('run', '-d', '--pull=never', '--name', `n${more}`, home.image, 'sleep', '600')
  const cli = household.place('cli')
  mkdirSync(join(cli, '.config/fairlead/run'), { recursive: true })
  writeFileSync(join(cli, '.config/fairlead/run/mcp.toml'), `[[nodes]]\nname = "rift"\naddress = "unix:${join(agent.folder, 'run')}"\n`)
  const [lists, whole, theirs]: number[][] = [[], [], []]
  for (let round = 0; round < rounds; round++) {
    lists!.push(await timed(() => agent.ask('list-containers', {})))
    whole!.push(await timed(async () => execFileSync(launcher, ['run', 'ps'], { env: { ...childEnv, HOME: cli } })))
    theirs!.push(await timed(() => home.podman('ps')))
  }
  row('ps of 50 containers, whole command, ms', median(whole!), median(theirs!), '≤ 1×')
  row('the same at the agent, ms', median(lists!), median(theirs!), '')
  await drift(agent, home)
}

/** From SIGKILL from outside to the agent's event, and to the line of podman's own stream of events. */
async function drift(agent: Agent, home: PodmanHome): Promise<void> {
  const [seen, theirs]: number[][] = [[], []]
  const waiting = new Map<string, (at: number) => void>()
  void agent.ask('follow-events', { follow: true, most: 1 }, (item) => {
    const { event, service } = item as { event?: string; service?: string }
    if (event === 'drift') waiting.get(`ours ${service}`)?.(performance.now())
  })
  const [command, ...args] = home.inside('podman', 'events', '--filter', 'event=died', '--format', '{{.Name}}')
  const events: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  createInterface(events.stdout!).on('line', (name) => waiting.get(`theirs ${name}`)?.(performance.now()))
  await wait(1_000) // both listen
  for (let round = 0; round < rounds; round++) {
    const name = `s${round}`
    const pid = Number((await home.podman('inspect', '--format', '{{.State.Pid}}', name)).trim())
    const [ours, podmans] = ['ours', 'theirs'].map((who) => new Promise<number>((resolve) => waiting.set(`${who} ${name}`, resolve)))
    const from = performance.now()
    process.kill(pid, 'SIGKILL')
    seen!.push((await ours!) - from)
    theirs!.push((await podmans!) - from)
  }
  events.kill()
  row('drift seen after SIGKILL, p50 ms', median(seen!), median(theirs!), '≤ 0.5×, ≤ 100 ms')
  row(
    'drift seen after SIGKILL, p95 ms',
    percentile(
      seen!.toSorted((a, b) => a - b),
      0.95,
    ),
    percentile(
      theirs!.toSorted((a, b) => a - b),
      0.95,
    ),
    '',
  )
}

async function idle(): Promise<void> {
  const agent = await startAgent('memory', '')
  for (let n = 0; n < 200; n++) await agent.ask('sync', { texts: [definition(`i${n}`, 'a/b:v1', 'restart')] })
  await until(
    async () =>
      (JSON.stringify(await agent.ask('list-containers', {})).match(/"running"/g)?.length ?? 0) >= 200 ? (true as const) : undefined,
    '200 containers did not start',
  )
  await wait(10_000)
  const [before, from] = [treeCpuMs(agent.pid), performance.now()]
  await wait(20_000)
  const percent = ((treeCpuMs(agent.pid) - before) / (performance.now() - from)) * 100
  const bare = household.start([process.execPath, '-e', 'setInterval(() => {}, 1e6)'])
  await wait(1_000)
  row('idle with 200 containers: CPU %', percent, 0.5, '≤ 1×')
  row('idle with 200 containers: RSS MB, beside a bare Node', memory(agent.pid).rootMb, memory(bare.pid).rootMb, '≤ 2.5×')
}

/** One process answers for all of them: what is measured is the command, and that process. */
async function fleet(): Promise<void> {
  const [folder, cli] = [household.place('fleet'), household.place('fleet-cli')]
  const nodes = household.talk([process.execPath, fileURLToPath(new URL('kit/many-nodes.ts', import.meta.url)), folder, '200'])
  for await (const line of nodes.lines()) if (line === 'ready') break
  await wait(10_000) // until each has started its service
  mkdirSync(join(cli, '.config/fairlead/run'), { recursive: true })
  const named = Array.from({ length: 200 }, (_, n) => `[[nodes]]\nname = "n${n}"\naddress = "unix:${join(folder, `n${n}/run`)}"\n`)
  writeFileSync(join(cli, '.config/fairlead/run/mcp.toml'), named.join(''))
  const took: number[] = []
  for (let round = 0; round < Math.min(rounds, 10); round++)
    took.push(
      await timed(async () => {
        const text = execFileSync(launcher, ['run', 'status', '--json'], { env: { ...childEnv, HOME: cli }, encoding: 'utf8' })
        const heard = text.match(/"isHeard": true/g)?.length ?? 0
        if (heard !== 200) throw new Error(`${heard} of 200 nodes were heard`)
      }),
    )
  row('status of 200 nodes, whole command, ms', median(took), 1_000, '≤ 1×')
}

async function planning(): Promise<void> {
  const world = new World({ clock: systemClock }, { isAnyImageThere: true })
  const runtime = memoryRuntime({ world })
  const services = await Promise.all(Array.from({ length: 10_000 }, (_, n) => readService(definition(`s${n}`, 'a/b:v1'), `s${n}.toml`)))
  const image = await runtime.pull('a/b:v1', () => {}, new AbortController().signal)
  for (const { name, components } of services)
    await runtime.start(await runtime.create(specOf({ service: name, component: name }, components[0]!, image, name)))
  const observed = await runtime.list()
  const tookMs = await timed(async () => {
    const places = byPlace(observed)
    for (const service of services)
      for (const drift of driftOf({ service, digests: {}, discarded: new Set() }, places, new Map())) planMend(service, drift)
  })
  row('10,000 running services looked at and planned, ms', tookMs, 1_000, '≤ 1×')
}

process.stdout.write(`${machineState()}\n${buildNote()}\n`)

try {
  await planning()
  await fleet()
  await idle()
  const missing = values['without-podman'] ? 'it was not asked for' : obstacle()
  if (missing === undefined) {
    const home = await createPodmanHome()
    try {
      await besidePodman(home)
    } finally {
      await home.close()
    }
  } else process.stdout.write(`without podman: ${missing}\n`)
} finally {
  process.stdout.write(`${table(['run', 'ours', 'beside', 'ratio', 'aim'], rows)}\n`)
}
process.exit()
