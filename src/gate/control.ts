// The gate's own API, served on this machine: what waits for a person, and what that person says.
import type { Handlers } from '../base/control/api.ts'
import { readable } from './pin/definition.ts'
import type { Pins } from './pin/pins.ts'
import type { Approvals } from './approval/approvals.ts'
import type { gateApi } from './api.ts'

export function gateHandlers({ approvals, pins }: { readonly approvals: Approvals; readonly pins: Pins }): Handlers<typeof gateApi> {
  return {
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
