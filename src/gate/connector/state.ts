// How a connector stands, for operators, checks and its own holder: no secret, and nothing that helps to guess one.
import type { Clock } from '../../kernel/clock.ts'
import type { ConnectorState } from '../api.ts'
import type { Connector } from '../connector-kind.ts'
import type { ConnectorCredentialsTable } from './credentials.ts'
import { fingerprint } from './handshake.ts'
import { instantText } from './instant.ts'
import type { Rotations } from './rotations.ts'
import type { ConnectorSession, ConnectorSessions } from './session.ts'

export type StateNeeds = {
  readonly clock: Clock
  readonly credentials: ConnectorCredentialsTable
  readonly sessions: ConnectorSessions
  readonly rotations: Rotations
}

export function stateOf(
  { clock, credentials, sessions }: StateNeeds,
  { id, channels, capabilities }: Connector,
  chakra: string,
): ConnectorState {
  const { current, next } = credentials.of(id)
  const { frozen } = credentials
  const windowMs = credentials.windowMs(id)
  const own = sessions.of(id)
  const isFresh = current !== undefined && clock.now() < current.rotatedMs + windowMs
  const status: ConnectorState['status'] = frozen
    ? 'frozen'
    : !current
      ? 'unissued'
      : !isFresh
        ? 'stale'
        : own.some(({ lateSinceMs }) => lateSinceMs === undefined)
          ? 'alive'
          : own.length > 0
            ? 'late'
            : 'quiet'
  return {
    connector_id: id,
    status,
    channels,
    capabilities,
    chakra,
    window_hours: windowMs / 3_600_000,
    rotated_at: current ? instantText(current.rotatedMs) : null,
    credential_expiry: current ? instantText(current.rotatedMs + windowMs) : null,
    fingerprint: current ? fingerprint(current.sha256) : null,
    rotation: next
      ? { fingerprint: fingerprint(next.sha256), until: instantText(next.untilMs), proved: next.provedMs !== undefined }
      : null,
    frozen: frozen ? { since: instantText(frozen.sinceMs), why: frozen.why } : null,
    sessions: own.map(told),
  }
}

function told(session: ConnectorSession): ConnectorState['sessions'][number] {
  const { id, instance, version, acceptedContexts, issuedMs, expiryMs, lateSinceMs, beat } = session
  return {
    id,
    instance,
    version,
    accepted_contexts: acceptedContexts,
    issued_at: instantText(issuedMs),
    credential_expiry: instantText(expiryMs),
    late_since: lateSinceMs === undefined ? null : instantText(lateSinceMs),
    heartbeat: beat
      ? { event: beat.event, cycle_count: beat.cycleCount, emitted_at: instantText(beat.emittedMs), received_at: instantText(beat.atMs) }
      : null,
  }
}
