// The connectors of a gate, put together: their credentials, sessions and rotations, the door they come in by, and what an operator may ask of them.
import { join } from 'node:path'
import { asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Policy } from '../../base/access/policy.ts'
import type { Principal } from '../../base/access/principal.ts'
import type { Bucket } from '../../base/kv/kv.ts'
import type { Ledger } from '../../base/ledger/ledger.ts'
import type { Endpoint } from '../../base/mcp/scopes.ts'
import type { ScanLimits } from '../../base/wire/walk.ts'
import type { ConnectorState } from '../api.ts'
import type { Connector, ConnectorKit } from '../connector-kind.ts'
import type { Upstream } from '../upstream.ts'
import { ConnectorCredentialsTable } from './credentials.ts'
import { type ConnectorDoor, createConnectorDoor } from './door.ts'
import { addDrills, drillOf } from './drills.ts'
import { instantText } from './instant.ts'
import { Rotations } from './rotations.ts'
import { type ConnectorSession, ConnectorSessions } from './session.ts'
import { stateOf } from './state.ts'
import { callTool } from './tool-call.ts'
import type { Uploads } from './uploads.ts'

export type ConnectorSetting = { readonly connector: Connector; readonly chakra: string; readonly windowMs: number }

export type ConnectorsSettings = {
  /** Credentials and journals. */
  readonly folder: string
  readonly ledgerFolder: string
  /** Of the rotation ledger. */
  readonly drillsFolder: string
  readonly connectors: readonly ConnectorSetting[]
  readonly uploads: Uploads
  /** The environment says that they are not to be used. */
  readonly isOff: boolean
  readonly limits: ScanLimits
}

export type ConnectorsNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly ledger: Ledger
  readonly bucket: Bucket
  readonly policy: Policy
  readonly upstreams: () => readonly Upstream[]
  readonly endpoints: ReadonlyMap<string, Endpoint>
  /** Told when a credential may have ended. */
  readonly ended: () => void
}

export interface Connectors extends AsyncDisposable {
  readonly door: ConnectorDoor
  /** Who shows the token with this hash, when it is the credential of exactly one connector. */
  byTokenHash(hash: string): Principal | undefined
  states(): readonly ConnectorState[]
  readonly rotations: Rotations
  /** False: they were frozen before. */
  freeze(why: string): Promise<boolean>
  /** False: they were not frozen. */
  restore(): Promise<boolean>
}

const sweepMs = 1_000
const offByEnvironment = 'ABZU_USE_MCP is not 1'

/** Goes on with the sessions and rotations that an earlier process left. Faults: `gate.credentials_damaged`, those of the bucket. */
export async function openConnectors(needs: ConnectorsNeeds, settings: ConnectorsSettings): Promise<Connectors> {
  const { clock, log, ledger, bucket } = needs
  const connectors = new Map(settings.connectors.map(({ connector }) => [connector.id, connector]))
  const windowsMs = Object.fromEntries(settings.connectors.map(({ connector, windowMs }) => [connector.id, windowMs]))
  const chakras = Object.fromEntries(settings.connectors.map(({ connector, chakra }) => [connector.id, chakra]))
  const credentials = new ConnectorCredentialsTable({ clock }, { folder: settings.folder, windowsMs })
  const changed = (event: string, session: ConnectorSession, why: string): void => {
    const { id, connector, instance } = session
    log[event === 'late' ? 'error' : 'info'](`gate.connector.${event}`, { session_id: id, connector, instance, why })
    ledger.append({ event: `connector.${event}`, connector, session: id, instance, why }).catch(() => {})
    rotations.poke()
  }
  const sessions = await ConnectorSessions.open({ bucket, clock, log, changed })
  const isGood = ({ connector, sha256 }: ConnectorSession): boolean => {
    const { is } = connectors.has(connector) ? credentials.standing(connector, sha256) : { is: 'unknown' }
    return is === 'current' || is === 'next'
  }
  const sweep = (): Promise<void> => sessions.sweep(isGood, credentials.frozen !== undefined)
  const rotations = new Rotations(
    {
      clock,
      log,
      ledger,
      credentials,
      usesStill: (id, sha256) => sessions.of(id).some((session) => session.sha256 === sha256 && session.lateSinceMs === undefined),
      ended() {
        needs.ended()
        return sweep()
      },
    },
    settings,
  )
  const states = (ids: readonly string[]): readonly ConnectorState[] =>
    ids.map((id) => stateOf({ clock, credentials, sessions, rotations }, connectors.get(id)!, chakras[id]!))
  const kitOf = (connector: Connector): ConnectorKit => kit(needs, settings, connector)
  const proved = (): void => rotations.poke()
  const door = createConnectorDoor({
    clock,
    log,
    ledger,
    credentials,
    sessions,
    connectors,
    chakras,
    proved,
    kitOf,
    states,
    maxBodyBytes: settings.limits.maxFrameBytes,
  })
  const gate = freezing({ ...needs, credentials, drillsFolder: settings.drillsFolder })
  if (settings.isOff) await gate.freeze(offByEnvironment)
  else if (credentials.frozen?.why === offByEnvironment) await gate.restore()
  rotations.resume()
  const stop = sweeping(clock, () => sweep().catch((error: unknown) => log.warn('gate.connectors.sweep_failed', { error })))
  return {
    door,
    rotations,
    ...gate,
    byTokenHash(hash) {
      const served = credentials.frozen ? [] : credentials.servedBy(hash)
      return served.length === 1 ? { name: served[0]!, via: 'token' } : undefined
    },
    states: () => states([...connectors.keys()]),
    async [Symbol.asyncDispose]() {
      stop()
      await rotations.close()
    },
  }
}

