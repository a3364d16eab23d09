// The gate's own API as it serves it on this machine.
import type { Handlers } from '../base/control/api.ts'
import { readable } from './pin/definition.ts'
import type { Pins } from './pin/pins.ts'
import type { Approvals } from './approval/approvals.ts'
import type { Reloads } from './reload.ts'
import type { Connectors } from './connector/connectors.ts'
import type { SignInLink } from './dashboard/link.ts'
import { connectorHandlers } from './connector/operations.ts'
import type { gateApi } from './api.ts'

/** What the operations act on. */
export type ControlNeeds = {
  readonly approvals: Approvals
  readonly pins: Pins
  readonly connectors: Connectors
  readonly reloads: Reloads
  readonly signIn: (principal?: string) => SignInLink
}

export function gateHandlers({ approvals, pins, connectors, reloads, signIn }: ControlNeeds): Handlers<typeof gateApi> {
  return {
    ...connectorHandlers(connectors),
    reload: () => reloads.reload(),
    'sign-in': async ({ principal }) => signIn(principal),
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
