// The machine's own file, fairlead.toml: one table for each capability, checked whole.
import { join } from 'node:path'
import type { z } from 'zod'
import { statOf } from '../../kernel/file.ts'
import { loadConfig, machineSchema } from './config.ts'

/** A capability's schema as extensions.ts lists it. */
export type ConfigEntry = { readonly name: string; load(): Promise<{ readonly default: z.ZodType }> }

export type MachineConfig = {
  /** The file that was read, or would have been. Relative paths in it start from its folder. */
  readonly path: string
  /** The checked tables by capability, defaults filled in. */
  readonly tables: Readonly<Record<string, unknown>>
}

/** The machine's file in `folder`: the first of those names that is there, else the first. */
export function machineFile(folder: string): string {
  const candidates = ['fairlead.toml', 'fairlead.yaml', 'fairlead.yml'].map((name) => join(folder, name))
  return candidates.find((path) => statOf(path) !== undefined) ?? candidates[0]!
}

/** Reads `file`, or the machine's file in `folder` (all defaults when there is none). Faults: those of `loadConfig`. */
export async function loadMachineConfig(configs: readonly ConfigEntry[], folder: string, file?: string): Promise<MachineConfig> {
  const path = file ?? machineFile(folder)
  const sections = await Promise.all(configs.map(async ({ name, load }) => [name, (await load()).default] as const))
  const { value } = await loadConfig({ schema: machineSchema(Object.fromEntries(sections)), path, isOptional: file === undefined })
  return { path, tables: value }
}
