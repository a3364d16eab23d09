// The gate as commands on this machine reach it: the one that runs with the same configuration file.
import { dirname, isAbsolute, join } from 'node:path'
import { type ConfigEntry, loadMachineConfig } from '../base/config/machine.ts'
import { type ControlClient, controlClient } from '../base/control/client.ts'
import type { Context } from '../base/terminal/command.ts'
import { gateApi } from './api.ts'
import type { GateConfig } from './upstream-kind.ts'

/** The operations of a running gate. */
export type GateCalls = ControlClient<typeof gateApi>['calls']

export const configFlag = {
  summary: 'the configuration file that the gate runs with; fairlead.toml in the configuration folder by default',
  value: 'FILE',
} as const

/** The operations of the running gate of that configuration. Faults: those of `loadMachineConfig`. */
export async function runningGate(
  { folders }: Pick<Context, 'folders'>,
  configs: readonly ConfigEntry[],
  file: string | undefined,
): Promise<GateCalls> {
  const { path, tables } = await loadMachineConfig(configs, folders.config, file)
  return gateCalls(controlFolder(folders, path, tables['gate'] as GateConfig))
}

/** Where the gate with the configuration in `path` has its sockets. */
export function controlFolder(folders: Context['folders'], path: string, { runtime }: GateConfig): string {
  if (runtime === undefined) return join(folders.runtime, 'gate')
  return isAbsolute(runtime) ? runtime : join(dirname(path), runtime)
}

/** Those of the gate whose sockets are in `folder`; who may do everything opens the socket for that. */
export function gateCalls(folder: string, timeoutMs?: number): GateCalls {
  return controlClient(gateApi, { daemon: 'gate', folder, privilege: 'change', ...(timeoutMs === undefined ? {} : { timeoutMs }) }).calls
}
