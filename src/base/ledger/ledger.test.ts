// What is acknowledged is there, whatever happens to the process, the file or the disk.
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { type Log, silentLog } from '../../kernel/log.ts'
import { type Disk, systemDisk } from './disk.ts'
import { type Ledger, type LedgerOptions, openLedger } from './ledger.ts'
import { verifyLedger } from './verify.ts'

let folder: string
let ledger: Ledger | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ledger-'))
})
afterEach(async () => {
  await ledger?.close()
  ledger = undefined
  rmSync(folder, { recursive: true })
})

function open(options: Partial<LedgerOptions> = {}): Ledger {
  return (ledger = openLedger({ folder, origin: 'test/calls', clock: systemClock, log: silentLog, ...options }))
}

async function write(count: number, options: Partial<LedgerOptions> = {}): Promise<void> {
  const open_ = open(options)
  for (let index = 0; index < count; index++) await open_.append({ event: 'call', index })
  await open_.close()
}

const active = (): string => join(folder, 'ledger.jsonl')
const lines = (path = active()): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
const segments = (): string[] =>
  readdirSync(folder)
    .filter((name) => /\.(jsonl|log)/.test(name))
    .sort()

describe('appending', () => {
  test('numbers, times and chains entries, and keeps the members as written', async () => {
    const clock: Clock = { ...systemClock, now: () => Date.UTC(2026, 10, 20) }
    open({ clock })
    expect(ledger!.next).toBe(1)
    const first = await ledger!.append({ event: 'begin', z: 1, a: [null, 'ä'] })
    const second = await ledger!.append('"event":"end","n":1.50')
    await ledger!.append({})
    const text = readFileSync(active(), 'utf8').split('\n')
    expect(text[0]).toMatch(
      /^\{"seq":1,"time":"2026-11-20T00:00:00\.000Z","event":"begin","z":1,"a":\[null,"ä"\],"prev":"[\w-]{43}","hash":"[\w-]{43}"\}$/,
    )
    expect(text[1]).toBe(
      `{"seq":2,"time":"2026-11-20T00:00:00.000Z","event":"end","n":1.50,"prev":"${first.hash}","hash":"${second.hash}"}`,
    )
    expect(second.seq).toBe(2)
    expect(ledger!.last.seq).toBe(3)
    expect(await verifyLedger(folder, { origin: 'test/calls' })).toMatchObject({ intact: true, entries: 3, gaps: [], torn: [] })
  })

  test('all that one turn of the event loop appends goes out in one write', async () => {
    const writes: number[] = []
    const disk: Disk = { ...systemDisk, append: (file, bytes) => (writes.push(bytes.length), systemDisk.append(file, bytes)) }
    open({ disk })
    const all = Promise.all(Array.from({ length: 50 }, (_, index) => ledger!.append({ index })))
    expect(writes).toEqual([])
    expect((await all).map((place) => place.seq)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1))
    expect(writes).toEqual([statSync(active()).size])
  })

  test('what is acknowledged is in the file', async () => {
    open()
    const { seq } = await ledger!.append({ event: 'x' })
    expect(lines().at(-1)).toMatchObject({ seq, event: 'x' })
  })

  test('refuses what would break the format', async () => {
    open()
    await expect(ledger!.append('"a":1\n')).rejects.toMatchObject({ code: 'ledger.bad_entry', kind: 'bug' })
    await expect(ledger!.append({ seq: 3 })).rejects.toMatchObject({ code: 'ledger.bad_entry' })
    await expect(ledger!.append({ hash: '' })).rejects.toMatchObject({ code: 'ledger.bad_entry' })
    await expect(ledger!.append({ text: 'x'.repeat(70_000) })).rejects.toMatchObject({ code: 'ledger.too_large', kind: 'limited' })
    expect((await ledger!.append({ text: 'ä'.repeat(60_000) })).seq).toBe(1)
    await ledger!.close()
    await expect(ledger!.append({})).rejects.toMatchObject({ code: 'ledger.closed' })
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 1 })
  })

  test('has one writer', () => {
    open()
    expect(() => openLedger({ folder, origin: 'test/calls', clock: systemClock, log: silentLog })).toThrow(
      expect.objectContaining({ code: 'store.locked' }),
    )
  })
})