/** What the connector may do here, in its own name. */
function kit(
  { clock, policy, upstreams, endpoints }: ConnectorsNeeds,
  { uploads, limits }: ConnectorsSettings,
  { id }: Connector,
): ConnectorKit {
  const principal: Principal = { name: id, via: 'token' }
  return {
    clock,
    uploads,
    call: (call, abort) => callTool(endpoints.get(call.upstream), call, { principal, limits, abort }),
    upstreams: () =>
      upstreams()
        .filter(({ name }) => policy.permit(id, name).isKnown)
        .map(({ name, state }) =>
          state.is === 'failing' ? { name, failing: { reason: state.reason, retryInMs: state.retryInMs ?? 0 } } : { name },
        ),
  }
}

type FreezingNeeds = ConnectorsNeeds & { readonly credentials: ConnectorCredentialsTable; readonly drillsFolder: string }

/** The live switch. What lies between is a gap in the rotation ledger, which is written there when it ends. */
function freezing({ clock, log, ledger, credentials, drillsFolder, ended }: FreezingNeeds): Pick<Connectors, 'freeze' | 'restore'> {
  return {
    async freeze(why) {
      if (credentials.frozen) return false
      credentials.freeze(why)
      ended()
      log.warn('gate.connectors.frozen', { why })
      await ledger.append({ event: 'connectors.frozen', why }, 'synced')
      return true
    },
    async restore() {
      const { frozen } = credentials
      if (!frozen) return false
      const [from, to] = [instantText(frozen.sinceMs), instantText(clock.now())]
      await ledger.append({ event: 'connectors.restored', from, to, why: frozen.why }, 'synced')
      credentials.restore()
      log.warn('gate.connectors.restored', { from, to })
      const gaps = Object.entries(credentials.all).flatMap(([connector, { current }]) =>
        current
          ? [
              drillOf(
                { connector, kind: 'gap', rotatedMs: current.rotatedMs, windowMs: credentials.windowMs(connector) },
                { from, to, why: frozen.why },
              ),
            ]
          : [],
      )
      // The switch is what matters; a gap that cannot be written is told, and stands in the gate's ledger anyway.
      await addDrills({ clock, log }, drillsFolder, gaps).catch((error: unknown) =>
        log.error('gate.connectors.gap_not_written', { error: asFault(error) }),
      )
      return true
    },
  }
}

function sweeping(clock: Clock, sweep: () => Promise<void>): () => void {
  let cancel = (): void => {}
  const again = (): void => {
    cancel = clock.after(sweepMs, () => void sweep().finally(again))
  }
  again()
  return () => cancel()
}

/** Where everything of the connectors lies in the gate's folder. */
export function connectorFolders(state: string): Pick<ConnectorsSettings, 'folder' | 'ledgerFolder' | 'drillsFolder'> {
  return { folder: join(state, 'connectors'), ledgerFolder: join(state, 'ledger'), drillsFolder: join(state, 'logs') }
}
