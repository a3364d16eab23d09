// Measures our gate beside the gateways a user would pick instead, in one run: `node bench/gate.ts --help`.
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { buildNote } from './kit/build.ts'
import { Household } from './kit/children.ts'
import type { LoadResult } from './kit/loop.ts'
import { type Row, type Sample, compare, figures, serversAlone, verdicts } from './kit/gate-report.ts'
import { type Memory, machineCpu, machineState, memory, otherShare, tree, treeCpuMs } from './kit/process.ts'
import { type Contender, type Running, contenders, installRivals } from './kit/rivals.ts'

const usage = `node bench/gate.ts [options]: tools/call through our gate, authentication and ledger on, beside its rivals
  --quick           one round of 200 calls, without the official client
  --full            also both eras, one client, and results of 256 KB
  --calls N         calls a client (2000)      --clients N  (16)      --rounds N  (3)
  --size BYTES      of each result (1024)      --era legacy|modern   (legacy)
  --sdk-calls N     calls a client in the table with the official SDK's client (500; 0 leaves it out)
  --limit SECONDS   the longest that one run may take (60)
  --only TEXT       only those whose name holds TEXT (or one of several, with commas)
  --without-ours    rivals alone
  --check           exit 3 when a target is missed, or ours could not be measured`

type Scenario = {
  readonly title: string
  readonly load: 'raw' | 'sdk'
  readonly era: 'legacy' | 'modern'
  readonly clients: number
  readonly calls: number
  readonly warmup: number
  readonly sizeBytes: number
}

const loads = {
  raw: fileURLToPath(new URL('kit/load.ts', import.meta.url)),
  sdk: fileURLToPath(new URL('kit/load-sdk.ts', import.meta.url)),
}

async function underLoad(household: Household, running: Running, scenario: Scenario): Promise<Sample> {
  const { clients, calls, warmup, sizeBytes, era } = scenario
  const plan = [
    '--era',
    era,
    '--clients',
    `${clients}`,
    '--calls',
    `${calls}`,
    '--warmup',
    `${warmup}`,
    '--size',
    `${sizeBytes}`,
    '--limit',
    values.limit,
  ]
  const load = household.talk([
    process.execPath,
    loads[scenario.load],
    ...running.flags,
    ...plan,
    ...(running.command ? ['--', ...running.command] : []),
  ])
  const lines = load.lines()[Symbol.asyncIterator]()
  const next = async (): Promise<object> => {
    const line = await lines.next()
    if (line.done) throw new Error(`the load generator ended: ${load.over() ?? 'without a word'}`)
    const said = JSON.parse(line.value) as { error?: string }
    if (said.error !== undefined) throw new Error(said.error)
    return said
  }
  const root = running.counted === 'load' ? load.pid : running.counted
  const ownCpuMs = (): number => (running.counted === 'load' ? (tree(load.pid)[0]?.cpuMs ?? 0) : 0)
  const spent = (): number => treeCpuMs(root) - ownCpuMs()
  try {
    await next()
    const [cpuBefore, machineBefore, selfBefore] = [spent(), machineCpu(), process.cpuUsage()]
    load.say('go')
    const result = (await next()) as LoadResult
    const [cpuAfter, machineAfter, self] = [spent(), machineCpu(), process.cpuUsage(selfBefore)]
    const held = memory(root)
    const known = cpuAfter - cpuBefore + result.loadCpuMsPerCall * result.calls + (self.user + self.system) / 1000
    return {
      ...result,
      cpuMsPerCall: (cpuAfter - cpuBefore) / result.calls,
      memory: running.counted === 'load' ? withoutRoot(held) : held,
      otherShare: otherShare(machineBefore, machineAfter, known),
    }
  } finally {
    load.say('end')
    await load.stop()
  }
}

function withoutRoot(held: Memory): Memory {
  return {
    ...held,
    treeMb: held.treeMb - held.rootMb,
    rootMb: Number.NaN,
    rootPeakMb: Number.NaN,
    treePssMb: Number.NaN,
    processes: held.processes - 1,
  }
}

async function measure(household: Household, scenario: Scenario, rounds: number, who: readonly Contender[]): Promise<Row[]> {
  const rows: Row[] = who.map((contender) => ({ contender, samples: [] }))
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another one, so that what drifts on the machine falls on all alike.
    for (const row of [...rows.slice(round % rows.length), ...rows.slice(0, round % rows.length)]) {
      if (row.problem !== undefined) continue
      process.stderr.write(`  round ${round + 1} of ${rounds}: ${row.contender.name}\n`)
      try {
        const running = await row.contender.start(household)
        try {
          row.samples.push(await underLoad(household, running, scenario))
        } finally {
          await running.stop()
        }
      } catch (error) {
        row.problem = (error as Error).message
      }
    }
  }
  return rows
}

