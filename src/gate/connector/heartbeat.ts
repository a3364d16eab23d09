// A heartbeat: a sign of life that belongs to a session, and says of it nothing that the gate knows better.
import type { Clock } from '../../kernel/clock.ts'
import { type Heartbeat, heartbeatSchema } from './api.ts'
import { fault } from '../faults.ts'
import { type Shown, skewMs } from './handshake.ts'
import { instantText, parseInstant } from './instant.ts'
import { checked, refuseCredential } from './message-body.ts'
import { type ConnectorSession, type ConnectorSessions, beatEveryMs } from './session.ts'

export type HeartbeatNeeds = {
  readonly clock: Clock
  readonly sessions: ConnectorSessions
  /** What each connector's heartbeats say, by connector. */
  readonly chakras: Readonly<Record<string, string>>
}

export type HeartbeatAnswer = {
  readonly accepted: true
  readonly session: { readonly id: string; readonly credential_expiry: string }
  readonly next_in_seconds: number
}

/** Takes the beat of a session. Faults `gate.bad_message`, `.credential_in_body`, `.no_connector_session`. */
export async function heartbeat(
  { clock, sessions, chakras }: HeartbeatNeeds,
  shown: Shown,
  sessionId: string,
  body: Record<string, unknown>,
): Promise<HeartbeatAnswer> {
  refuseCredential(body, shown.token)
  const session = sessions.mine(sessionId, shown.sha256)
  const said = checked(heartbeatSchema, body)
  const [emittedMs, expiryMs] = [said.emitted_at, said.credential_expiry].map((text) => parseInstant(text, { toSecond: true }))
  const problems = problemsOf(said, { emittedMs, expiryMs }, session, chakras[session.connector]!, clock.now())
  if (problems.length > 0) throw fault.bad_message({ problems })
  const beat = { event: said.event, cycleCount: said.cycle_count, emittedMs: emittedMs! }
  // To the second the two are the same moment: the finer one stays.
  const nearerMs = sameSecond(expiryMs!, session.expiryMs) ? session.expiryMs : expiryMs!
  const { id, expiryMs: agreedMs } = await sessions.beat(session.id, beat, nearerMs)
  return { accepted: true, session: { id, credential_expiry: instantText(agreedMs) }, next_in_seconds: beatEveryMs / 1_000 }
}

type Times = { readonly emittedMs: number | undefined; readonly expiryMs: number | undefined }

function problemsOf(said: Heartbeat, { emittedMs, expiryMs }: Times, session: ConnectorSession, chakra: string, nowMs: number): string[] {
  const form = 'must be a time with its zone, to the second, such as 2025-01-17T22:00:05Z'
  const problems: string[] = []
  if (said.chakra !== chakra) problems.push(`chakra: this connector's is ${chakra}`)
  if (emittedMs === undefined) problems.push(`emitted_at: ${form}`)
  else if (Math.abs(emittedMs - nowMs) > skewMs) problems.push(`emitted_at: is more than ${skewMs / 1_000} s from the gate's time`)
  else if (session.beat && emittedMs < session.beat.emittedMs) problems.push('emitted_at: is before the last heartbeat')
  if (expiryMs === undefined) problems.push(`credential_expiry: ${form}`)
  else if (expiryMs > session.expiryMs && !sameSecond(expiryMs, session.expiryMs))
    problems.push(`credential_expiry: is later than the session's, ${instantText(session.expiryMs)}`)
  else if (expiryMs <= nowMs) problems.push('credential_expiry: is over')
  return problems
}

function sameSecond(one: number, other: number): boolean {
  return Math.floor(one / 1_000) === Math.floor(other / 1_000)
}
