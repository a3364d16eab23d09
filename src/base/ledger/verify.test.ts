// Whatever is changed in a ledger is found and named.
import { appendFileSync, copyFileSync, cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { openLedger } from './ledger.ts'
import { genesis, seal } from './line.ts'
import { type LedgerVerdict, verifyLedger } from './verify.ts'

let root: string
let whole: string
const count = 30
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'verify-'))
  whole = join(root, 'whole')
  const ledger = openLedger({ folder: whole, origin: 'test', clock: systemClock, log: silentLog, maxSegmentBytes: 2_500 })
  for (let index = 0; index < count; index++) await ledger.append({ event: 'call', index, text: 'ä\n"\\'.repeat(index % 4) })
  await ledger.close()
})
afterAll(() => rmSync(root, { recursive: true }))

const files = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()

let copies = 0
/** The verdict on a copy of the ledger with one file changed; without the writer's note of what it synced, unless asked. */
async function verdictOn(file: string, change: (bytes: Buffer) => Buffer, { withWatermark = false } = {}): Promise<LedgerVerdict> {
  const folder = join(root, `copy-${copies++}`)
  cpSync(whole, folder, { recursive: true })
  if (!withWatermark) rmSync(join(folder, 'ledger.head'))
  const path = join(folder, file)
  writeFileSync(path, change(readFileSync(path)))
  try {
    return await verifyLedger(folder, { origin: 'test' })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const linesIn = (bytes: Buffer): string[] => bytes.toString('utf8').split('\n').slice(0, -1)
const joined = (lines: string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''))

test('the ledger that all this starts from is intact', async () => {
  expect(files(whole).length).toBeGreaterThan(2)
  expect(await verifyLedger(whole, { origin: 'test' })).toMatchObject({
    intact: true,
    entries: count,
    gaps: [],
    torn: [],
    last: { seq: count },
  })
  expect(await verifyLedger(whole, { origin: 'other' })).toMatchObject({ intact: false, firstBad: { line: 1, seq: 1 } })
})

test('any change of any byte is found, or is a torn end that is reported', async () => {
  const names = files(whole)
  const place = fc.tuple(fc.nat(names.length - 1), fc.nat(), fc.integer({ min: 1, max: 255 }))
  await fc.assert(
    fc.asyncProperty(place, async ([fileIndex, at, flip]) => {
      const name = names[fileIndex]!
      let isEnd = false
      const verdict = await verdictOn(name, (bytes) => {
        const index = at % bytes.length
        isEnd = index === bytes.length - 1
        bytes[index]! ^= flip
        return bytes
      })
      if (isEnd) expect(verdict).toMatchObject({ intact: true, torn: [{ file: name }] })
      else expect(verdict).toMatchObject({ intact: false, firstBad: { file: name } })
    }),
    { numRuns: 400 },
  )
})

test('every byte of one line, exhaustively: the line is named', async () => {
  const [name] = files(whole) as [string]
  const bytes = readFileSync(join(whole, name))
  const start = bytes.indexOf('\n') + 1
  const end = bytes.indexOf('\n', start)
  for (let at = start; at <= end; at++) {
    const verdict = await verdictOn(name, (copy) => ((copy[at]! ^= 1), copy))
    expect(verdict, `byte ${at - start}`).toMatchObject({ intact: false, firstBad: { file: name, line: 2, seq: 2 } })
  }
})

test('any bytes put in or taken out are found, or are a torn end', async () => {
  const [, name] = files(whole) as [string, string]
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.nat(40), fc.uint8Array({ maxLength: 40 }), async (at, take, put) => {
      let isSame = false
      let rest = 0
      const verdict = await verdictOn(name, (bytes) => {
        const index = at % (bytes.length + 1)
        const changed = Buffer.concat([bytes.subarray(0, index), put, bytes.subarray(index + take)])
        isSame = changed.equals(bytes)
        rest = changed.length - 1 - changed.lastIndexOf(0x0a)
        return changed
      })
      if (isSame) expect(verdict).toMatchObject({ intact: true, torn: [] })
      else if (verdict.intact) expect(verdict.torn).toEqual([{ file: name, sizeBytes: rest }])
      else expect(verdict.firstBad.problem).not.toBe('')
    }),
    { numRuns: 300 },
  )
})

