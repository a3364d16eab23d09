// A process that rotates a connector's credential and may be killed at any moment of it: `rotation.fixture.ts <folder> <kill at> <holder>`. With `holder` somebody hand-shakes with the
// new one as soon as it is waited for; without, nobody does. Exit code: 0 done, 1 undone, 2 else.
import { join } from 'node:path'
import { killPoints } from '../../../test/kit/kill-points.ts'
import { openLedger } from '../../base/ledger/ledger.ts'
import { carryOut } from '../../base/steps/plan.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { randomId } from '../../kernel/random.ts'
import { ConnectorCredentialsTable } from './credentials.ts'
import { type RotationInput, rotationSteps } from './rotation.ts'

const [folder = '', at = '-1', holder] = process.argv.slice(2)
const connectors = ['operator_api', 'operator_upload']
const { wrap, log: killing } = killPoints(Number(at))
const written = openLedger({ folder: join(folder, 'ledger'), origin: 'test', clock, log })
const ledger: typeof written = {
  ...written,
  next: written.next,
  last: written.last,
  close: () => written.close(),
  async append(entry, durability) {
    killing.debug('the deed is done and not recorded')
    return written.append(entry, durability)
  },
}
const windowsMs = { operator_api: 172_800_000, operator_upload: 172_800_000 }
const credentials = new ConnectorCredentialsTable({ clock }, { folder, windowsMs })
const needs = {
  clock,
  log,
  ledger,
  credentials,
  usesStill: () => false,
  changed: async (withinMs: number) => {
    if (holder) for (const id of connectors) credentials.prove(id, 'new')
    else await clock.wait(withinMs)
  },
  ended: async () => {},
  signal: new AbortController().signal,
}
const settings = { process: randomId(), ledgerFolder: join(folder, 'ledger'), drillsFolder: join(folder, 'logs') }
const begin = (): RotationInput => ({
  id: 'the-rotation',
  process: settings.process,
  connectors,
  sha256: 'new',
  old: { operator_api: 'old', operator_upload: 'old' },
  untilMs: clock.now() + (holder ? 60_000 : 200),
  fromSeq: written.next,
})
try {
  const steps = (input: RotationInput) => wrap(rotationSteps(needs, settings, input))
  const { outcome } = await carryOut({ log: killing }, { folder, name: 'rotate', begin, steps })
  process.exitCode = outcome === 'done' ? 0 : 1
} catch (error) {
  process.exitCode = (error as { code?: string }).code === 'steps.undone' ? 1 : 2
}
await written.close()
