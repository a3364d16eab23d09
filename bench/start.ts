// Measures how long a warm start of the program takes beside a bare start of the same Node, and of the machine's own: `node bench/start.ts [--rounds N] [-- ARGS…]`.
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { Household, childEnv } from './kit/children.ts'
import { median, percentile, show, table } from './kit/numbers.ts'
import { machinePath, machineState } from './kit/process.ts'
import { buildNote, launcher } from './kit/build.ts'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { rounds: { type: 'string', default: '30' } } })
const words = positionals.length > 0 ? positionals : ['--help']

const household = new Household()
const env = { ...childEnv, HOME: household.place('home') }

const starts = [
  { name: `fairlead ${words.join(' ')}`, argv: [launcher, ...words], env },
  { name: `node -e 0 (${process.version})`, argv: [process.execPath, '-e', '0'], env },
  { name: "the machine's own node -e 0", argv: ['node', '-e', '0'], env: { ...env, PATH: machinePath } },
].map((start) => ({ ...start, tookMs: [] as number[], problem: '' }))

function once(start: (typeof starts)[number]): number {
  const from = performance.now()
  // Through env(1), all alike, so that the PATH of the start decides which Node is found.
  const { status, error, stderr } = spawnSync('/usr/bin/env', start.argv, { env: start.env, encoding: 'utf8' })
  if (error ?? status !== 0) start.problem = error?.message ?? `exit ${status}: ${stderr.trim().slice(0, 200)}`
  return performance.now() - from
}

process.stdout.write(`${machineState()}\n${buildNote()}\n`)
for (const start of starts) for (let warm = 0; warm < 3; warm++) once(start)
for (let round = 0; round < Number(values.rounds); round++) for (const start of starts) start.tookMs.push(once(start))

const bare = median(starts[1]!.tookMs)
const rows = starts.map(({ name, tookMs, problem }) => {
  if (problem) return [name, problem]
  const sorted = tookMs.toSorted((a, b) => a - b)
  return [name, show(median(tookMs)), show(sorted[0]!), show(percentile(sorted, 0.9)), `${show(median(tookMs) / bare)}×`]
})
process.stdout.write(`${table(['warm start', 'median ms', 'least', 'p90', 'beside node -e 0'], rows)}\n`)
process.exit()