describe('lines moved', () => {
  const cases: [string, (lines: string[]) => string[], object][] = [
    ['one deleted', (lines) => lines.toSpliced(2, 1), { line: 3, seq: 3, problem: expect.stringContaining('out of order: entry 4') }],
    [
      'two swapped',
      (lines) => [lines[0]!, lines[2]!, lines[1]!, ...lines.slice(3)],
      { line: 2, problem: expect.stringContaining('out of order') },
    ],
    ['one doubled', (lines) => [lines[0]!, lines[0]!, ...lines.slice(1)], { line: 2, problem: expect.stringContaining('out of order') }],
    ['an empty one put in', (lines) => ['', ...lines], { line: 1, problem: 'not a ledger line' }],
    [
      'a well-formed one put in',
      (lines) => [lines[0]!, seal(2, '2026-01-01T00:00:00.000Z', '"forged":true', genesis('test').hash).line.trimEnd(), ...lines.slice(1)],
      { line: 2, problem: expect.stringContaining('another chain') },
    ],
    ['carriage returns', (lines) => lines.map((line) => `${line}\r`), { line: 1 }],
  ]
  test.each(cases)('%s', async (_name, move, firstBad) => {
    const [name] = files(whole) as [string]
    expect(await verdictOn(name, (bytes) => joined(move(linesIn(bytes))))).toMatchObject({
      intact: false,
      firstBad: { file: name, ...firstBad },
    })
  })

  test('one re-made with its own right hash does not fit what follows', async () => {
    const [name] = files(whole) as [string]
    const verdict = await verdictOn(name, (bytes) => {
      const lines = linesIn(bytes)
      const { prev } = JSON.parse(lines[1]!) as { prev: string }
      lines[1] = seal(2, '2026-01-01T00:00:00.000Z', '"event":"other"', prev).line.trimEnd()
      return joined(lines)
    })
    expect(verdict).toMatchObject({
      intact: false,
      firstBad: { line: 3, seq: 3, problem: expect.stringContaining('another chain') as string },
    })
  })
})

describe('the end', () => {
  test('cut at a line that was synced: found; cut inside a line: torn and found', async () => {
    const clean = await verdictOn('ledger.jsonl', (bytes) => joined(linesIn(bytes).slice(0, -1)), { withWatermark: true })
    expect(clean).toMatchObject({
      intact: false,
      entries: count - 1,
      firstBad: { seq: count, problem: expect.stringContaining('cut off') as string },
    })
    const torn = await verdictOn('ledger.jsonl', (bytes) => bytes.subarray(0, -10))
    expect(torn).toMatchObject({ intact: true, entries: count - 1, torn: [{ file: 'ledger.jsonl' }] })
  })

  test('an entry known from elsewhere must be there, and be the same', async () => {
    const { last } = await verifyLedger(whole)
    expect(await verifyLedger(whole, { known: last! })).toMatchObject({ intact: true })
    expect(await verifyLedger(whole, { known: { seq: count + 1, hash: last!.hash } })).toMatchObject({ intact: false })
    expect(await verifyLedger(whole, { known: { seq: 5, hash: last!.hash } })).toMatchObject({ intact: false, firstBad: { seq: 5 } })
  })
})

test('an endless line, and a folder without a ledger', async () => {
  const folder = mkdtempSync(join(root, 'long-'))
  expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 0 })
  copyFileSync(join(whole, files(whole)[0]!), join(folder, 'ledger.jsonl'))
  appendFileSync(join(folder, 'ledger.jsonl'), 'x'.repeat(3_000_000))
  expect(await verifyLedger(folder)).toMatchObject({ intact: false, firstBad: { problem: 'not a ledger line' } })
})

test('memory stays bounded, whatever the size', async () => {
  const folder = mkdtempSync(join(root, 'large-'))
  let { seq, hash } = genesis('large')
  const path = join(folder, 'ledger.jsonl')
  for (let round = 0; round < 60; round++) {
    let text = ''
    for (let index = 0; index < 1_000; index++) {
      const sealed = seal(++seq, '2026-01-01T00:00:00.000Z', `"text":"${'x'.repeat(800)}"`, hash)
      hash = sealed.hash
      text += sealed.line
    }
    appendFileSync(path, text)
  }
  const before = process.memoryUsage.rss()
  expect(await verifyLedger(folder, { origin: 'large' })).toMatchObject({ intact: true, entries: 60_000 })
  expect(process.memoryUsage.rss() - before).toBeLessThan(40 << 20) // the file has 60 MB
})

test('a folder that is none is a fault', async () => {
  const path = join(root, 'plain')
  writeFileSync(path, '')
  await expect(verifyLedger(path)).rejects.toMatchObject({ code: 'ledger.unreadable', kind: 'unavailable' })
})
