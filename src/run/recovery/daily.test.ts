// What the agent copies by itself: when it is due and not before, a restart notwithstanding; kept by count and age.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { type TestClock, createTestClock } from '../../../test/kit/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { backUpService, backupNames, dropBackups } from './backups.ts'
import { dataFolder } from '../files/data-folder.ts'
import { copyDaily } from './daily.ts'

const dayMs = 86_400_000

function bed(clock: TestClock) {
  const folder = mkdtempSync(join(tmpdir(), 'daily-'))
  later(() => rmSync(folder, { recursive: true }))
  const places = { services: join(folder, 'srv'), backups: join(folder, 'backups'), folder: join(folder, 'srv/mcp') }
  mkdirSync(join(places.services, 'web'), { recursive: true })
  writeFileSync(join(places.services, 'web/a'), 'a')
  const notes: string[] = []
  let fails = false
  const copied: string[] = []
  const node = {
    known: { all: async () => ['mcp', 'nodata', 'web'].map((name) => ({ service: { name } })) },
    registry: { note: (_place: object, event: string, detail: string) => notes.push(`${event}: ${detail}`) },
  }
  const backUp = async (service: string): Promise<void> => {
    if (fails) throw new Error('no room')
    copied.push(service)
    dataFolder(places, service)
    await backUpService({ clock }, places, { service, node: 'rift' })
    dropBackups({ clock }, places, service, { most: 3, ageMs: 10 * dayMs })
  }
  let snapshots: string[] = []
  const start = () =>
    copyDaily(
      {
        clock,
        log,
        node: node as never,
        recovery: { backUp },
        snapshots: () => snapshots,
        snapshot: async () => (snapshots = [`${new Date(clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '')}.db`, ...snapshots]),
      },
      places,
      dayMs,
    )
  return { places, notes, copied, start, fail: (is: boolean) => (fails = is), snapshots: () => snapshots }
}

/** Real files are written between the steps of this clock. */
async function pass(clock: TestClock, ms: number, until: () => boolean): Promise<void> {
  await clock.advance(ms)
  await expect.poll(until).toBe(true)
  await expect.poll(() => clock.waiting).toBe(1)
}

test('each day one, as many and as old as are kept, and none twice after a restart', async () => {
  const clock = createTestClock()
  const { places, start, copied, snapshots } = bed(clock)
  const names = () => backupNames(places, 'web')
  let daily = start()
  await pass(clock, 10_000, () => names().length === 1)
  expect(snapshots()).toHaveLength(1)
  for (let n = 0; n < 6; n++) await pass(clock, 600_000, () => true)
  expect(names()).toHaveLength(1)
  await daily[Symbol.asyncDispose]()
  daily = start()
  await pass(clock, 600_000, () => true)
  expect(names()).toHaveLength(1)
  for (let day = 2; day <= 5; day++) {
    await clock.advance(dayMs - 3_600_000)
    for (let n = 0; n < 12; n++) await pass(clock, 600_000, () => true)
    await expect.poll(() => copied.filter((name) => name === 'web').length).toBe(day)
  }
  await expect.poll(() => names().length).toBe(3)
  expect(snapshots()).toHaveLength(5)
  expect(readdirSync(join(places.backups, 'web')).sort()).toEqual([...names()].sort())
  await daily[Symbol.asyncDispose]()
})

test('what fails is told, tried again after an hour, and holds up nothing else', async () => {
  const clock = createTestClock()
  const { places, start, notes, fail, snapshots } = bed(clock)
  fail(true)
  await using _ = start()
  await pass(clock, 10_000, () => notes.length > 0)
  expect(notes).toEqual(['backup-failed: unexpected: no room'])
  expect(snapshots()).toHaveLength(1)
  await pass(clock, 600_000, () => true)
  expect(notes).toHaveLength(1)
  fail(false)
  for (let n = 0; n < 6; n++) await pass(clock, 600_000, () => true)
  await expect.poll(() => backupNames(places, 'web').length).toBe(1)
})

test('the newest stays however old it is, and a backup that was cut off is none', async () => {
  const clock = createTestClock()
  const { places } = bed(clock)
  const { name } = await backUpService({ clock }, places, { service: 'web', node: 'rift' })
  mkdirSync(join(places.backups, 'web/20990101T000000Z.partial')) // of one that was killed
  await clock.advance(100 * dayMs)
  dropBackups({ clock }, places, 'web', { most: 1, ageMs: dayMs })
  expect(backupNames(places, 'web')).toEqual([name])
  await backUpService({ clock }, places, { service: 'web', node: 'rift' })
  expect(readdirSync(join(places.backups, 'web')).filter((one) => one.endsWith('.partial'))).toEqual([])
  expect(() => dataFolder(places, 'mcp')).toThrow(expect.objectContaining({ code: 'run.own_folder' }))
})
