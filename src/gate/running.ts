// Where the gate that an operator means keeps its state: as the same configuration file says.
import { join } from 'node:path'
import { type ConfigEntry, loadMachineConfig } from '../base/config/machine.ts'
import type { Context } from '../base/terminal/command.ts'
import { askGate } from './local-control.ts'
import type { GateConfig } from './upstream-kind.ts'

export const configFlag = {
  summary: 'the configuration file that the gate runs with; fairlead.toml in the configuration folder by default',
  value: 'FILE',
} as const

/** Asks the running gate of that configuration. Faults: those of `loadMachineConfig` and `askGate`. */
export async function runningGate(
  { clock, folders }: Pick<Context, 'clock' | 'folders'>,
  configs: readonly ConfigEntry[],
  file: string | undefined,
): Promise<(method: string, params?: Readonly<Record<string, unknown>>) => Promise<Record<string, unknown>>> {
  const { tables } = await loadMachineConfig(configs, folders.config, file)
  const { state } = tables['gate'] as GateConfig
  const folder = state ?? join(folders.state, 'gate')
  return (method, params) => askGate({ clock, folder }, method, params)
}
