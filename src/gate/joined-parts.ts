// The gate's endpoints as the parts of the one for all: each with the layers it has anyway, so that there is no second way to it.
import type { Policy } from '../base/access/policy.ts'
import type { Exchange, Layer, Outcome } from '../base/mcp/exchange.ts'
import { code } from '../base/mcp/protocol.ts'
import type { GateEndpoint } from './endpoint.ts'
import { fault } from './faults.ts'
import type { Parts } from './joined/parts.ts'

/** `layer`: lets nobody in who may use no upstream at all. */
export function partsOf(
  endpoints: ReadonlyMap<string, GateEndpoint>,
  policy: Policy,
  record: (exchange: Exchange, reason: string) => Promise<void>,
): Parts & { readonly layer: Layer } {
  const namesFor = (principal: string): readonly string[] =>
    [...endpoints.keys()].filter((name) => policy.permit(principal, name).isKnown).sort()
  const gone = (upstream: string): Outcome => ({ is: 'notSent', fault: fault.removed({ upstream }) })
  return {
    names: ({ name }) => namesFor(name),
    mayRead: ({ name }, upstream, uri) => policy.permit(name, upstream).judge({ kind: 'resource', name: uri }).allowed,
    handle: async (upstream, exchange, out) => endpoints.get(upstream)?.handle(exchange, out) ?? gone(upstream),
    open: async (upstream, exchange, out, side) =>
      endpoints.get(upstream)?.openPart(exchange, out, side) ?? { session: undefined, outcome: gone(upstream) },
    async refuse(exchange, reason) {
      await record(exchange, reason)
      return { is: 'refused', reason, code: code.invalidParams }
    },
    layer: (next) => async (exchange, out) => {
      const { principal } = exchange
      if (namesFor(principal.name).length > 0) return next(exchange, out)
      const reason = `no rule lets ${principal.name} use any upstream`
      await record(exchange, reason)
      return { is: 'refused', reason, status: 403 }
    },
  }
}
