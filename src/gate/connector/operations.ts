// What an operator asks the running gate of its connectors.
import type { Handlers } from '../../base/control/api.ts'
import type { gateApi } from '../api.ts'
import { fault } from '../faults.ts'
import type { Connectors } from './connectors.ts'

type Operations = 'list-connectors' | 'rotate-connectors' | 'show-rotation' | 'freeze-connectors' | 'restore-connectors'

export function connectorHandlers(connectors: Connectors): Pick<Handlers<typeof gateApi>, Operations> {
  const known = connectors.states().map(({ connector_id: id }) => id)
  const check = (names: readonly string[]): void => {
    for (const name of names) if (!known.includes(name)) throw fault.unknown_connector({ name, known })
  }
  return {
    'list-connectors': async () => connectors.states(),
    'rotate-connectors': async ({ connectors: names, sha256, overlapMs }) => {
      check(names)
      return connectors.rotations.begin(names, sha256, overlapMs)
    },
    'show-rotation': async ({ connectors: names, sha256 }) => {
      check(names)
      return connectors.rotations.state(names, sha256) ?? { state: 'unknown' }
    },
    'freeze-connectors': async ({ why }) => ({ changed: await connectors.freeze(why) }),
    'restore-connectors': async () => ({ changed: await connectors.restore() }),
  }
}
