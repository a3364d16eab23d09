// The gate's own API as it serves it on this machine.
import type { z } from 'zod'
import type { Handlers } from '../base/control/api.ts'
import { readable } from './pin/definition.ts'
import type { Pins } from './pin/pins.ts'
import type { Approvals } from './approval/approvals.ts'
import type { Reloads } from './reload.ts'
import type { Connectors } from './connector/connectors.ts'
import type { SignInLink } from './dashboard/link.ts'
import { connectorHandlers } from './connector/operations.ts'
import type { Finding } from '../base/checks/check.ts'
import type { Access } from './access-now.ts'
import { type CallsNeeds, callsHandlers } from './calls/operations.ts'
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
  readonly access: Access
  readonly calls: CallsNeeds
  readonly doctrine: (signal: AbortSignal) => Promise<readonly Finding[]>
  readonly signIn: (principal?: string) => SignInLink
}

/** Of a hash: enough to know it by. */
const fingerprintLength = 16

export function gateHandlers(needs: ControlNeeds): Handlers<typeof gateApi> {
  const { look, summary, approvals, pins, connectors, reloads, access, calls, doctrine, signIn } = needs
  return {
    ...connectorHandlers(connectors),
    ...callsHandlers(calls),
    summary: () => summary(),
    async status(_, { signal }) {
      if (!look) throw fault.no_status({})
      return look(signal)
    },
    'list-principals': async () =>
      access.credentials.map(({ name, tokenHashes, peers }) => ({
        name,
        tokens: tokenHashes.map((hash) => hash.slice(0, fingerprintLength)),
        peers,
        mayReadMetrics: access.metricsFor.has(name),
      })),
    'show-doctrine': async (_, { signal }) => [...(await doctrine(signal))],
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
