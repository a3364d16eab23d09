// The gate's own API as it serves it on this machine.
import type { z } from 'zod'
import type { Handlers } from '../base/control/api.ts'
import { readable } from './pin/definition.ts'
import type { Pins } from './pin/pins.ts'
import type { Approvals } from './approval/approvals.ts'
import type { Reloads } from './reload.ts'
import type { Connectors } from './connector/connectors.ts'
import { connectorHandlers } from './connector/operations.ts'
import type { Status } from '../base/checks/status.ts'
import type { gateApi } from './api.ts'
import { fault } from './faults.ts'

/** What the operations act on. */
export type ControlNeeds = {
  /** A port: how everything on this machine stands. */
  readonly look: ((signal: AbortSignal) => Promise<Status>) | undefined
  readonly summary: () => Promise<z.input<(typeof gateApi)['summary']['output']>>
  readonly approvals: Approvals
  readonly pins: Pins
  readonly connectors: Connectors
  readonly reloads: Reloads
}

export function gateHandlers({ look, summary, approvals, pins, connectors, reloads }: ControlNeeds): Handlers<typeof gateApi> {
  return {
    ...connectorHandlers(connectors),
    summary: () => summary(),
    async status(_, { signal }) {
      if (!look) throw fault.no_status({})
      return look(signal)
    },
    reload: () => reloads.reload(),
    'list-calls': async () => approvals.list(),
    'decide-call': async ({ id, decision }) => approvals.decide(id, decision),
    'list-tools': async () =>
      pins.held().map(({ before, now, ...held }) => ({
        ...held,
        reasons: [...held.reasons],
        now: readable(now),
        ...(before === undefined ? {} : { before: readable(before) }),
      })),
    'accept-tool': async ({ upstream, tool, fingerprint }) => {
      await pins.accept(upstream, tool, fingerprint)
      return { upstream, tool, fingerprint }
    },
  }
}
