// The connectors as configuration and environment have them.
import type { Clock } from '../../kernel/clock.ts'
import type { ScanLimits } from '../../base/wire/walk.ts'
import type { Connector } from '../connector-kind.ts'
import { fault } from '../faults.ts'
import type { GateConfig } from '../upstream-kind.ts'
import { type ConnectorsSettings, connectorFolders } from './connectors.ts'
import { togglesFrom } from './toggles.ts'
import { type Uploads, folderUploads } from './uploads.ts'

const defaultWindowMs = 48 * 3_600_000

export type ConnectorsSource = {
  readonly clock: Clock
  readonly env: Readonly<Record<string, string | undefined>>
  readonly connectors: readonly { load(): Promise<{ default: Connector }> }[]
  readonly uploads?: Uploads
}

export type ConnectorsPlace = { readonly state: string; pathOf(path: string): string; readonly limits: ScanLimits }

/** Faults `gate.unknown_connector`, `gate.bad_toggle`. */
export async function connectorsOf(
  source: ConnectorsSource,
  config: GateConfig,
  { state, pathOf, limits }: ConnectorsPlace,
): Promise<ConnectorsSettings> {
  const all = (await Promise.all(source.connectors.map((entry) => entry.load()))).map((module) => module.default)
  const known = all.map(({ id }) => id)
  for (const name of Object.keys(config.connectors)) if (!known.includes(name)) throw fault.unknown_connector({ name, known })
  const folders = Object.fromEntries(Object.entries(config.uploads).map(([service, path]) => [service, pathOf(path)]))
  return {
    ...connectorFolders(state),
    ...(config.logs === undefined ? {} : { drillsFolder: pathOf(config.logs) }),
    connectors: all.map((connector) => ({
      connector,
      chakra: config.connectors[connector.id]?.chakra ?? connector.chakra,
      windowMs: config.connectors[connector.id]?.rotation_window ?? defaultWindowMs,
    })),
    uploads: source.uploads ?? folderUploads(source, folders),
    isOff: togglesFrom(source.env, known).isOff,
    limits,
  }
}
