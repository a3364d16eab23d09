// The machine's own file, fairlead.toml: one table for each capability, checked whole.
import { join } from 'node:path'
import { z } from 'zod'
import { statOf } from '../../kernel/file.ts'
import { loadConfig } from './config.ts'

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

/** The schema of that file: all defaults for a table that is left out. */
export async function machineSchema(configs: readonly ConfigEntry[]): Promise<z.ZodType<Record<string, unknown>>> {
  const tables = configs.map(async ({ name, load }) => {
    const section = (await load()).default
    return [name, section.safeParse({}).success ? section.prefault({}) : section.optional()] as const
  })
  return z.strictObject(Object.fromEntries(await Promise.all(tables)))
}

/** Reads `file`, or the machine's file in `folder` (all defaults when there is none). Faults: those of `loadConfig`. */
export async function loadMachineConfig(configs: readonly ConfigEntry[], folder: string, file?: string): Promise<MachineConfig> {
  const path = file ?? machineFile(folder)
  const { value } = await loadConfig({ schema: await machineSchema(configs), path, isOptional: file === undefined })
  return { path, tables: value }
}
