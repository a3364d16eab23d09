// The holder's side of one connector: what it says in a handshake and in a heartbeat, and what it takes for an answer.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Secret } from '../../kernel/secret.ts'
import { stageContext } from '../connector/api.ts'
import type { Connector } from '../connector-kind.ts'
import { instantText, parseInstant } from '../connector/instant.ts'
import type { ConnectorToggles } from '../connector/toggles.ts'
import { fault } from '../faults.ts'
import type { Answer, Gateway } from './gateway.ts'

export type HolderNeeds = { readonly clock: Clock; readonly gateway: Gateway }

export type HolderSettings = {
  readonly connector: Connector
  readonly chakra: string
  readonly instance: string
  readonly version: string
  readonly toggles: ConnectorToggles
}

/** What a handshake gave. `rotatedMs`: the last rotation that the gate has proof of. */
export type HeldSession = {
  readonly id: string
  readonly issued_at: string
  readonly credential_expiry: string
  readonly acceptedContexts: readonly string[]
  readonly rotatedMs: number
}

export type Attempts = { readonly attempts: number; readonly timeoutMs: number; readonly signal?: AbortSignal }

/** As the runbook has it: tried again after 0.5 s and 1 s, where nobody was reached or the gateway failed. */
export const usualAttempts: Attempts = { attempts: 3, timeoutMs: 5_000 }
const firstWaitMs = 500
const defaultWindow = 'PT48H'

/** The message; the credential is no part of it. */
export function handshakeRequest({ connector, instance, version, toggles }: HolderSettings): Readonly<Record<string, unknown>> {
  const { id, channels, capabilities } = connector
  return {
    identity: { connector_id: id, version, instance },
    supported_contexts: [{ name: stageContext, channels, capabilities }],
    rotation: {
      last_rotated: toggles.lastRotatedMs === undefined ? null : instantText(toggles.lastRotatedMs),
      rotation_window: toggles.rotationWindow ?? defaultWindow,
      supports_hot_swap: toggles.supportsHotSwap ?? true,
      token_hint: toggles.rotationHint ?? id,
    },
  }
}

/**
 * Hand-shakes; the answer is believed only when it authenticates us, accepts the stage's context, and names a session that is not over. Faults: `gate.no_connector_token`,
 * `.gateway_unreachable`, `.gateway_refused`, `.gateway_answer`.
 */
export async function holdHandshake(
  needs: HolderNeeds,
  settings: HolderSettings,
  { attempts, timeoutMs, signal }: Attempts = usualAttempts,
): Promise<{ readonly session: HeldSession; readonly answer: Answer['body'] }> {
  const token = tokenOf(settings)
  const body = Buffer.from(JSON.stringify(handshakeRequest(settings)))
  for (let tries = 1; ; tries++) {
    try {
      const answer = await needs.gateway.send({ method: 'POST', path: '/handshake', token, body, timeoutMs, ...(signal ? { signal } : {}) })
      const taken = accepted(answer)
      return { session: sessionIn(taken, needs.clock.now()), answer: taken }
    } catch (error) {
      if (tries >= attempts || !isWorthAnother(error)) throw error
      await needs.clock.wait(firstWaitMs * 2 ** (tries - 1), signal)
    }
  }
}

/** A gateway that says why it refuses has said all; one that is not there, or fails, may be back in a moment. */
function isWorthAnother(error: unknown): boolean {
  const { code, details } = asFault(error)
  if (code === 'gate.gateway_refused') return (details['status'] as number) >= 500 && details['code'] !== 'gate.frozen'
  return code === 'gate.gateway_unreachable'
}

export type HeartbeatSaid = { readonly event: 'stage-b-smoke' | 'stage-b-heartbeat'; readonly cycleCount: number; readonly expiry?: string }

/** The heartbeat of a session, at this moment. `expiry`: an explicit one, which has to agree with the session's. */
export function heartbeatPayload(
  { clock }: Pick<HolderNeeds, 'clock'>,
  { chakra }: Pick<HolderSettings, 'chakra'>,
  session: Pick<HeldSession, 'credential_expiry'>,
  { event, cycleCount, expiry }: HeartbeatSaid,
): Readonly<Record<string, unknown>> {
  return {
    event,
    chakra,
    cycle_count: cycleCount,
    context: stageContext,
    credential_expiry: expiry ?? session.credential_expiry,
    emitted_at: instantText(clock.now()),
  }
}

