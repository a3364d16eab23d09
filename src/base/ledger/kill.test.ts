// SIGKILL of a writing process at random moments: whatever it had acknowledged is there, and the ledger is intact once it is opened again.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { openLedger } from './ledger.ts'
import type { Place } from './line.ts'
import { verifyLedger } from './verify.ts'

const ledgers = process.env['FAIRLEAD_LONG'] ? 15 : 1
const roundsEach = 8

/** Appends for ever, in turns of some entries of uneven sizes, and prints the number of each as soon as it is acknowledged. */
const writer = (folder: string, seed: number): string => `
  import { openLedger } from ${JSON.stringify(join(import.meta.dirname, 'ledger.ts'))}
  import { systemClock } from ${JSON.stringify(join(import.meta.dirname, '../../kernel/clock.ts'))}
  import { silentLog } from ${JSON.stringify(join(import.meta.dirname, '../../kernel/log.ts'))}
  import { writeSync } from 'node:fs'
  let state = ${seed}
  const random = (below) => (state = (state * 1103515245 + 12345) & 0x7fffffff) % below
  const ledger = openLedger({ folder: ${JSON.stringify(folder)}, origin: 'kill', clock: systemClock, log: silentLog, maxSegmentBytes: 4_000_000, syncEveryMs: 20 })
  for (;;) {
    const turn = Array.from({ length: 1 + random(60) }, (_, index) =>
      ledger.append({ index, text: 'x'.repeat(random(30_000)) }, random(20) === 0 ? 'synced' : 'written').then(({ seq, hash }) => writeSync(1, seq + ' ' + hash + '\\n')))
    await Promise.all(turn)
  }`

async function killAfter(child: ChildProcess, delayMs: number): Promise<string[]> {
  let text = ''
  child.stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(child.stdout!, 'data')
  await systemClock.wait(delayMs) // the moment itself is what varies
  child.kill('SIGKILL')
  await once(child, 'close')
  return text.split('\n').slice(0, -1)
}

/** Kills so many writers of one ledger, one after another, and looks at it after each. */
async function killRounds(folder: string, rounds: number, seed: number): Promise<{ acknowledged: number; torn: number }> {
  let state = seed
  const random = (below: number): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff) % below
  const acknowledged: Place[] = []
  let torn = 0
  for (let round = 0; round < rounds; round++) {
    const where = `SEED=${seed} round ${round}`
    const child = spawn(process.execPath, ['--input-type=module', '-e', writer(folder, seed + round)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for (const line of await killAfter(child, random(250))) {
      const [seq, hash] = line.split(' ')
      acknowledged.push({ seq: Number(seq), hash: hash! })
    }
    const last = acknowledged.reduce((a, b) => (a.seq > b.seq ? a : b))
    const before = await verifyLedger(folder, { origin: 'kill' })
    expect(before, where).toMatchObject({ intact: true, gaps: [] })
    expect(before.last!.seq, where).toBeGreaterThanOrEqual(last.seq)
    torn += before.torn.length
    const ledger = openLedger({ folder, origin: 'kill', clock: systemClock, log: silentLog })
    await ledger.append({ event: 'reopened' })
    await ledger.close()
    for (const known of [last, acknowledged[random(acknowledged.length)]!]) {
      expect(await verifyLedger(folder, { origin: 'kill', known }), where).toMatchObject({ intact: true, gaps: [], torn: [] })
    }
  }
  return { acknowledged: acknowledged.length, torn }
}

test('nothing acknowledged is lost to SIGKILL', async () => {
  const seed = Number(process.env['SEED'] ?? systemClock.now() & 0x7fff_ffff)
  let [acknowledged, torn] = [0, 0]
  for (let ledger = 0; ledger < ledgers; ledger++) {
    const folder = mkdtempSync(join(tmpdir(), 'kill-'))
    try {
      const found = await killRounds(folder, roundsEach, seed + ledger * 1_000)
      acknowledged += found.acknowledged
      torn += found.torn
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
  console.log(`SEED=${seed}: ${ledgers * roundsEach} kills, ${acknowledged} acknowledged entries, all there; ${torn} torn ends`)
}, 600_000)
