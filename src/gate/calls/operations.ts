// What is asked of the gate about calls: its record is searched, its counts are told, and who watches gets what ends in bounded parts.
import type { Clock } from '../../kernel/clock.ts'
import type { Handlers } from '../../base/control/api.ts'
import type { Identity } from '../../base/identity/identity.ts'
import type { LedgerPlace } from '../../base/ledger/checkpointing.ts'
import { sightingsOf } from '../../base/ledger/sightings.ts'
import { type Found, searchLedger } from '../ledger-search.ts'
import type { GateMetrics } from '../metrics.ts'
import type { EndedCall, FoundCall, callsApi } from './api.ts'
import { Turns } from './turns.ts'
import type { WatchedCalls } from './watched.ts'

export type CallsNeeds = {
  readonly clock: Clock
  readonly metrics: GateMetrics
  readonly watched: WatchedCalls
  readonly place: LedgerPlace
  /** Who signs the record; absent: nobody does. */
  readonly identity?: (() => Identity) | undefined
}

/** Who watches is told at most so often: a person sees no more. */
const partMs = 250
const maxWaiting = 1_000

export function callsHandlers({ clock, metrics, watched, place, identity }: CallsNeeds): Handlers<typeof callsApi> {
  const turns = new Turns()
  return {
    async 'search-calls'({ limit, before, ...wanted }, { caller, signal }) {
      const search = () => searchLedger(place.folder, { ...wanted, beforeSeq: before }, limit, signal)
      const { found, more, searched } = await turns.take(caller.name, signal, search)
      const { signed, seen } = identity ? sightingsOf(place, identity().peerId) : { signed: 0, seen: [] }
      return { found: found.map(told), more, searched, signed, witnessed: [...seen] }
    },
    'count-calls': async () => metrics.counts(),
    async 'watch-calls'(_, { signal, say }) {
      let waiting: EndedCall[] = []
      let missed = 0
      using _watching = watched.watch((call) => void (waiting.length < maxWaiting ? waiting.push(call) : missed++))
      await say({ calls: [], missed: 0 }) // who asked knows from now on that nothing is left out
      for (;;) {
        await clock.wait(partMs, signal)
        if (waiting.length === 0) continue
        const part = { calls: waiting, missed }
        waiting = []
        missed = 0
        await say(part)
      }
    },
  }
}

/** Of what the record has, what a person is shown: digests of arguments and spans stay there. */
function told(one: Found): FoundCall {
  const { seq, time, what, outcome, principal, upstream, method, name, reason, ms, trace, door, path, peer, further } = one
  return { seq, time, what, outcome, principal, upstream, method, name, reason, ms, trace, door, path, peer, further }
}
