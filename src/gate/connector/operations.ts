// What an operator asks the running gate of its connectors, checked as it comes in from the socket.
import type { Operations } from '../local-control.ts'
import { rotationSchema, whySchema } from '../api.ts'
import { fault } from '../faults.ts'
import type { Connectors } from './connectors.ts'
import { checked } from './message-body.ts'

export function operationsOf(connectors: Connectors): Operations {
  const known = connectors.states().map(({ connector_id: id }) => id)
  const rotationIn = (params: Readonly<Record<string, unknown>>) => {
    const asked = checked(rotationSchema, params)
    for (const name of asked.connectors) if (!known.includes(name)) throw fault.unknown_connector({ name, known })
    return asked
  }
  return {
    'connectors/list': () => ({ connectors: connectors.states() }),
    async 'connectors/rotate'(params) {
      const { connectors: names, sha256, overlap_ms: overlapMs } = rotationIn(params)
      return connectors.rotations.begin(names, sha256, overlapMs)
    },
    'connectors/rotation'(params) {
      const { connectors: names, sha256 } = rotationIn(params)
      return connectors.rotations.state(names, sha256) ?? { state: 'unknown' }
    },
    async 'connectors/freeze'(params) {
      return { changed: await connectors.freeze(checked(whySchema, params).why) }
    },
    async 'connectors/restore'() {
      return { changed: await connectors.restore() }
    },
  }
}
