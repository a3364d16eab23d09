// An MCP server that is started once for all sessions, for servers that keep no state: ids and progress tokens of its clients are kept apart, and it is started
// again when it has ended. It is told of no client in particular, so it is opened as one that can do nothing: no sampling, no elicitation, no roots.
import { type Fault, asFault } from '../../kernel/fault.ts'
import { ownClientInfo } from '../../base/mcp/leg/ask.ts'
import { legWire } from '../../base/mcp/leg/as-wire.ts'
import { SharedLeg } from '../../base/mcp/leg/multiplexed.ts'
import { wireLeg } from '../../base/mcp/leg/wire.ts'
import type { Era, Leg } from '../../base/mcp/exchange.ts'
import { paramsOf } from '../../base/mcp/message.ts'
import { legacyVersions } from '../../base/mcp/protocol.ts'
import { failed, healthy, rested } from '../../base/supervise/backoff.ts'
import { splitWords } from '../../base/supervise/words.ts'
import type { Frame } from '../../base/wire/frame.ts'
import type { WireLimits } from '../../base/wire/walk.ts'
import type { Sink, Wire } from '../../base/wire/wire.ts'
import { fault } from '../faults.ts'
import { type ServedChildNeeds, type ServedChildSettings, startedChild } from './served-child.ts'

export interface SharedChild {
  /** A wire for one client; closing it leaves the child to the others. */
  open(): Wire
  /** Ends the child; resolves when its process group is gone. */
  close(): Promise<void>
}

export type SharedChildSettings = ServedChildSettings & { readonly limits: WireLimits }

/** A pause before the next start that a request waits out; during a longer one it is answered at once with what went wrong. */
const maxPatienceMs = 1_500

/**
 * Nothing is started before the first request. A server says once what it speaks, so clients of another version of the protocol get a child of their own, which
 * all of that version share: no more than there are versions. Fault: `supervise.bad_words`.
 */
export function sharedChild(needs: ServedChildNeeds, settings: SharedChildSettings): SharedChild {
  const { budget } = settings.limits
  const name = `"${splitWords(settings.command)[0]}"`
  const shared = new Map<string, SharedLeg>()
  const sharedBy = (era: Era, initialize: Frame | undefined): SharedLeg => {
    const asked = initialize && paramsOf(initialize)['protocolVersion']
    const protocolVersion = legacyVersions.find((known) => known === asked) ?? legacyVersions[0]
    const key = era === 'modern' ? era : protocolVersion
    const present = shared.get(key)
    if (present) return present
    const params = era === 'modern' ? undefined : { protocolVersion, capabilities: {}, clientInfo: ownClientInfo }
    const made = new SharedLeg(restarted(needs, settings, name, era), params)
    shared.set(key, made)
    return made
  }
  return {
    open: () => legWire({ name, open: async (era, side, initialize) => sharedBy(era, initialize).join(side), log: needs.log, budget }),
    async close() {
      await Promise.all([...shared.values()].map((one) => one.close()))
    },
  }
}

/** Opens one life after the other, and rests between those that do not last. */
function restarted(needs: ServedChildNeeds, settings: ServedChildSettings, name: string, era: Era): (side: Sink) => Promise<Leg> {
  const { clock } = needs
  let backoff = rested
  let notBeforeMs = 0
  let problem: Fault | undefined
  const over = (why: Fault): void => {
    problem = why
    const { next, delayMs } = failed(backoff, clock.mono())
    backoff = next
    notBeforeMs = clock.mono() + delayMs
  }
  return async (side) => {
    const pauseMs = notBeforeMs - clock.mono()
    if (problem && pauseMs > maxPatienceMs) throw problem
    if (pauseMs > 0) await clock.wait(pauseMs)
    try {
      const wire = await startedChild(needs, settings)
      backoff = healthy(backoff, clock.mono())
      void wire.ended.then((end) => over(fault.child_ended({ command: settings.command, how: 'problem' in end ? end.problem : end.why })))
      return wireLeg(wire, era, name, side)
    } catch (error) {
      over(asFault(error))
      throw error
    }
  }
}