/** Sends it once. Faults as `holdHandshake`. */
export async function sendHeartbeat(
  { gateway }: Pick<HolderNeeds, 'gateway'>,
  settings: HolderSettings,
  session: Pick<HeldSession, 'id'>,
  payload: Readonly<Record<string, unknown>>,
): Promise<Answer['body']> {
  const body = Buffer.from(JSON.stringify(payload))
  const { timeoutMs } = usualAttempts
  return accepted(
    await gateway.send({ method: 'POST', path: '/heartbeat', token: tokenOf(settings), session: session.id, body, timeoutMs }),
  )
}

/** Ends a session that nobody is going to keep alive. */
export async function endSession({ gateway }: Pick<HolderNeeds, 'gateway'>, settings: HolderSettings, id: string): Promise<void> {
  const { timeoutMs } = usualAttempts
  accepted(await gateway.send({ method: 'DELETE', path: '/handshake', token: tokenOf(settings), session: id, timeoutMs }))
}

export function tokenOf({ connector, toggles }: Pick<HolderSettings, 'connector' | 'toggles'>): Secret {
  if (!toggles.token) throw fault.no_connector_token({ connector: connector.id })
  return toggles.token
}

/** The body of an answer that is none of refusal. Fault `gate.gateway_refused`. */
export function accepted({ status, body }: Answer): Answer['body'] {
  if (status >= 200 && status < 300) return body
  const error = typeof body['error'] === 'object' && body['error'] !== null ? (body['error'] as Record<string, unknown>) : {}
  const text = (value: unknown, otherwise: string): string => (typeof value === 'string' ? value.slice(0, 300) : otherwise)
  const hint = typeof error['hint'] === 'string' ? { hint: text(error['hint'], '') } : {}
  const message = text(error['message'], text(body['error'], 'it does not say why'))
  throw fault.gateway_refused({ code: text(error['code'], 'no code'), message, status, ...hint })
}

function sessionIn(body: Answer['body'], nowMs: number): HeldSession {
  const { authenticated, accepted_contexts: contexts, session, rotation } = body
  const wrong = (problem: string): never => {
    throw fault.gateway_answer({ problem })
  }
  if (authenticated !== true) wrong('authenticated is not true')
  const all = (Array.isArray(contexts) ? contexts : []) as readonly { readonly name?: unknown; readonly status?: unknown }[]
  const stage = all.find((one) => one?.name === stageContext) ?? wrong(`${stageContext} is not among accepted_contexts`)
  if (stage.status !== 'accepted') wrong(`${stageContext} is ${JSON.stringify(stage.status)?.slice(0, 40)}, not accepted`)
  const { id, issued_at: issued, credential_expiry: expiry } = (session ?? {}) as Record<string, unknown>
  if (typeof id !== 'string' || id === '' || id.length > 256 || !/^[\w.-]+$/.test(id)) return wrong('session.id is missing')
  const [issuedMs, expiryMs] = [issued, expiry].map((text) => (typeof text === 'string' ? parseInstant(text) : undefined))
  if (issuedMs === undefined || expiryMs === undefined)
    return wrong('session.issued_at or session.credential_expiry is no time with a zone')
  if (expiryMs <= nowMs) return wrong(`the session is over since ${expiry as string}`)
  const { last_rotated: last } = (rotation ?? {}) as Record<string, unknown>
  const rotatedMs = typeof last === 'string' ? parseInstant(last) : undefined
  if (rotatedMs === undefined) return wrong('rotation.last_rotated is no time with a zone')
  const acceptedContexts = all.flatMap(({ name, status }) => (status === 'accepted' && typeof name === 'string' ? [name] : []))
  return { id, issued_at: issued as string, credential_expiry: expiry as string, acceptedContexts, rotatedMs }
}
