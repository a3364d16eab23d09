// A wire to a server, for a peer that may not call everything: what is not allowed is answered here, and lists show only what is.
import type { Permit } from '../../base/access/policy.ts'
import { type Listing, listingOf, onlyAllowed } from '../../base/mcp/listing.ts'
import { errorFrame, idToken } from '../../base/mcp/message.ts'
import { classify } from '../../base/mcp/modern.ts'
import { noHeaders } from '../../base/mcp/exchange.ts'
import { code } from '../../base/mcp/protocol.ts'
import { targetsOf } from '../../base/mcp/targets.ts'
import { type Frame, idKey } from '../../base/wire/frame.ts'
import type { Sink, Wire } from '../../base/wire/wire.ts'

/** Requests without an answer; more are refused. */
const maxOpen = 1_024

/** `permit` is asked for each message, so that what changed counts at once, for an answer on its way too. */
export function permittedWire(inner: Wire, permit: () => Permit): Wire {
  let client: Sink | undefined
  /** What each open request lists, if it does. Only what stands here is answered: else a list could come back under the id of something else. */
  const open = new Map<string, Listing | undefined>()
  const refuse = (frame: Frame, errorCode: number, reason: string): boolean =>
    frame.kind !== 'request' || !client || client.write(errorFrame(idToken(frame), errorCode, reason))

  const fromClient = (frame: Frame): boolean => {
    const { era } = classify(frame, noHeaders, false)
    for (const target of targetsOf({ frame, era: era === 'modern' ? era : 'legacy' })) {
      const verdict = permit().judge(target)
      if (!verdict.allowed) return refuse(frame, code.denied, verdict.reason)
    }
    if (frame.kind === 'request') {
      const key = idKey(frame, frame.at.id!)
      if (open.has(key)) return refuse(frame, code.invalidRequest, `the id ${key} is in use by an open request`)
      if (open.size >= maxOpen) return refuse(frame, code.serverError, `more than ${maxOpen} requests are open`)
      open.set(key, listingOf(frame))
    } else if (frame.method === 'notifications/cancelled' && frame.at.requestId) {
      const key = idKey(frame, frame.at.requestId)
      if (!open.get(key)) open.delete(key) // a list may still be on its way
    }
    return inner.write(frame)
  }
  const fromServer = (frame: Frame): Frame | undefined => {
    if (frame.kind !== 'result' && frame.kind !== 'error') return frame
    const key = frame.at.id ? idKey(frame, frame.at.id) : 'null'
    if (key === 'null') return frame.kind === 'error' ? frame : undefined
    if (!open.has(key)) return undefined
    const listing = open.get(key)
    open.delete(key)
    return listing ? onlyAllowed(frame, listing, permit()) : frame
  }
  return {
    ended: inner.ended,
    write: fromClient,
    room: () => inner.room(),
    close: () => inner.close(),
    read(into) {
      client = into
      inner.read({
        write(frame, event) {
          const passed = fromServer(frame)
          return !passed || into.write(passed, event)
        },
        room: () => into.room(),
      })
    },
  }
}
