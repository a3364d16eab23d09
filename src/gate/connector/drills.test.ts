// Proves that a line of the rotation ledger is what the runbook says, chained, and that one which cannot be understood is told and left out.
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { verifyLedger } from '../../base/ledger/verify.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { addDrills, drillOf, drillsFile, drillsOrigin, readDrills } from './drills.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
function newFolder(): string {
  folders.push(mkdtempSync(join(tmpdir(), 'fairlead-drills-')))
  return folders.at(-1)!
}

const rotatedMs = Date.UTC(2025, 8, 25, 9, 58, 33)
const drill = (connector: string, kind: 'rotation' | 'drill' | 'gap' = 'drill') =>
  drillOf({ connector, kind, rotatedMs, windowMs: 48 * 3_600_000 })

test('G17: its members, in their order', async () => {
  const folder = newFolder()
  await addDrills({ clock, log }, folder, [
    drill('operator_api'),
    drillOf({ connector: 'x', kind: 'rotation', rotatedMs, windowMs: 5_400_000 }, { more: 1 }),
  ])
  const [first, second] = readFileSync(join(folder, drillsFile), 'utf8').split('\n')
  expect(first!.replace(/^\{"seq":1,"time":"[^"]+",/, '{').replace(/,"prev":.*/, '}')).toBe(
    '{"connector_id":"operator_api","rotated_at":"2025-09-25T09:58:33Z","window_hours":48,"rotation_window":{"window_id":"20250925T095833Z-PT48H","started_at":"2025-09-25T09:58:33Z","expires_at":"2025-09-27T09:58:33Z","duration":"PT48H"},"kind":"drill"}',
  )
  expect(JSON.parse(second!)).toMatchObject({
    window_hours: 1.5,
    rotation_window: { window_id: '20250925T095833Z-PT1H30M' },
    kind: 'rotation',
    more: 1,
  })
  expect(await verifyLedger(folder, { file: drillsFile, origin: drillsOrigin })).toMatchObject({ intact: true, entries: 2 })
})

test('G17: bad lines are told and left out, wherever they are, and the rest is read', async () => {
  const folder = newFolder()
  const path = join(folder, drillsFile)
  await addDrills({ clock, log }, folder, [drill('operator_api'), drill('operator_upload')])
  const [one, two] = readFileSync(path, 'utf8').split('\n') as [string, string]
  const lines = [
    one,
    'nonsense',
    '{"connector_id":"operator_api","rotated_at":"2026-01-01T00:00:00Z","window_hours":48}', // by hand: fresh, and in no chain
    two.replace('operator_upload', 'operator_other'),
    two,
    '{"cut',
  ]
  writeFileSync(path, lines.join('\n'))
  const { drills, bad } = await readDrills(folder)
  expect(drills.map(({ seq, connector_id: id }) => [seq, id])).toEqual([
    [1, 'operator_api'],
    [2, 'operator_upload'],
  ])
  expect(bad.map(({ line, problem }) => [line, problem])).toEqual([
    [2, 'not a ledger line'],
    [3, 'not a ledger line'],
    [4, 'altered: its bytes do not give its hash'],
    [6, 'cut off: its end is missing'],
  ])
})

test('lines in the chain that say nothing of a rotation are told, too', async () => {
  const folder = newFolder()
  const good = drill('operator_api')
  const window = good.rotation_window
  const wrong = [
    { ...good, connector_id: '' },
    { ...good, rotated_at: '2025-09-25' },
    { ...good, window_hours: 'PT48H' },
    { ...good, window_hours: 0 },
    { ...good, kind: 'rehearsal' },
    { ...good, rotation_window: null },
    { ...good, rotation_window: { ...window, duration: 'PT' } },
    { ...good, rotation_window: { ...window, expires_at: window.started_at } },
  ]
  await addDrills({ clock, log }, folder, [...wrong, good] as never)
  const { drills, bad } = await readDrills(folder)
  expect([drills.length, bad.map(({ line }) => line)]).toEqual([1, [1, 2, 3, 4, 5, 6, 7, 8]])
})

test('writing goes on after a torn end, and what was torn off is told by the ledger itself', async () => {
  const folder = newFolder()
  const path = join(folder, drillsFile)
  await addDrills({ clock, log }, folder, [drill('operator_api')])
  appendFileSync(path, '{"seq":2,"time":"2026')
  await addDrills({ clock, log }, folder, [drill('operator_upload')])
  const { drills, bad } = await readDrills(folder)
  expect([drills.map((line) => line.connector_id), bad]).toEqual([['operator_api', 'operator_upload'], []])
  expect(await verifyLedger(folder, { file: drillsFile, origin: drillsOrigin })).toMatchObject({ intact: true })
})

test('many write at once, and each line is there once', async () => {
  const folder = newFolder()
  await Promise.all(Array.from({ length: 6 }, (_, i) => addDrills({ clock, log }, folder, [drill(`connector_${i}`)])))
  const { drills } = await readDrills(folder)
  expect(drills.map((line) => line.connector_id).toSorted()).toEqual(Array.from({ length: 6 }, (_, i) => `connector_${i}`))
  expect(await readDrills(newFolder())).toEqual({ drills: [], bad: [] })
})
