// Writes each call to the node into its ledger: who, what, for which service, and how it ended. What changes something is written before it is done.
import { rateLimit } from '../base/access/rate.ts'
import type { CallRecord, Called } from '../base/control/answering.ts'
import type { Caller } from '../base/control/api.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import type { Clock } from '../kernel/clock.ts'

/** Of those who are refused, each address leaves so many lines: a stranger does not fill the disk. */
const refusals = { burst: 20, perSecond: 0.2 }
const maxNameLength = 128

/** `call.begin` is synced by the ledger's own clock; a full disk refuses changes, and lets observers observe. */
export function callRecord({ ledger, clock }: { readonly ledger: Ledger; readonly clock: Clock }): CallRecord {
  const limit = rateLimit(clock, refusals)
  return {
    async begin(caller, called) {
      const startedMs = clock.mono()
      const about = { ...who(caller), operation: called.operation, ...what(called) }
      const isObserver = called.privilege === 'observe'
      const begin = isObserver ? undefined : (await ledger.append({ event: 'call.begin', ...about })).seq
      return async (outcome) => {
        const ms = Math.round(clock.mono() - startedMs)
        const line = isObserver ? { event: 'call', ...about, outcome, ms } : { event: 'call.end', begin, outcome, ms }
        await ledger.conclude(line).catch(() => {}) // what was done is told all the same: the ledger has said what is wrong with it
      }
    },
    refused(request, caller, code) {
      const address = request.socket.remoteAddress ?? 'socket'
      if (limit.take(address) > 0) return
      const path = (request.url ?? '').slice(0, maxNameLength)
      void ledger.append({ event: 'call.refused', ...(caller ? who(caller) : {}), address, path, outcome: code }).catch(() => {})
    },
  }
}

function who({ name, via }: Caller): { readonly who: string; readonly via: string } {
  return { who: name, via }
}

function what({ input }: Called): { readonly service?: string; readonly component?: string } {
  const { service, component } = (input ?? {}) as { readonly service?: unknown; readonly component?: unknown }
  return { ...(typeof service === 'string' ? { service } : {}), ...(typeof component === 'string' ? { component } : {}) }
}
