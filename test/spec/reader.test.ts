// An independent reader (test/spec/reader.py: Python, none of our code) agrees on every case of the specifications, accepts what our code writes, and refuses it altered.
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { createIdentity } from '../../src/base/identity/identity.ts'
import { signRecord } from '../../src/base/identity/record.ts'
import { openLedger } from '../../src/base/ledger/ledger.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { signCard } from '../../src/reach/peer-card.ts'

const reader = join(import.meta.dirname, 'reader.py')
/** Debian's own, not one that a person has put before it. */
const python = ['/usr/bin/python3', 'python3'].find(
  (path) => spawnSync(path, ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']).status === 0,
)
const folder = mkdtempSync(join(tmpdir(), 'reader-'))
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(({ skip }) => skip(python === undefined, 'there is no python3: apt-get install python3'))

function ask(questions: readonly unknown[]): unknown[] {
  const { status, stdout, stderr } = spawnSync(python!, [reader, 'cases'], {
    input: questions.map((question) => `${JSON.stringify(question)}\n`).join(''),
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
}

type Cases = { readonly name: string }[]
const vectors = <Expected>(name: string): Expected =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../../spec/vectors/${name}/expected.json`), 'utf8')) as Expected

describe('agrees with the specification', () => {
  test('on every ledger', () => {
    type Ledger = { name: string; files: Record<string, string>; origin?: string; known?: unknown; verdict: unknown }
    const { cases } = vectors<{ cases: Ledger[] }>('ledger')
    const questions = cases.map(({ files, origin, known }, index) => {
      const at = join(folder, `case-${index}`)
      mkdirSync(at)
      for (const [name, source] of Object.entries(files))
        copyFileSync(join(import.meta.dirname, '../../spec/vectors/ledger', source), join(at, name))
      return { what: 'ledger', folder: at, origin, known }
    })
    const found = ask(questions)
    expect(cases.map(({ name }, index) => [name, found[index]])).toEqual(cases.map(({ name, verdict }) => [name, verdict]))
  })

  test('on every record and card', () => {
    type Case = { name: string; context: string; now: number; record: string; card: string; outcome: string }
    const { records, cards } = vectors<{ records: Case[]; cards: Case[] } & Record<string, Cases>>('records')
    const found = ask([
      ...records.map(({ context, now, record }) => ({ what: 'record', context, now, bytes: record })),
      ...cards.map(({ now, card }) => ({ what: 'card', now, bytes: card })),
    ])
    const wanted = [...records, ...cards].map(({ name, context: _c, now: _n, record: _r, card: _d, ...verdict }) => [name, verdict])
    expect([...records, ...cards].map(({ name }, index) => [name, found[index]])).toEqual(wanted)
  })
})

test('agrees with the specification on every rotation and revocation', () => {
  type Statement = { name: string; statement: string; outcome: string; said?: unknown }
  type Standing = { name: string; statements: string[]; peerId: string; standing: unknown }
  const { statements, standings } = vectors<{ statements: Statement[]; standings: Standing[] }>('rotation')
  const found = ask([
    ...statements.map(({ statement }) => ({ what: 'statement', bytes: statement })),
    ...standings.map(({ statements: signed, peerId }) => ({ what: 'standing', peerId, statements: signed })),
  ])
  const wanted = [
    ...statements.map(({ name, outcome, said }) => [name, { outcome, ...(said === undefined ? {} : { said }) }]),
    ...standings.map(({ name, standing }) => [name, standing]),
  ]
  expect([...statements, ...standings].map(({ name }, index) => [name, found[index]])).toEqual(wanted)
})

/** Runs it as a person would. */
function run(...words: string[]): { readonly status: number | null; readonly found: Record<string, unknown> } {
  const { status, stdout } = spawnSync(python!, [reader, ...words], { encoding: 'utf8' })
  return { status, found: JSON.parse(stdout) as Record<string, unknown> }
}

test('a ledger that we wrote, in several files, is intact; with one bit of any file altered it is not', async () => {
  const at = join(folder, 'ours')
  const ledger = openLedger({ clock: systemClock, log: silentLog, folder: at, origin: 'reader.example', maxSegmentBytes: 1_000 })
  for (let n = 0; n < 20; n++) await ledger.append({ event: 'call', tool: 'écho', n })
  await ledger.close()
  const last = ledger.last.seq
  expect(run('ledger', at, 'reader.example')).toEqual({ status: 0, found: { intact: true, entries: last, last, gaps: [], torn: 0 } })
  expect(run('ledger', at, 'other.example')).toMatchObject({ status: 1, found: { intact: false, entries: 0 } })
  const files = readdirSync(at).filter((name) => name.endsWith('.jsonl'))
  expect(files.length).toBeGreaterThan(2)
  const altered = Array.from({ length: 90 }, (_, index) => {
    const other = join(folder, `altered-${index}`)
    cpSync(at, other, { recursive: true })
    const path = join(other, files[index % files.length]!)
    const bytes = readFileSync(path)
    bytes[Math.floor((index / 90) * bytes.length)]! ^= 1 << (index % 8)
    writeFileSync(path, bytes)
    return { what: 'ledger', folder: other, origin: 'reader.example' }
  })
  for (const [index, found] of ask(altered).entries()) expect([index, found]).toMatchObject([index, { intact: false }])
})

test('a card and a record that we signed are opened; with any byte altered, never', () => {
  const identity = createIdentity()
  const now = Date.now()
  const card = signCard(identity, { name: 'Zoë’s box', addresses: ['/ip4/192.0.2.7/tcp/8766'], sequence: now, expiresAt: now + 60_000 })
  const path = join(folder, 'card')
  writeFileSync(path, card)
  expect(run('card', path)).toMatchObject({ status: 0, found: { outcome: 'opened', said: { peerId: identity.peerId, name: 'Zoë’s box' } } })
  expect(run('card', path, String(now + 60_000))).toEqual({ status: 1, found: { outcome: 'expired' } })
  expect(run('record', 'fairlead/other/1', path)).toEqual({ status: 1, found: { outcome: 'bad signature' } })
  const raw = signRecord(identity, 'fairlead/example/1', {
    sequence: 1,
    expiresAt: now + 60_000,
    raw: Uint8Array.of(1, 255),
    pi: 3.14,
    big: 2 ** 60,
  })
  writeFileSync(path, raw)
  expect(run('record', 'fairlead/example/1', path).found).toMatchObject({ outcome: 'opened', body: { raw: '01ff', pi: 3.14 } })
  const altered = Array.from(card, (_, at) =>
    Buffer.from(card.map((byte, index) => (index === at ? byte ^ (1 << (at % 8)) : byte))).toString('hex'),
  )
  for (const found of ask(altered.map((bytes) => ({ what: 'card', now, bytes })))) {
    expect((found as { outcome: string }).outcome).toMatch(/^(?:malformed|bad signature)$/)
  }
})
