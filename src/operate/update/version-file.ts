// version.json: which release runs, which one was good before it, and how the last change ended. The runbook has people read it, and write it by hand.
import { join } from 'node:path'
import { readText, statOf, writeWhole } from '../../kernel/file.ts'
import { fault } from './faults.ts'
import { isVersion } from './version.ts'

/** `rolled_back`: the one before runs again, because it was asked for or because the new one did not prove to be well. */
export const statuses = ['installed', 'in_progress', 'success', 'rolled_back'] as const

export type LastUpdate = {
  readonly status: (typeof statuses)[number]
  readonly timestamp: string
  readonly from_version?: string
  readonly to_version?: string
  readonly reason?: string
}
export type VersionState = {
  readonly current_version: string
  readonly previous_good_version: string | null
  readonly last_update: LastUpdate
}

export const versionFile = (root: string): string => join(root, 'version.json')

/** What it says, or undefined when it is not there. More members than these are nobody's: they are not kept. Fault `update.version_file_damaged`. */
export function readVersion(root: string): VersionState | undefined {
  const path = versionFile(root)
  const text = readText(path)
  if (text === undefined) return undefined
  let found: Partial<Record<keyof VersionState, unknown>> | null
  try {
    found = JSON.parse(text) as typeof found
  } catch (error) {
    throw fault.version_file_damaged({ path, problem: 'it is no JSON' }, error)
  }
  const { current_version: current, previous_good_version: previous = null, last_update: last } = found ?? {}
  if (typeof current !== 'string' || !isVersion(current))
    throw fault.version_file_damaged({ path, problem: '"current_version" is no version' })
  if (previous !== null && (typeof previous !== 'string' || !isVersion(previous)))
    throw fault.version_file_damaged({ path, problem: '"previous_good_version" is neither a version nor null' })
  return { current_version: current, previous_good_version: previous, last_update: lastIn(last) }
}

function lastIn(value: unknown): LastUpdate {
  const { status, timestamp, ...more } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  const texts = Object.entries(more).filter(
    ([key, text]) => ['from_version', 'to_version', 'reason'].includes(key) && typeof text === 'string',
  )
  return {
    status: statuses.find((known) => known === status) ?? 'installed',
    timestamp: typeof timestamp === 'string' ? timestamp : '',
    ...Object.fromEntries(texts),
  }
}

/** Whoever owns it goes on owning it: the runbook's person writes it without being root. */
export function writeVersion(root: string, state: VersionState): void {
  const path = versionFile(root)
  writeWhole(path, `${JSON.stringify(state, undefined, 2)}\n`, 0o644, statOf(path))
}
