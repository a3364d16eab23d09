// The backups of services: a folder each, named by its time, that is whole as soon as it has its name: `manifest.json` says what is in it, `files/` holds it.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import { makeFolder, movePath, readText, removeFolder, statOf, syncFolder, writeWhole } from '../../kernel/file.ts'
import { fault } from '../faults.ts'
import type { AsOwners } from '../files/as-owners.ts'
import { type DataPlaces, dataFolder } from '../files/data-folder.ts'
import { type BackupShown, type Manifest, backupName, manifestFile } from './api.ts'
import { utcName } from './utc-name.ts'
import { copyData } from './works.ts'

export type BackupPlaces = DataPlaces & {
  /** Holds a folder for each service's backups. */
  readonly backups: string
}
export type KeepBackups = { readonly most: number; readonly ageMs: number }

/** Names, newest first. */
export function backupNames({ backups }: BackupPlaces, service: string): readonly string[] {
  try {
    return readdirSync(join(backups, service))
      .filter((name) => backupName.safeParse(name).success)
      .sort(byTime)
      .reverse()
  } catch (error) {
    if (reasonOf(error) === 'ENOENT') return []
    throw error
  }
}

/** `…Z-10` comes after `…Z-9`. */
function byTime(a: string, b: string): number {
  return a.slice(0, 16) === b.slice(0, 16) ? Number(a.slice(17)) - Number(b.slice(17)) : a < b ? -1 : 1
}

/** One of them, the newest by default. Faults `run.no_backup`, `run.backup_damaged`. */
export function readBackup(
  places: BackupPlaces,
  service: string,
  wanted?: string,
): Manifest & { readonly name: string; readonly path: string } {
  const name = wanted ?? backupNames(places, service)[0]
  const folder = join(places.backups, service)
  const path = join(folder, name ?? '')
  const text = name === undefined ? undefined : readText(join(path, 'manifest.json'))
  if (name === undefined || text === undefined) throw fault.no_backup({ service, folder, name: wanted })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw fault.backup_damaged({ path, problem: 'its manifest is no JSON' }, error)
  }
  const found = manifestFile.safeParse(value)
  if (!found.success) throw fault.backup_damaged({ path, problem: found.error.issues[0]?.message ?? 'its manifest is none' })
  if (found.data.service !== service) throw fault.backup_damaged({ path, problem: `it is of ${found.data.service}` })
  return { ...found.data, name, path }
}

export function backupShown({ name, path, at, items, databases, remarks }: ReturnType<typeof readBackup>): BackupShown {
  const files = items.filter((item) => item.is === 'file')
  return { name, path, at, files: files.length, sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0), databases, remarks }
}

/** Copies the data folder, which may be in use. Faults: `run.own_folder`, `run.no_data`, `transfer.*`, `store.*`; then nothing is left of it. */
export async function backUpService(
  { clock, asOwners }: { readonly clock: Clock; readonly asOwners?: AsOwners | undefined },
  places: BackupPlaces,
  {
    service,
    node,
    onBytes = () => {},
  }: { readonly service: string; readonly node: string; readonly onBytes?: (done: number, of: number) => void },
): Promise<ReturnType<typeof readBackup>> {
  const root = dataFolder(places, service)
  if (!statOf(root)) throw fault.no_data({ service, path: root })
  const folder = join(places.backups, service)
  makeFolder(folder)
  for (const left of readdirSync(folder)) if (left.endsWith('.partial')) removeFolder(join(folder, left)) // of one that was killed
  const at = clock.now()
  const name = utcName(at, (one) => statOf(join(folder, one)) !== undefined)
  const partial = join(folder, `${name}.partial`)
  try {
    makeFolder(join(partial, 'files'))
    const taken = await copyData(asOwners, { root, to: join(partial, 'files') }, onBytes)
    const manifest: Manifest = { schema: 1, service, node, at, ...taken }
    writeWhole(join(partial, 'manifest.json'), `${JSON.stringify(manifest)}\n`)
    movePath(partial, join(folder, name))
    syncFolder(folder)
    return { ...manifest, name, path: join(folder, name) }
  } catch (error) {
    removeFolder(partial)
    throw error
  }
}

/** Drops those that are too many or too old; the newest stays, however old it is. */
export function dropBackups(
  { clock }: { readonly clock: Clock },
  places: BackupPlaces,
  service: string,
  { most, ageMs }: KeepBackups,
): void {
  for (const [at, name] of backupNames(places, service).entries()) {
    if (at === 0 || (at < most && timeOf(name) >= clock.now() - ageMs)) continue
    const path = join(places.backups, service, name)
    movePath(path, `${path}.partial`) // what is half removed is no backup
    removeFolder(`${path}.partial`)
  }
}

/** When the backup of that name was made, ms since 1970. */
export function timeOf(name: string): number {
  return Date.parse(name.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*$/, '$1-$2-$3T$4:$5:$6Z'))
}