describe('reopening', () => {
  test('continues the chain', async () => {
    await write(3)
    await write(2)
    expect(lines().map((line) => line['seq'])).toEqual([1, 2, 3, 4, 5])
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 5, last: { seq: 5 } })
  })

  test('cuts a torn end off and says so', async () => {
    await write(3)
    appendFileSync(active(), '{"seq":4,"time":"2026-')
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 3, torn: [{ file: 'ledger.jsonl', sizeBytes: 22 }] })
    await write(1)
    expect(lines().slice(3)).toMatchObject([
      { seq: 4, ledger: 'recovered', droppedBytes: 22 },
      { seq: 5, index: 0 },
    ])
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 5, torn: [], gaps: [] })
  })

  test('cuts off garbage with line feeds after the synced end, and keeps its bytes', async () => {
    await write(3)
    appendFileSync(active(), `${'\0'.repeat(5_000)}\n\0\0\n`)
    await write(1)
    const [note] = lines().slice(3)
    expect(note).toMatchObject({ ledger: 'recovered', droppedBytes: 5_004 })
    expect(readFileSync(join(folder, note!['keptAs'] as string))).toHaveLength(5_004)
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 5 })
  })

  test('a file that was no ledger is kept aside, not written over', async () => {
    writeFileSync(active(), 'an old log\nof another program\n')
    await write(1)
    const kept = lines()[0]!['keptAs'] as string
    expect(readFileSync(join(folder, kept), 'utf8')).toBe('an old log\nof another program\n')
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 2 })
  })

  test.each([
    ['lines cut off the end', (path: string) => truncateSync(path, readFileSync(path).indexOf('\n', 500) + 1)],
    ['the whole file deleted', (path: string) => rmSync(path)],
    ['the last line altered', (path: string) => writeFileSync(path, readFileSync(path, 'utf8').replace('"index":9', '"index":8'))],
  ])('%s: found, and the chain goes on behind a gap that stays reported', async (_name, harm) => {
    await write(10)
    harm(active())
    const errors: string[] = []
    expect((await verifyLedger(folder)).intact).toBe(false)
    await write(2, { log: { ...silentLog, error: (event) => errors.push(event) } satisfies Log })
    expect(errors).toContain('ledger.recovered')
    const verdict = await verifyLedger(folder)
    expect(lines().map((line) => line['seq'])).toEqual([11, 12, 13])
    expect(lines()[0]).toMatchObject({ ledger: 'recovered', lostTo: 10 })
    if (verdict.intact) expect(verdict.gaps).toMatchObject([{ to: 10 }])
    else expect(verdict.firstBad).toMatchObject({ line: 10, problem: expect.stringContaining('altered') as string })
  })

  test('a ledger that its owner may delete begins anew, running or not', async () => {
    open({ mayBeDeleted: true })
    await ledger!.append({ n: 1 })
    rmSync(active())
    expect((await ledger!.append({ n: 2 })).seq).toBe(1)
    await ledger!.close()
    rmSync(active())
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 0 })
    await write(2, { mayBeDeleted: true })
    expect(await verifyLedger(folder, { origin: 'test/calls' })).toMatchObject({ intact: true, entries: 2, gaps: [] })
  })
})

describe('segments', () => {
  test('rotation by size continues the chain, in files named by their first number', async () => {
    await write(40, { maxSegmentBytes: 2_000 })
    expect(segments().length).toBeGreaterThan(3)
    for (const name of segments()) {
      if (name !== 'ledger.jsonl') expect(Number(name.split('.')[1])).toBe(lines(join(folder, name))[0]!['seq'])
    }
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 40, gaps: [] })
    await write(1)
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 41, gaps: [] })
  })

  test('a dropped segment is a reported gap', async () => {
    await write(40, { maxSegmentBytes: 2_000 })
    const [first, second, third] = segments()
    rmSync(join(folder, second!))
    const [from, to] = [Number(second!.split('.')[1]), Number(third!.split('.')[1]) - 1]
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, gaps: [{ from, to }] })
    rmSync(join(folder, first!))
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, gaps: [{ from: 1, to }] })
  })

  test('a file renamed away while we write is noticed at once, deleted or packed later or not', async () => {
    open({ file: 'audit.log' })
    const path = join(folder, 'audit.log')
    await ledger!.append({ n: 1 })
    renameSync(path, `${path}.1`)
    await ledger!.append({ n: 2 }, 'synced')
    expect([lines(`${path}.1`).length, lines(path).length]).toEqual([1, 1])
    writeFileSync(`${path}.2.gz`, gzipSync(readFileSync(`${path}.1`)))
    rmSync(`${path}.1`)
    expect(await verifyLedger(folder, { file: 'audit.log' })).toMatchObject({ intact: true, entries: 2, gaps: [] })
    copyFileSync(path, `${path}.1`)
    truncateSync(path)
    await ledger!.append({ n: 3 })
    expect(await verifyLedger(folder, { file: 'audit.log' })).toMatchObject({ intact: true, entries: 3, gaps: [] })
    rmSync(path)
    await ledger!.append({ n: 4 })
    expect(await verifyLedger(folder, { file: 'audit.log' })).toMatchObject({ intact: true, entries: 3, gaps: [{ from: 3, to: 3 }] })
  })

  test('only packed files left at the opening: the chain goes on', async () => {
    await write(3)
    writeFileSync(`${active()}.1.gz`, gzipSync(readFileSync(active())))
    rmSync(active())
    await write(1)
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 4, gaps: [] })
    expect(lines()[0]).toMatchObject({ seq: 4, index: 0 })
  })

  const directives = ['create 0600', 'nocreate', 'copytruncate', 'create 0600\ncompress', 'nocreate\ndateext\ndateformat -%Y%m%d-%s']
  test.for(directives)('the real logrotate: %j', async (directive, context) => {
    const logrotate = '/usr/sbin/logrotate'
    if (!existsSync(logrotate)) return context.skip('logrotate is not installed')
    open({ file: 'audit.log' })
    const config = join(folder, 'rotate.conf')
    writeFileSync(config, `${join(folder, 'audit.log')} {\nrotate 9\nsu root root\n${directive}\n}\n`, { mode: 0o600 })
    const rounds = directive.includes('dateext') ? 1 : 4 // its names have seconds
    for (let round = 0; round < rounds; round++) {
      await ledger!.append({ round })
      execFileSync(logrotate, ['-f', '-s', join(folder, 'state'), config])
      await ledger!.append({ round })
    }
    expect(readdirSync(folder).filter((name) => name.startsWith('audit.log')).length).toBe(rounds + 1)
    expect(await verifyLedger(folder, { file: 'audit.log' })).toMatchObject({ intact: true, entries: 2 * rounds, gaps: [] })
  })
})

