// The record layer: a call leaves `begin`, written before it is forwarded, and `end`, written before its answer leaves; a refusal leaves one line.
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import type { Secret } from '../kernel/secret.ts'
import { bareUri } from '../base/access/bare-uri.ts'
import { argumentDigests } from '../base/ledger/argument.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import { type Exchange, type Layer, type Outcome, through } from '../base/mcp/exchange.ts'
import { namedBy } from '../base/mcp/protocol.ts'
import { type Frame, stringAt, token } from '../base/wire/frame.ts'
import { fault } from './faults.ts'
import { isRecorded } from '../base/mcp/targets.ts'

const maxNameLength = 512

export type RecordNeeds = { readonly ledger: Ledger; readonly secret: Secret; readonly clock: Clock; readonly upstream: string }

/** The members that say who called what. Names from outside are quoted and cut, so that a line stays one line; URIs stand without what may be a credential. */
function who(event: string, exchange: Exchange, upstream: string): string {
  const { frame, principal } = exchange
  const place = frame.method !== undefined && Object.hasOwn(namedBy, frame.method) ? namedBy[frame.method] : undefined
  const given = place && stringAt(frame, frame.at[place])
  const name = given !== undefined && place === 'uri' ? bareUri(given) : given
  const span = exchange.trace?.span
  return (
    `"event":"${event}","principal":${JSON.stringify(principal.name)},"via":"${principal.via}","upstream":"${upstream}","method":${JSON.stringify(frame.method?.slice(0, maxNameLength))}` +
    (name === undefined ? '' : `,"name":${JSON.stringify(name.slice(0, maxNameLength))}`) +
    (span === undefined ? '' : `,"trace":"${span.traceId}","span":"${span.spanId}"`) +
    (span?.parentId === undefined ? '' : `,"parent":"${span.parentId}"`)
  )
}

export function recordLayer({ ledger, secret, clock, upstream }: RecordNeeds): Layer {
  const digestOf = argumentDigests(secret)
  return (next) => async (exchange, out) => {
    const { frame } = exchange
    if (!isRecorded(exchange)) return next(exchange, out)
    const startedMs = clock.mono()
    let begin: number
    try {
      const [place, span] = frame.at.arguments ? ['arguments', frame.at.arguments] : ['params', frame.at.params]
      const digest = span ? `,"${place}":"${digestOf(ledger.next, frame.bytes.subarray(...span))}"` : ''
      begin = (await ledger.append(who('call.begin', exchange, upstream) + digest)).seq
    } catch (error) {
      return { is: 'notSent', fault: fault.unrecorded({ reason: asFault(error).message }, error) }
    }
    let answer: Frame | undefined // waits until its `end` is written
    const outcome = await next(
      exchange,
      through(out, (incoming) => {
        if (incoming.kind !== 'result' && incoming.kind !== 'error') return out.write(incoming)
        answer = incoming
        return true
      }),
    )
    const ms = Math.round((clock.mono() - startedMs) * 1_000) / 1_000
    const reason = 'fault' in outcome ? `,"reason":${JSON.stringify(outcome.fault.code)}` : ''
    await ledger
      .conclude(`"event":"call.end","begin":${begin},"outcome":"${outcomeName(outcome, answer)}","ms":${ms}${reason}`)
      .catch(() => {})
    if (answer) out.write(answer)
    return outcome
  }
}

/** One line for what happened to a call before it was forwarded, with a digest of its arguments. Rejects when it cannot be written. */
export async function recordStep(
  { ledger, secret, upstream }: RecordNeeds,
  event: string,
  exchange: Exchange,
  more: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { frame } = exchange
  const span = frame.at.arguments
  const digest = span ? `,"arguments":"${argumentDigests(secret)(ledger.next, frame.bytes.subarray(...span))}"` : ''
  await ledger.append(`${who(event, exchange, upstream)},${JSON.stringify(more).slice(1, -1)}${digest}`)
}

/** One line for a message that was never forwarded. */
export async function recordRefusal({ ledger, upstream }: RecordNeeds, exchange: Exchange, reason: string): Promise<void> {
  await ledger.conclude(`${who('refused', exchange, upstream)},"reason":${JSON.stringify(reason.slice(0, 1_000))}`).catch(() => {})
}

/** How a request ended, in one word: `ok`, `tool_error`, `error`, or what kept it from an answer. */
export function outcomeName(outcome: Outcome, answer: Frame | undefined): string {
  if (outcome.is !== 'answered' || !answer) return outcome.is
  if (answer.kind === 'error') return 'error'
  return answer.at.isError && token(answer, answer.at.isError) === 'true' ? 'tool_error' : 'ok'
}
