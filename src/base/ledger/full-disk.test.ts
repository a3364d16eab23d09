// A disk that is really full: a small file system of its own, where this machine lets us mount one.
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, rmdirSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { openLedger } from './ledger.ts'
import { verifyLedger } from './verify.ts'

let root: string
let problem = ''
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'full-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', root], { stdio: 'pipe' })
  } catch (error) {
    problem = `cannot mount a small file system: ${(error as Error).message.trim()}`
  }
})
afterAll(() => {
  if (problem === '') execFileSync('umount', ['-l', root]) // lazily: a test that failed may still have files open
  rmdirSync(root)
})

function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (;;) writeSync(file, Buffer.alloc(4_096))
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC')
  } finally {
    closeSync(file)
  }
}

/** A clock whose timers all run at `tick`. */
function handClock(): { clock: Clock; tick: () => void } {
  const timers = new Set<() => void>()
  const after: Clock['after'] = (_delayMs, act) => {
    timers.add(act)
    return () => timers.delete(act)
  }
  const tick = (): void => {
    const due = [...timers]
    timers.clear()
    for (const act of due) act()
  }
  return { clock: { ...systemClock, after }, tick }
}

test('on a full disk what has begun can still end, nothing new begins, and all goes on when there is room', async (context) => {
  if (problem !== '') return context.skip(problem)
  const folder = join(root, 'ledger')
  const filler = join(root, 'filler')
  const { clock, tick } = handClock()
  const ledger = openLedger({ folder, origin: 'full', clock, log: silentLog, reserveBytes: 65_536 })
  await ledger.append({ event: 'begin', text: 'x'.repeat(4_000) })
  fill(filler)

  // The write that meets the full disk still succeeds, from the reserve; then only conclusions do.
  const isTaken = (writing: Promise<unknown>): Promise<boolean> =>
    writing.then(
      () => true,
      (error: unknown) => {
        expect(error).toMatchObject({ code: 'ledger.unwritable', details: { reason: 'ENOSPC' } })
        return false
      },
    )
  let acknowledged = 1
  while (await isTaken(ledger.append({ event: 'begin', text: 'x'.repeat(4_000) }, 'synced'))) acknowledged++
  await ledger.conclude({ event: 'end' })
  const text = readFileSync(join(folder, 'ledger.jsonl'), 'utf8')
  expect(text).toContain('"ledger":"full"')
  expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: acknowledged + 2, torn: [] })

  // The reserve does not last for ever either: then nothing is acknowledged, and nothing torn is left.
  let concluded = 1
  while (await isTaken(ledger.conclude({ event: 'end', text: 'x'.repeat(9_000) }))) concluded++
  expect(concluded).toBeGreaterThan(3)
  await expect(ledger.append({ event: 'begin' })).rejects.toMatchObject({ code: 'ledger.unwritable' })
  expect(await verifyLedger(folder)).toMatchObject({ intact: true, entries: acknowledged + 1 + concluded, torn: [] })

  tick()
  await expect(ledger.append({ event: 'begin' })).rejects.toMatchObject({ code: 'ledger.unwritable' })
  rmSync(filler)
  tick()
  await ledger.append({ event: 'begin' }, 'synced')
  await ledger.close()
  expect(await verifyLedger(folder, { origin: 'full' })).toMatchObject({
    intact: true,
    entries: acknowledged + concluded + 3,
    gaps: [],
    torn: [],
  })
  expect(readFileSync(join(folder, 'ledger.jsonl'), 'utf8')).toMatch(/"ledger":"resumed","refused":\d/)
})

test('a ledger opens on a full disk, refuses to begin, and begins when there is room', async (context) => {
  if (problem !== '') return context.skip(problem)
  const folder = join(root, 'late')
  const filler = join(root, 'filler')
  const { clock, tick } = handClock()
  fill(filler)
  const ledger = openLedger({ folder, origin: 'late', clock, log: silentLog, reserveBytes: 65_536 })
  await expect(ledger.append({ event: 'begin' })).rejects.toMatchObject({ code: 'ledger.unwritable' })
  rmSync(filler)
  tick()
  await ledger.append({ event: 'begin' })
  await ledger.close()
  expect(await verifyLedger(folder, { origin: 'late' })).toMatchObject({ intact: true, entries: 2, torn: [] })
})
