// A rotation that is killed at any moment, by a real SIGKILL, always leaves a credential that holds, and goes on when it is called again, with each record once.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { atEveryPoint, runKilled } from '../../../test/kit/kill-points.ts'
import { verifyLedger } from '../../base/ledger/verify.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { ConnectorCredentialsTable } from './credentials.ts'
import { drillsFile, drillsOrigin, readDrills } from './drills.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
const fixture = join(import.meta.dirname, 'rotation.fixture.ts')
const ids = ['operator_api', 'operator_upload'] as const

function open(folder: string): ConnectorCredentialsTable {
  return new ConnectorCredentialsTable({ clock }, { folder, windowsMs: { operator_api: 172_800_000, operator_upload: 172_800_000 } })
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-rotate-'))
  folders.push(folder)
  const credentials = open(folder)
  credentials.offer(ids, 'old', { untilMs: clock.now(), replaced: [] })
  credentials.promote(ids, 'old')
  return folder
}

/** As whoever shows them sees it: which of the two hold for each connector. */
function holding(folder: string): string[] {
  const credentials = open(folder)
  return ids.map((id) => ['old', 'new'].filter((one) => credentials.servedBy(one).includes(id)).join(' and '))
}

function eventsOf(folder: string): string[] {
  const lines = readFileSync(join(folder, 'ledger', 'ledger.jsonl'), 'utf8')
    .split('\n')
    .filter(Boolean)
  return lines.map((line) => JSON.parse(line) as { event?: string }).flatMap(({ event }) => (event === undefined ? [] : [event]))
}

const isUnfinished = (folder: string): boolean => existsSync(join(folder, 'rotate.plan.json'))

test(
  'G16: killed at every moment, one credential holds; called again, it is the new one, with each record once',
  { timeout: 240_000 },
  async () => {
    const points = await atEveryPoint(async (at) => {
      const folder = newFolder()
      const wasKilled = (await runKilled([fixture, folder, String(at), 'holder'])) === null
      for (const held of holding(folder)) expect([at, ['old', 'old and new', 'new']]).toEqual([at, expect.arrayContaining([held])])
      if (wasKilled && isUnfinished(folder)) expect([at, await runKilled([fixture, folder, '-1', 'holder'])]).toEqual([at, 0])
      expect([at, holding(folder)]).toEqual([at, ['new', 'new']])
      expect([at, eventsOf(folder)]).toEqual([at, ['rotation.offered', 'rotation.proved', 'rotation.ended']])
      const { drills, bad } = await readDrills(join(folder, 'logs'))
      expect([at, drills.map(({ connector_id: id, kind }) => `${kind} ${id}`), bad]).toEqual([at, ids.map((id) => `rotation ${id}`), []])
      expect(drills[0]).toMatchObject({ fingerprint: { before: 'old', after: 'new' } })
      for (const [place, options] of [
        ['ledger', { origin: 'test' }],
        ['logs', { file: drillsFile, origin: drillsOrigin }],
      ] as const)
        expect([at, await verifyLedger(join(folder, place), options)]).toMatchObject([at, { intact: true, gaps: [] }])
      return { wasKilled }
    })
    expect(points).toBe(4 * 3 + 1 + 3)
  },
)

test(
  'G16: without a holder that proves it all is taken back, killed on the way or not, and nothing is recorded as a rotation',
  { timeout: 240_000 },
  async () => {
    await atEveryPoint(async (at) => {
      const folder = newFolder()
      const wasKilled = (await runKilled([fixture, folder, String(at)])) === null
      for (const held of holding(folder)) expect([at, ['old', 'old and new']]).toEqual([at, expect.arrayContaining([held])])
      if (wasKilled && isUnfinished(folder)) expect([at, await runKilled([fixture, folder, '-1'])]).toEqual([at, 1])
      expect([at, holding(folder), isUnfinished(folder)]).toEqual([at, ['old', 'old'], false])
      expect([at, eventsOf(folder)]).toEqual([at, ['rotation.offered', 'rotation.withdrawn']])
      expect(await readDrills(join(folder, 'logs'))).toEqual({ drills: [], bad: [] })
      return { wasKilled }
    })
  },
)
