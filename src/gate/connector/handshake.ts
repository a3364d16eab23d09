// The handshake: a holder says who it is and what it can do, its credential says whether that is so, and a session begins.
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Ledger } from '../../base/ledger/ledger.ts'
import type { Connector } from '../connector-kind.ts'
import { type Handshake, handshakeSchema, stageContext } from './api.ts'
import { fault } from '../faults.ts'
import type { ConnectorCredentialsTable } from './credentials.ts'
import { instantText, parseInstant } from './instant.ts'
import { durationText, endOf, parseDuration } from './iso-duration.ts'
import { checked, refuseCredential } from './message-body.ts'
import { type ConnectorSession, type ConnectorSessions, newSessionId } from './session.ts'

export type HandshakeNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly ledger: Ledger
  readonly credentials: ConnectorCredentialsTable
  readonly sessions: ConnectorSessions
  readonly connectors: ReadonlyMap<string, Connector>
  /** Told of the first handshake with an offered credential. */
  proved(connector: string, sha256: string): void
}

/** A proved credential, as it came with a message. */
export type Shown = { readonly token: string; readonly sha256: string }

type ContextStatus = { readonly name: string; readonly status: 'accepted' | 'rejected'; readonly reason?: string }

export type HandshakeAnswer = {
  readonly authenticated: true
  readonly accepted_contexts: readonly ContextStatus[]
  readonly session: { readonly id: string; readonly issued_at: string; readonly credential_expiry: string }
  /** The gate's own record: when the credential was last rotated with proof, and for how long that is fresh. */
  readonly rotation: { readonly last_rotated: string; readonly rotation_window: string }
}

/** What clocks of two machines may differ by. */
export const skewMs = 300_000

/** Opens a session, or refuses with the reason. Faults `gate.bad_message`, `.credential_in_body`, `.handshake_refused`, `.credential_ended`, those of the ledger. */
export async function handshake(needs: HandshakeNeeds, shown: Shown, body: Record<string, unknown>): Promise<HandshakeAnswer> {
  const { log, ledger, credentials, sessions } = needs
  refuseCredential(body, shown.token)
  const { identity, supported_contexts: offered, rotation } = checked(handshakeSchema, body)
  const connector = needs.connectors.get(identity.connector_id)
  const standing = connector && credentials.standing(connector.id, shown.sha256)
  if (!connector || !standing || standing.is === 'unknown')
    throw fault.handshake_refused({ reason: 'the credential is not of this connector' })
  if (standing.is === 'ended') throw fault.credential_ended({ why: standing.why, at: instantText(standing.atMs) })
  const expiryMs = expiryOf(needs.clock.now(), rotation, standing.rotatedMs, credentials.windowMs(connector.id))
  const contexts = offered.map((context) => judged(connector, context))
  const stage = contexts.find(({ name }) => name === stageContext)
  if (stage?.status !== 'accepted')
    throw fault.handshake_refused({ reason: stage ? `${stageContext}: ${stage.reason}` : `${stageContext} is not among its contexts` })
  const acceptedContexts = contexts.filter(({ status }) => status === 'accepted').map(({ name }) => name)
  const { id: connectorId } = connector
  const { instance, version } = identity
  const id = newSessionId()
  const { sha256 } = shown
  await ledger.append({
    event: 'connector.handshake',
    connector: connectorId,
    session: id,
    instance,
    version,
    credential: fingerprint(sha256),
  })
  const session = await sessions.open({ id, connector: connectorId, instance, version, sha256, acceptedContexts, expiryMs })
  if (credentials.prove(connectorId, sha256)) needs.proved(connectorId, sha256)
  told(log, session)
  return {
    authenticated: true,
    accepted_contexts: contexts,
    session: { id: session.id, issued_at: instantText(session.issuedMs), credential_expiry: instantText(expiryMs) },
    rotation: { last_rotated: instantText(standing.rotatedMs), rotation_window: durationText(credentials.windowMs(connectorId)) },
  }
}

/** What a credential is called in records: enough to see that it changed, nothing to prove it with. */
export function fingerprint(sha256: string): string {
  return sha256.slice(0, 16)
}

/** When the credential is stale. What the holder says of it may bring that nearer, and never put it off. */
function expiryOf(nowMs: number, said: Handshake['rotation'], rotatedMs: number, windowMs: number): number {
  const lastMs = said.last_rotated === null ? rotatedMs : parseInstant(said.last_rotated)
  const window = parseDuration(said.rotation_window)
  const problems = [
    ...(lastMs === undefined ? ['rotation.last_rotated: must be a time with its zone, such as 2025-01-17T22:00:05Z'] : []),
    ...(lastMs !== undefined && lastMs > nowMs + skewMs ? ['rotation.last_rotated: is in the future'] : []),
    ...(!window || endOf(0, window) <= 0 ? ['rotation.rotation_window: must be an ISO 8601 duration, such as PT48H'] : []),
  ]
  if (problems.length > 0) throw fault.bad_message({ problems })
  const fromMs = Math.min(lastMs!, rotatedMs)
  const expiryMs = Math.min(endOf(fromMs, window!), fromMs + windowMs)
  if (expiryMs <= nowMs) throw fault.credential_ended({ why: 'stale', at: instantText(expiryMs) })
  return expiryMs
}

function judged(connector: Connector, { name, channels, capabilities }: Handshake['supported_contexts'][number]): ContextStatus {
  const rejected = (reason: string): ContextStatus => ({ name, status: 'rejected', reason })
  if (name !== stageContext) return rejected('there is no such context here')
  const channel = channels.find((one) => !connector.channels.includes(one))
  if (channel !== undefined) return rejected(`this connector has no channel ${JSON.stringify(channel)}`)
  const capability = capabilities.find((one) => !connector.capabilities.includes(one))
  return capability === undefined
    ? { name, status: 'accepted' }
    : rejected(`this connector has no capability ${JSON.stringify(capability)}`)
}

/** The line that runbooks look for, member by member as they have it: the usual time and small letters give way to theirs. */
function told(log: Log, { id, acceptedContexts }: ConnectorSession): void {
  log.info('mcp.handshake', { time: undefined, level: 'INFO', stage: 'B', session_id: id, accepted_contexts: acceptedContexts.toSorted() })
}