describe('durability', () => {
  test('synced waits for the disk, in groups; what was only written is synced within its time', async () => {
    const finish: (() => void)[] = []
    const disk: Disk = { ...systemDisk, sync: () => new Promise((resolve) => finish.push(resolve)) }
    const timers: { delayMs: number; act: () => void }[] = []
    const clock: Clock = { ...systemClock, after: (delayMs, act) => (timers.push({ delayMs, act }), () => {}) }
    open({ disk, clock })
    const settled: string[] = []
    const note = (name: string) => () => void settled.push(name)
    await ledger!.append({ n: 0 })
    expect(timers.map((timer) => timer.delayMs)).toEqual([1_000])
    expect(finish).toHaveLength(0)
    const one = ledger!.append({ n: 1 }, 'synced').then(note('one'))
    await ledger!.append({ n: 2 })
    expect([finish.length, settled]).toEqual([1, []])
    const two = ledger!.append({ n: 3 }, 'synced').then(note('two'))
    await ledger!.append({ n: 4 })
    expect(finish).toHaveLength(1) // the second waits for the next round: what it wrote came after the first began
    finish.shift()!()
    await expect.poll(() => finish.length).toBe(1) // the folder: the file's name is new
    finish.shift()!()
    await one
    expect(settled).toEqual(['one'])
    await expect.poll(() => finish.length).toBe(1)
    finish.shift()!()
    await two
    timers[0]!.act()
    finish.forEach((go) => go())
    const closed = ledger!.close()
    await expect.poll(() => (finish.forEach((go) => go()), settled.length)).toBe(2)
    await closed
  })

  test('a failed sync rejects who waited, begins a new segment and tells which entries are in doubt', async () => {
    let fails = false
    const disk: Disk = {
      ...systemDisk,
      sync: (file) => (fails ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : systemDisk.sync(file)),
    }
    open({ disk })
    await ledger!.append({ n: 1 }, 'synced')
    fails = true
    await ledger!.append({ n: 2 })
    await expect(ledger!.append({ n: 3 }, 'synced')).rejects.toMatchObject({ code: 'ledger.not_synced', details: { reason: 'EIO' } })
    fails = false
    await ledger!.append({ n: 4 }, 'synced')
    expect(lines()).toMatchObject([
      { seq: 4, ledger: 'unsynced', from: 2, to: 3 },
      { seq: 5, n: 4 },
    ])
    expect(segments()).toHaveLength(2)
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 5, gaps: [] })
  })
})

describe('a write that fails', () => {
  /** Fails with `code` as long as it stands, after writing the first half. */
  function failing(): Disk & { code: string | undefined } {
    return {
      ...systemDisk,
      code: undefined,
      append(file, bytes) {
        if (!this.code) return systemDisk.append(file, bytes)
        systemDisk.append(file, bytes.subarray(0, bytes.length >> 1))
        throw Object.assign(new Error(this.code), { code: this.code })
      },
    }
  }

  test('is refused as unwritable, leaves nothing behind, and all goes on when the disk is well again', async () => {
    const disk = failing()
    const timers: (() => void)[] = []
    const clock: Clock = { ...systemClock, after: (delayMs, act) => (delayMs === 1_000 && timers.push(act), () => {}) }
    open({ disk, clock, syncEveryMs: 999 })
    await ledger!.append({ n: 1 })
    disk.code = 'EIO'
    const [one, two] = await Promise.allSettled([ledger!.append({ n: 2 }), ledger!.append({ n: 3 }, 'synced')])
    expect(one).toMatchObject({
      status: 'rejected',
      reason: { code: 'ledger.unwritable', kind: 'unavailable', details: { reason: 'EIO' } },
    })
    expect(two.status).toBe('rejected')
    await expect(ledger!.append({ n: 4 })).rejects.toMatchObject({ code: 'ledger.unwritable' })
    await expect(ledger!.conclude({ n: 5 })).rejects.toMatchObject({ code: 'ledger.unwritable' })
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 1, torn: [] })
    timers.at(-1)!() // tries, fails and will try again
    await expect.poll(() => timers.length).toBe(2)
    disk.code = undefined
    timers.at(-1)!()
    await ledger!.append({ n: 6 })
    expect(lines()).toMatchObject([
      { seq: 2, ledger: 'resumed' },
      { seq: 3, n: 6 },
    ])
    expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: 3, gaps: [], torn: [] })
  })
})
