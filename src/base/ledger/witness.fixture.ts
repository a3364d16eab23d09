// What the tests of checkpoints and witnesses stand on: a real ledger in a folder of its own, its owner, a witness, and somebody who can write the folder.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { Fault } from '../../kernel/fault.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createIdentity } from '../identity/identity.ts'
import { withCosignature } from './checkpoint.ts'
import { writeWitnessed } from './checkpoint-files.ts'
import { type Checkpointed, checkpointLedger } from './checkpointing.ts'
import { openLedger } from './ledger.ts'
import { genesis, seal } from './line.ts'
import { growthText } from './proving.ts'
import { namesOf } from './segments.ts'
import { verifyWitnessed } from './verify-witnessed.ts'
import { openWitness } from './witness.ts'

export const owner = createIdentity(Buffer.alloc(32, 1))
export const watcher = createIdentity(Buffer.alloc(32, 2))
export const origin = 'test/calls'
export let root: string
export let folder: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'witness-'))
  folder = join(root, 'ledger')
})
afterEach(() => rmSync(root, { recursive: true }))

export async function add(count: number, maxSegmentBytes = 1_500, mayBeDeleted = false): Promise<void> {
  const ledger = openLedger({ folder, origin, clock, log, maxSegmentBytes, reserveBytes: 0, mayBeDeleted })
  for (let n = 0; n < count; n++) await ledger.append({ event: 'call', n })
  await ledger.close()
}
export const names = () => namesOf(folder, 'ledger.jsonl')
export const checkpoint = async (): Promise<Checkpointed> => (await checkpointLedger({ identity: owner, log }, { folder, origin }))!
export const verify = (told: Parameters<typeof verifyWitnessed>[1] = {}) =>
  verifyWitnessed({ folder, origin }, { owner: owner.peerId, ...told })
export const witness = () => openWitness({ identity: watcher, clock, log }, join(root, 'witness'))
export const segments = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
export const attempt = async (act: () => unknown): Promise<unknown> => {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return error.code
  }
}

/** Asks for a cosignature as a client does, and keeps it. */
export async function seen(old = witness().known(owner.peerId, origin)[0]?.size ?? 0): Promise<number> {
  const made = await checkpoint()
  const line = await witness().sign(owner.peerId, await growthText(made, old))
  writeWitnessed(names(), watcher.peerId, withCosignature(made.checkpoint, line, watcher.peerId))
  return made.checkpoint.size
}

/** Writes the ledger again from its lines, with hashes that fit: what somebody does who knows the format. */
export function rewrite(change: (entries: { time: string; body: string }[]) => { time: string; body: string }[]): void {
  const lines = segments()
    .sort((a, b) => (a === 'ledger.jsonl' ? 1 : b === 'ledger.jsonl' ? -1 : a < b ? -1 : 1))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
  const entries = lines.map((line) => {
    const [, time, body] = /^\{"seq":\d+,"time":"([^"]*)",(.*),"prev":"/.exec(line)!
    return { time: time!, body: body! }
  })
  let prev = genesis(origin).hash
  const made = change(entries).map(({ time, body }, index) => {
    const { line, hash } = seal(index + 1, time, body, prev)
    prev = hash
    return line
  })
  for (const name of segments()) rmSync(join(folder, name))
  rmSync(join(folder, 'ledger.head'), { force: true })
  writeFileSync(join(folder, 'ledger.jsonl'), made.join(''))
}
export const altered = (at: number) => rewrite((entries) => entries.with(at - 1, { ...entries[at - 1]!, body: '"event":"forged"' }))
