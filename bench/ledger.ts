// Measures what one ledger entry costs: CPU per append with 1, 16 and 256 appends in a turn of the event loop, and the same when each is synced; then what it
// costs to sign the tree over all of them, to sign again, and to verify.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argumentDigests } from '../src/base/ledger/argument.ts'
import { createIdentity } from '../src/base/identity/identity.ts'
import { checkpointLedger } from '../src/base/ledger/checkpointing.ts'
import { type Durability, type Ledger, openLedger } from '../src/base/ledger/ledger.ts'
import { verifyLedger } from '../src/base/ledger/verify.ts'
import { systemClock } from '../src/kernel/clock.ts'
import { silentLog } from '../src/kernel/log.ts'
import { Secret } from '../src/kernel/secret.ts'

const digestOf = argumentDigests(new Secret('a secret of this bench'))
const call = Buffer.from(JSON.stringify({ path: '/srv/data/readme.md', range: [0, 4096] }))
const begin = (ledger: Ledger): string =>
  `"event":"begin","principal":"alice@example","upstream":"files","tool":"read_file","arguments":"${digestOf(ledger.next, call)}","trace":"4bf92f3577b34da6a3ce929d0e0e4736"`
const end = '"event":"end","begin":12345,"outcome":"answered","durationMs":1.42,"bytes":1024,"trace":"4bf92f3577b34da6a3ce929d0e0e4736"'

async function measure(
  ledger: Ledger,
  name: string,
  perTurn: number,
  total: number,
  body: () => string,
  durability: Durability = 'written',
): Promise<void> {
  const turns = Math.ceil(total / perTurn)
  const run = async (count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn++) {
      let last: Promise<unknown> | undefined
      for (let index = 0; index < perTurn; index++) last = ledger.append(body(), durability)
      await last
    }
  }
  await run(Math.ceil(turns / 10))
  const cpu = process.cpuUsage()
  const start = systemClock.mono()
  await run(turns)
  const wallMs = systemClock.mono() - start
  const { user, system } = process.cpuUsage(cpu)
  const entries = turns * perTurn
  console.log(
    `${name.padEnd(28)} ${String(perTurn).padStart(4)} a turn: ${((user + system) / entries).toFixed(2).padStart(7)} µs CPU, ${((wallMs * 1_000) / entries).toFixed(2).padStart(8)} µs wall per append`,
  )
}

const folder = mkdtempSync(join(tmpdir(), 'bench-ledger-'))
const ledger = openLedger({ folder, origin: 'bench/calls', clock: systemClock, log: silentLog })
for (const perTurn of [1, 16, 256]) await measure(ledger, 'end line', perTurn, 100_000, () => end)
for (const perTurn of [1, 16, 256]) await measure(ledger, 'begin line, with digest', perTurn, 100_000, () => begin(ledger))
for (const perTurn of [1, 16, 256]) await measure(ledger, 'end line, synced', perTurn, 300 * perTurn, () => end, 'synced')
await ledger.close()
const place = { folder, origin: 'bench/calls' }
const needs = { identity: createIdentity(), log: silentLog }
const cpuBefore = process.cpuUsage()
const made = (await checkpointLedger(needs, place))!
const { user, system } = process.cpuUsage(cpuBefore)
console.log(`checkpoint: ${made.checkpoint.size} entries, ${((user + system) / made.checkpoint.size).toFixed(2)} µs CPU each`)
const again = openLedger({ ...place, clock: systemClock, log: silentLog })
await again.append(end)
await again.close()
const beforeAgain = systemClock.mono()
await checkpointLedger(needs, place)
console.log(`checkpoint after one more entry: ${(systemClock.mono() - beforeAgain).toFixed(1)} ms`)
const start = systemClock.mono()
const verdict = await verifyLedger(folder)
const seconds = (systemClock.mono() - start) / 1_000
console.log(
  `verify: ${verdict.intact ? 'intact' : 'NOT INTACT'}, ${verdict.entries} entries in ${seconds.toFixed(2)} s (${Math.round(verdict.entries / seconds)} a second)`,
)
rmSync(folder, { recursive: true })
