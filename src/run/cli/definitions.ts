// The definitions on a person's machine: one file for each service, read whole or refused, and changed in one place at a time.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { asFault, reasonOf } from '../../kernel/fault.ts'
import { makeFolder, readText, writeWhole } from '../../kernel/file.ts'
import { withActive } from '../service/active.ts'
import { type Service, name as serviceName } from '../service/config.ts'
import { readService } from '../service/read.ts'
import { fault } from './faults.ts'
import type { CliFiles } from './files.ts'

export type Definition = { readonly file: string; readonly text: string; readonly service: Service }

export type Place = { readonly service: string; readonly component: string | undefined }

/** `service` or `service/component`. Fault `mcp.bad_place`. */
export function placeOf(text: string): Place {
  const [service, component, ...more] = text.split('/')
  const isName = (word: string): boolean => serviceName.safeParse(word).success
  if (more.length > 0 || !isName(service!) || (component !== undefined && !isName(component))) throw fault.bad_place({ text })
  return { service: service!, component }
}

export function definitionFile({ services }: CliFiles, service: string): string {
  return join(services, `${service}.toml`)
}

/** Undefined when there is none. Faults `config.*`, `run.other_name`. */
export async function definitionOf(files: CliFiles, service: string): Promise<Definition | undefined> {
  const file = definitionFile(files, service)
  const text = readText(file)
  return text === undefined ? undefined : { file, text, service: await readService(text, file, service) }
}

/** From any file. Faults `mcp.no_definition`, `config.*`, `run.other_name`. */
export async function definitionIn(file: string, service?: string): Promise<Definition> {
  const text = readText(file)
  if (text === undefined) throw fault.no_definition({ file })
  return { file, text, service: await readService(text, file, service) }
}

/** All of them, by name; with what is wrong in those that cannot be read. */
export async function allDefinitions(
  files: CliFiles,
): Promise<{ readonly good: readonly Definition[]; readonly problems: readonly string[] }> {
  const good: Definition[] = []
  const problems: string[] = []
  for (const name of namesIn(files.services)) {
    try {
      good.push((await definitionOf(files, name))!)
    } catch (error) {
      const known = asFault(error)
      if (known.kind === 'bug') throw error
      problems.push(known.message)
    }
  }
  return { good, problems }
}

/** All or none of them. Fault `mcp.bad_definitions`. */
export async function goodDefinitions(files: CliFiles): Promise<readonly Definition[]> {
  const { good, problems } = await allDefinitions(files)
  if (problems.length > 0) throw fault.bad_definitions({ problems })
  return good
}

export function saveDefinition(files: CliFiles, service: string, text: string): string {
  makeFolder(files.services)
  const file = definitionFile(files, service)
  writeWhole(file, text)
  return file
}

/** Writes `active` into the local definition, if there is one and it says otherwise; answers its path then. */
export async function saveActive(files: CliFiles, definition: Definition | undefined, active: boolean): Promise<string | undefined> {
  if (!definition || definition.service.active === active) return undefined
  return saveDefinition(files, definition.service.name, await withActive(definition.text, active))
}

/** A file of another name is a person's own: a copy, or what an editor keeps. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((file) => /^[^.].*\.toml$/.test(file))
      .map((file) => file.slice(0, -'.toml'.length))
      .sort()
  } catch (error) {
    if (reasonOf(error) === 'ENOENT') return []
    throw error
  }
}
