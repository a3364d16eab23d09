// Copies of what a node knows, made while it runs, and the way back from one.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import { removeFile, statOf, writeWhole } from '../../kernel/file.ts'
import { lockFolder } from '../../base/store/lock.ts'
import { snapshotStore } from '../../base/store/snapshot.ts'
import { fault } from '../faults.ts'
import { utcName } from '../recovery/utc-name.ts'
import type { AgentFiles } from './files.ts'

const kept = 14
const snapshotName = /^\d{8}T\d{6}Z(?:-\d+)?\.db$/

/** Copies the database to `backups/<UTC>.db`, beside an agent that may be running, and drops all but the newest 14; answers its path. */
export async function snapshot({ clock }: { readonly clock: Clock }, { database, backups }: AgentFiles): Promise<string> {
  if (!statOf(database)) throw fault.no_database({ path: database })
  const path = join(backups, `${utcName(clock.now(), (name) => statOf(join(backups, `${name}.db`)) !== undefined)}.db`)
  await snapshotStore(database, path)
  for (const name of snapshots(backups).slice(kept)) removeFile(join(backups, name))
  return path
}

/** Names, newest first. */
export function snapshots(backups: string): readonly string[] {
  try {
    return readdirSync(backups)
      .filter((name) => snapshotName.test(name))
      .sort()
      .reverse()
  } catch (error) {
    if (reasonOf(error) === 'ENOENT') return []
    throw error
  }
}

/** Puts a snapshot in the database's place. The agent must be stopped: fault `store.locked`; others: `run.no_snapshot`. What it held before goes to a snapshot first. */
export async function restore(
  { clock }: { readonly clock: Clock },
  files: AgentFiles,
  name: string | undefined,
): Promise<{ readonly from: string; readonly keptAside: string | null }> {
  using _ = lockFolder(files.folder, 'mcp-agent')
  const [newest] = snapshots(files.backups)
  const from = name === undefined ? newest && join(files.backups, newest) : name.includes('/') ? name : join(files.backups, name)
  if (from === undefined || !statOf(from)) throw fault.no_snapshot({ path: from ?? files.backups })
  const content = readFileSync(from)
  const keptAside = statOf(files.database) ? await snapshot({ clock }, files).catch(() => null) : null
  writeWhole(files.database, content)
  return { from, keptAside }
}
