// A server may ask a person to open a link (elicitation by URL): only https and http pass. `javascript:` and `file:` would act on the client's machine.
import { type Frame, valueAt } from '../../wire/frame.ts'
import type { Sink } from '../../wire/wire.ts'
import { type Leg, noHeaders, through } from '../exchange.ts'
import { errorFrame, errorOf, idToken, paramsOf, resultOf } from '../message.ts'
import { code } from '../protocol.ts'

const problem = 'the server asked to open a link that is neither https nor http: it was refused'

/** Also of a leg to a server of HTTP. */
type Opened = Leg & { readonly sessionId?: string | undefined }

/** The leg that `open` makes, without what asks for a bad link: a question of the server is answered for the client, an answer is replaced by an error. */
export async function withSafeLinks(open: (side: Sink) => Promise<Opened>, side: Sink): Promise<Opened> {
  const opened = Promise.withResolvers<Leg>()
  opened.promise.catch(() => {})
  const passed = (frame: Frame, write: (frame: Frame) => boolean): boolean => {
    if (!asksForBadLink(frame)) return write(frame)
    if (frame.kind !== 'request') return write(errorFrame(idToken(frame), code.serverError, problem))
    const refusal = errorFrame(idToken(frame), code.invalidParams, problem)
    opened.promise.then((leg) => leg.send(refusal, noHeaders)).catch(() => {}) // a server that is gone waits for nothing
    return true
  }
  try {
    const leg = await open({ write: (frame, ...rest) => passed(frame, (safe) => side.write(safe, ...rest)), room: () => side.room() })
    opened.resolve(leg)
    return {
      era: leg.era,
      ended: leg.ended,
      get tellsApart() {
        return leg.tellsApart
      },
      get sessionId() {
        return leg.sessionId
      },
      request: (frame, headers, out, abort, caller) =>
        leg.request(
          frame,
          headers,
          through(out, (incoming) => passed(incoming, (safe) => out.write(safe))),
          abort,
          caller,
        ),
      send: (frame, headers) => leg.send(frame, headers),
      listen: () => leg.listen(),
      close: (keepsSession) => leg.close(keepsSession),
    }
  } catch (error) {
    opened.reject(error)
    throw error
  }
}

/** True for `elicitation/create`, for the questions within a result of 2026-07-28, and for the error that asks to open a link first (2025-11-25). */
function asksForBadLink(frame: Frame): boolean {
  if (frame.kind === 'request') return frame.method === 'elicitation/create' && isBad(paramsOf(frame))
  if (frame.kind === 'error') return listed(errorOf(frame).data, 'elicitations').some(isBad)
  if (frame.kind !== 'result' || !frame.at.resultType || valueAt(frame, frame.at.resultType) === 'complete') return false
  return listed(resultOf(frame), 'inputRequests').some((one) => isBad((one as { params?: unknown } | null)?.params))
}

/** What stands in this member, a list or a table. */
function listed(value: unknown, member: string): readonly unknown[] {
  const inner = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[member] : undefined
  return typeof inner === 'object' && inner !== null ? Object.values(inner) : []
}

function isBad(params: unknown): boolean {
  if (typeof params !== 'object' || params === null) return false
  const { url } = params as { url?: unknown }
  if (url === undefined) return false
  return typeof url !== 'string' || !URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)
}