function scenarios(options: {
  quick: boolean
  full: boolean
  era: 'legacy' | 'modern'
  calls: number
  clients: number
  sizeBytes: number
  sdkCalls: number
}): Scenario[] {
  const { calls, clients, era, sizeBytes } = options
  const warmup = options.quick ? 20 : 500
  const make = (given: Partial<Scenario>): Scenario => {
    const scenario = { load: 'raw', era, clients, calls, warmup, sizeBytes, ...given } as const
    const client = scenario.load === 'sdk' ? "the official SDK's client" : 'the light load generator'
    const title = `${scenario.clients} client(s) × ${scenario.calls} calls, ${scenario.era} era, results of ${scenario.sizeBytes} bytes, ${client}`
    return { ...scenario, title }
  }
  const list = [make({})]
  if (options.sdkCalls > 0 && !options.quick) list.push(make({ load: 'sdk', era: 'legacy', calls: options.sdkCalls, warmup: 50 }))
  if (options.full) {
    const big = { sizeBytes: 256 * 1024, calls: Math.ceil(calls / 20), warmup: 10 }
    list.push(make({ clients: 1 }), make({ era: 'modern' }), make({ era: 'modern', clients: 1 }))
    list.push(make(big), make({ ...big, clients: 1, calls: Math.ceil(calls / 4) }), make({ ...big, era: 'modern' }))
  }
  return list
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    'without-ours': { type: 'boolean', default: false },
    calls: { type: 'string' },
    clients: { type: 'string', default: '16' },
    rounds: { type: 'string' },
    size: { type: 'string', default: '1024' },
    era: { type: 'string', default: 'legacy' },
    'sdk-calls': { type: 'string', default: '500' },
    limit: { type: 'string', default: '60' },
    only: { type: 'string', default: '' },
  },
})
if (values.help) {
  process.stdout.write(`${usage}\n`)
  process.exit()
}
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3))
const plan = scenarios({
  quick: values.quick,
  full: values.full,
  era: values.era === 'modern' ? 'modern' : 'legacy',
  calls: Number(values.calls ?? (values.quick ? 200 : 2000)),
  clients: Number(values.clients),
  sizeBytes: Number(values.size),
  sdkCalls: Number(values['sdk-calls']),
})
const names = values.only.split(',')
const chosen = contenders.filter(
  ({ name, kind }) => names.some((part) => name.includes(part)) && !(values['without-ours'] && kind === 'ours'),
)

installRivals()
const household = new Household()
const state = machineState()
process.stdout.write(`${state}\n${buildNote()}`)
const results: object[] = []
let missed = 0
for (const scenario of plan) {
  process.stderr.write(`${scenario.title}\n`)
  const who = chosen.filter(
    ({ speaks, name }) => speaks.includes(scenario.era) && !(scenario.load === 'sdk' && name.startsWith('direct stdio')),
  )
  const rows = await measure(household, scenario, rounds, who)
  const comparisons = compare(rows)
  if (rows.some(({ contender, samples }) => contender.kind === 'ours' && samples.length === 0)) missed++
  missed += comparisons.filter(({ beside, isMet }) => beside !== 'the better rival' && !isMet).length
  process.stdout.write(`\n${scenario.title}; medians of ${rounds} interleaved round(s)\n${figures(rows)}\n`)
  for (const { contender, samples } of rows) {
    const reasons = new Set(samples.flatMap((sample) => sample.reasons))
    if (reasons.size > 0) process.stdout.write(`${contender.name} failed calls: ${[...reasons].join('; ')}\n`)
  }
  if (comparisons.length > 0) process.stdout.write(`\n${verdicts(comparisons)}\n${serversAlone(rows)}`)
  results.push({
    scenario,
    comparisons,
    rows: rows.map(({ contender, samples, problem }) => ({
      name: contender.name,
      kind: contender.kind,
      like: contender.like,
      problem,
      samples,
    })),
  })
}
const folder = new URL('results/', import.meta.url)
mkdirSync(folder, { recursive: true })
const file = fileURLToPath(new URL(`gate-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`, folder))
writeFileSync(file, `${JSON.stringify({ state, rounds, results }, undefined, 1)}\n`)
process.stdout.write(`\nall samples: ${file}\n`)
process.exit(values.check && missed > 0 ? 3 : 0)
