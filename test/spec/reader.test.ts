// An independent reader (test/spec/reader.py: Python, none of our code) agrees on every case of the specifications, accepts what our code writes, and refuses it altered.
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { createIdentity } from '../../src/base/identity/identity.ts'
import { signRecord } from '../../src/base/identity/record.ts'
import { seal } from '../../src/base/identity/seal.ts'
import { withCosignature } from '../../src/base/ledger/checkpoint.ts'
import { writeWitnessed } from '../../src/base/ledger/checkpoint-files.ts'
import { checkpointLedger } from '../../src/base/ledger/checkpointing.ts'
import { openLedger } from '../../src/base/ledger/ledger.ts'
import { seal as sealLine } from '../../src/base/ledger/line.ts'
import { entryProofText, growthText } from '../../src/base/ledger/proving.ts'
import { openWitness } from '../../src/base/ledger/witness.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { signMessage } from '../../src/reach/message/message.ts'
import { signCard } from '../../src/reach/node/peer-card.ts'

const reader = join(import.meta.dirname, 'reader.py')
/** Debian's own, not one that a person has put before it. */
const python = ['/usr/bin/python3', 'python3'].find(
  (path) => spawnSync(path, ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']).status === 0,
)
const hasAge = spawnSync('age', ['--version']).status === 0
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
const vectors = <Expected>(name: string, file = 'expected'): Expected =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../../spec/vectors/${name}/${file}.json`), 'utf8')) as Expected

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

  test('on every tree, proof and checkpoint', () => {
    type Proved = { says: unknown; valid: boolean; name: string; note: string; text: string }
    const tree = vectors<Record<'inclusion' | 'consistency' | 'notes' | 'proofs', Proved[]> & { leaves: string[]; roots: string[] }>(
      'ledger',
      'tree',
    )
    const roots = tree.roots.map((_, size) => ({ what: 'root', leaves: tree.leaves.slice(0, size) }))
    expect(ask(roots)).toEqual(tree.roots)
    for (const what of ['inclusion', 'consistency'] as const)
      expect(ask(tree[what].map((one) => ({ what, ...one })))).toEqual(tree[what].map(({ valid }) => valid))
    const texts = [
      ...tree.notes.map(({ note }) => ({ what: 'note', text: note })),
      ...tree.proofs.map(({ text }) => ({ what: 'proof', text })),
    ]
    const found = ask(texts)
    const wanted = [...tree.notes, ...tree.proofs].map(({ name, says }) => [name, says])
    expect([...tree.notes, ...tree.proofs].map(({ name }, index) => [name, found[index]])).toEqual(wanted)
  })

  test('on every backup', () => {
    type Archive = { name: string; gzip: string; outcome: string; says?: object }
    const path = join(import.meta.dirname, '../../spec/vectors/backup/cases.json')
    const { archives } = JSON.parse(readFileSync(path, 'utf8')) as { archives: Archive[] }
    const found = ask(archives.map(({ gzip }) => ({ what: 'backup', bytes: gunzipSync(Buffer.from(gzip, 'base64')).toString('hex') })))
    const expected = archives.map(({ name, outcome, says }) => [name, { outcome, ...(says ? { says } : {}) }])
    expect(archives.map(({ name }, index) => [name, found[index]])).toEqual(expected)
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

  test('on every offer of a file, as far as it is a record', () => {
    type Offer = { name: string; signed: string; says?: { from: string; name: string; sizeBytes: number; sha256: string } }
    const cases = readFileSync(join(import.meta.dirname, '../../spec/vectors/files/cases.json'), 'utf8')
    const taken = (JSON.parse(cases) as { offers: Offer[] }).offers.filter(({ says }) => says !== undefined)
    const hex = (signed: string): string => Buffer.from(signed, 'base64url').toString('hex')
    const found = ask(taken.map(({ signed }) => ({ what: 'record', context: 'fairlead/file-offer/1', now: 0, bytes: hex(signed) })))
    const wanted = taken.map(({ says }) => {
      const { from: signer, name, sizeBytes: size, sha256 } = says!
      return { outcome: 'opened', signer, body: { name, size, sha256 } }
    })
    expect(found).toMatchObject(wanted)
  })
})

describe('agrees on mailboxes', () => {
  type Key = { seed: string; peerId: string; recipient: string; secret: string }
  type Item = { name: string; item: string; now?: number; outcome: string; says?: object; expiresAt?: number }
  type Mailbox = { keys: Record<'alice' | 'bob' | 'eve', Key>; weak: string[]; now: number; items: Item[] }
  const { keys, weak, now, items } = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../spec/vectors/mailbox/cases.json'), 'utf8'),
  ) as Mailbox

  test('on the recipient of each peer, and on keys to which nothing is sealed', () => {
    const peers = [...Object.values(keys), ...weak.map((peerId) => ({ peerId, recipient: null }))]
    expect(ask(peers.map(({ peerId }) => ({ what: 'keys', peerId })))).toEqual(peers.map(({ recipient }) => ({ recipient })))
  })

  test('on every item, which age opens for it', ({ skip }) => {
    skip(!hasAge, 'there is no age: apt-get install age')
    const { seed } = keys.bob
    const found = ask(
      items.map(({ item, now: at }) => ({ what: 'item', seed, now: at ?? now, bytes: Buffer.from(item, 'base64url').toString('hex') })),
    )
    expect(items.map(({ name }, index) => [name, found[index]])).toEqual(
      items.map(({ name, item: _i, now: _n, ...wanted }) => [name, wanted]),
    )
  })

  test('on what we seal', async ({ skip }) => {
    skip(!hasAge, 'there is no age: apt-get install age')
    const [sender, owner] = [createIdentity(), createIdentity()]
    const paths = [join(folder, 'seed'), join(folder, 'item')] as const
    writeFileSync(paths[0], owner.privateKeyRaw, { mode: 0o600 })
    const { signed } = await signMessage(sender, owner.peerId, 'for Zoë', Date.now(), { mayWait: true })
    writeFileSync(paths[1], await seal(owner.peerId, signed))
    expect(run('item', ...paths)).toMatchObject({ status: 0, found: { outcome: 'taken', says: { from: sender.peerId, text: 'for Zoë' } } })
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

test('what we signed and witnessed of a ledger holds, and one entry is proved; with the ledger made anew from the second entry on it does not', async () => {
  const at = join(folder, 'signed')
  const [owner, watcher] = [createIdentity(), createIdentity()]
  const origin = 'reader.example'
  const needs = { identity: owner, clock: systemClock, log: silentLog }
  for (const count of [5, 16]) {
    const ledger = openLedger({ ...needs, folder: at, origin, maxSegmentBytes: 1_000 })
    for (let n = 0; n < count; n++) await ledger.append({ event: 'call', n })
    await ledger.close()
    const made = (await checkpointLedger(needs, { folder: at, origin }))!
    if (count === 16) writeFileSync(join(folder, 'entry'), await entryProofText(made, made.checkpoint, 9))
    else {
      const line = await openWitness({ ...needs, identity: watcher }, join(folder, 'memory')).sign(owner.peerId, await growthText(made, 0))
      writeWitnessed(made.names, watcher.peerId, withCosignature(made.checkpoint, line, watcher.peerId))
    }
  }
  const signed = [
    { size: 21, holds: true, witnesses: [] },
    { size: 5, holds: true, witnesses: [watcher.peerId] },
  ]
  expect(run('ledger', at, origin)).toMatchObject({ status: 0, found: { intact: true, entries: 21, signed } })
  expect(run('proof', join(folder, 'entry'))).toMatchObject({ status: 0, found: { seq: 9, owner: owner.peerId, size: 21 } })
  const lines = readdirSync(at)
    .filter((name) => name.endsWith('.jsonl'))
    .sort((a, b) => (a === 'ledger.jsonl' ? 1 : b === 'ledger.jsonl' ? -1 : a < b ? -1 : 1))
    .flatMap((name) => {
      const found = readFileSync(join(at, name), 'utf8').split('\n').slice(0, -1)
      rmSync(join(at, name))
      return found
    })
  let prev = (JSON.parse(lines[0]!) as { hash: string }).hash
  const remade = lines.slice(1).map((_, index) => {
    const { line, hash } = sealLine(index + 2, '2026-11-20T12:00:00.000Z', '"event":"other"', prev)
    prev = hash
    return line
  })
  rmSync(join(at, 'ledger.head'))
  writeFileSync(join(at, 'ledger.jsonl'), `${lines[0]}\n${remade.join('')}`)
  const bad = signed.map((one) => ({ ...one, holds: false }))
  expect(run('ledger', at, origin)).toMatchObject({ status: 1, found: { intact: false, entries: 21, signed: bad } })
})

test('a card and a record that we signed are opened; with any byte altered, never', async () => {
  const identity = createIdentity()
  const now = Date.now()
  const card = await signCard(identity, {
    name: 'Zoë’s box',
    addresses: ['/ip4/192.0.2.7/tcp/8766'],
    sequence: now,
    expiresAt: now + 60_000,
  })
  const path = join(folder, 'card')
  writeFileSync(path, card)
  expect(run('card', path)).toMatchObject({ status: 0, found: { outcome: 'opened', said: { peerId: identity.peerId, name: 'Zoë’s box' } } })
  expect(run('card', path, String(now + 60_000))).toEqual({ status: 1, found: { outcome: 'expired' } })
  expect(run('record', 'fairlead/other/1', path)).toEqual({ status: 1, found: { outcome: 'bad signature' } })
  const raw = await signRecord(identity, 'fairlead/example/1', {
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
