// Measures how long after a cut path is back the next MCP answer comes, between two machines behind routers: `node bench/recovery.ts --help`. Needs root, for network namespaces.
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Side, inside, obstacle, spawnInside } from '../test/bed/namespaces.ts'
import { type CutKind, type TwoMachines, twoMachines } from '../test/bed/two-machines.ts'
import { buildNote, launcher } from './kit/build.ts'
import { childEnv, pause } from './kit/children.ts'
import { percentile, show, table } from './kit/numbers.ts'
import { machineState } from './kit/process.ts'

const usage = `node bench/recovery.ts [options]: one MCP session through a relay, whose path is cut again and again
  --cuts N          cuts of each kind (50)
  --kinds A,B       of: cable, swallowed, relay killed, address changed (all)
  --idle SECONDS    also count the packets of an idle session, for so long (0)
  --program FILE    another build's bin/fairlead
  --check           exit 3 when a 95th percentile is above 1 s`
const { values } = parseArgs({
  options: {
    cuts: { type: 'string', default: '50' },
    kinds: { type: 'string', default: 'cable,swallowed,relay killed,address changed' },
    idle: { type: 'string', default: '0' },
    program: { type: 'string', default: launcher },
    check: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(`${usage}\n`)
  process.exit()
}
const missing = obstacle()
if (missing !== undefined) {
  process.stderr.write(`not measured: ${missing}\n`)
  process.exit(3)
}

type Sample = { readonly kind: CutKind; readonly side: Side; readonly forMs: number; readonly pathMs: number; readonly answerMs: number }

const now = (): number => performance.timeOrigin + performance.now()

/** Asks from a place whether the path is there: what is measured begins when it is, which after a cable is plugged in may be a second later. */
async function prober(machines: TwoMachines, place: string, ...words: readonly string[]): Promise<() => Promise<number>> {
  const script = fileURLToPath(new URL('../test/bed/path-probe.mjs', import.meta.url))
  const child = spawnInside(place, [process.execPath, script, ...words], { PATH: childEnv['PATH']! })
  machines.undo.push(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })
  await once(lines, 'line')
  return async () => {
    child.stdin.write('?\n')
    return Number(((await once(lines, 'line')) as [string])[0])
  }
}

/** How long the path is cut: mostly a blink, sometimes long enough that every timer on the way has backed off. */
function someMs(n: number): number {
  if (n % 10 === 9) return 8_000 + Math.random() * 4_000
  return n % 5 === 3 ? 1_000 + Math.random() * 2_000 : 20 + Math.random() * 400
}

async function measure(machines: TwoMachines, kinds: readonly CutKind[], cuts: number): Promise<Sample[]> {
  const { lab } = machines
  const echoPort = 7_007
  await prober(machines, lab.public, 'echo', `${echoPort}`)
  const udp = [lab.box, lab.mac].map((place) => prober(machines, place, 'udp', lab.publicAddress, `${echoPort}`))
  const probes = await Promise.all(udp)
  const listening = await prober(machines, lab.public, 'tcp', '127.0.0.1', '8765')
  const client = machines.connect()
  await client.initialize()
  const samples: Sample[] = []
  for (let n = 0; n < cuts; n++) {
    for (const kind of kinds) {
      const side = Math.random() < 0.5 ? 'box' : 'mac'
      const forMs = kind === 'address changed' ? 0 : kind === 'relay killed' ? someMs(n) / 4 : someMs(n)
      await client.call('count', { call: `before-${kind}-${n}` })
      const cutting = machines.cuts[kind](forMs, side)
      const during = client.call('count', { call: `during-${kind}-${n}` })
      const isBack = kind === 'relay killed' ? [afterwards(pause(50), listening)] : probes.map((probe) => afterwards(cutting, probe))
      const fixed = kind === 'relay killed' ? isBack[0]! : cutting.then(now)
      const from = await fixed
      const after = client.call('count', { call: `after-${kind}-${n}` }).then(now)
      const [answered, ...back] = await Promise.all([Promise.all([after, during]).then(now), ...isBack])
      const path = Math.max(from, ...back)
      samples.push({ kind, side, forMs, pathMs: path - from, answerMs: Math.max(0, answered - path) })
      process.stderr.write(`${n} ${kind} ${side} ${Math.round(forMs)} ms: path ${show(path - from)}, answer ${show(answered - path)} ms\n`)
      await cutting
      await pause(300)
    }
  }
  client.process.stdin.end()
  await client.ended
  return samples
}

async function afterwards(first: Promise<unknown>, ask: () => Promise<number>): Promise<number> {
  await first
  return ask()
}

/** Packets a minute that a session costs while nothing happens: at the machine that dialled, both directions, once it has been idle for longer than it stays alert. */
async function idlePackets(machines: TwoMachines, seconds: number): Promise<number> {
  const client = machines.connect()
  await client.initialize()
  await pause(40_000)
  const count = (): number =>
    ['rx', 'tx'].reduce((sum, way) => sum + Number(inside(machines.lab.mac, ['cat', `/sys/class/net/eth0/statistics/${way}_packets`])), 0)
  const before = count()
  await pause(seconds * 1000)
  const packets = count() - before
  client.process.stdin.end()
  await client.ended
  return (packets / seconds) * 60
}

const kinds = values.kinds.split(',') as CutKind[]
const state = machineState()
process.stdout.write(`${state}\n${buildNote()}`)
const machines = await twoMachines([values.program])
let missed = 0
try {
  const idle = Number(values.idle)
  const packets = idle > 0 ? await idlePackets(machines, idle) : undefined
  const samples = await measure(machines, kinds, Number(values.cuts))
  const rows = kinds.map((kind) => {
    const own = samples.filter((sample) => sample.kind === kind)
    const sorted = (pick: (sample: Sample) => number): number[] => own.map(pick).sort((a, b) => a - b)
    const answers = sorted(({ answerMs }) => answerMs)
    const p95 = percentile(answers, 0.95)
    if (!(p95 <= 1_000)) missed++
    return [
      kind,
      `${own.length}`,
      ...[
        percentile(
          sorted(({ pathMs }) => pathMs),
          0.5,
        ),
        percentile(answers, 0.5),
        p95,
        answers.at(-1) ?? NaN,
      ].map(show),
    ]
  })
  const heading = ['path cut', 'times', 'mended → path back ms', '→ answer: median ms', 'p95', 'longest']
  process.stdout.write(`\n${table(heading, rows)}\n`)
  if (packets !== undefined) process.stdout.write(`an idle session: ${show(packets)} packets a minute at the machine that dialled\n`)
  const folder = new URL('results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  const file = fileURLToPath(new URL(`recovery-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`, folder))
  const load = readFileSync('/proc/loadavg', 'utf8').trim()
  writeFileSync(file, `${JSON.stringify({ state, loadAfter: load, packets, samples })}\n`)
  process.stdout.write(`load after: ${load}; all samples: ${file}\n`)
} finally {
  await machines.close()
}
process.exit(values.check && missed > 0 ? 3 : 0)
