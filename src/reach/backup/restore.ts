// Puts the files of a backup in the place of a home's, all of them or none: written aside, and then swapped in steps that whoever comes next can finish.
//
//   .restoring/                    being written; nothing was changed yet
//   .restore/staged, before-<UTC>  whole and checked: what is there moves into before-<UTC>
//   .restore/moving, before-<UTC>  what was staged moves into its place
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { asFault } from '../../kernel/fault.ts'
import { makeFolder, movePath, removeFolder, statOf, syncFolder, writeWhole } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { readWalletCard } from '../../base/identity/wallet.ts'
import { type FolderLock, lockFolder } from '../../base/store/lock.ts'
import { type Manifest, staysInPlace } from './backup.ts'
import type { ArchiveFile } from './tar.ts'
import { fault } from '../faults.ts'

/** Being the only one that backs up or restores `folder`; fault `reach.restore_under_way`. */
export function lockBackup(folder: string): FolderLock {
  return lockOr(folder, 'backup', () => fault.restore_under_way({ folder }))
}

/** Being sure that no host of the identity runs; fault `reach.restore_host_runs`. */
export function lockHost(folder: string): FolderLock {
  return lockOr(folder, 'host', () => fault.restore_host_runs({ folder }))
}

function lockOr(folder: string, name: string, isHeld: () => Error): FolderLock {
  try {
    return lockFolder(folder, name)
  } catch (error) {
    throw asFault(error).code === 'store.locked' ? isHeld() : error
  }
}

export type Restored = { readonly keptAside: string | undefined }
/** How one thing is moved: tests stop it. */
type Move = (from: string, to: string) => void

/** Replaces what is in `folder` by a checked backup; what was there is kept in a folder in it. The caller has both locks. Fault `reach.backup_invalid`. */
export function restoreHome(folder: string, backup: Backup, now: number, move: Move = movePath): Restored {
  const building = join(folder, '.restoring')
  removeFolder(building) // of one that was killed
  try {
    stage(folder, building, backup, now)
  } catch (error) {
    removeFolder(building)
    throw error
  }
  move(building, join(folder, '.restore'))
  return swap(folder, move)
}

type Backup = { readonly manifest: Manifest; readonly files: readonly ArchiveFile[] }

function stage(folder: string, building: string, { manifest, files }: Backup, now: number): void {
  for (const { name, bytes } of files) {
    const path = join(building, 'staged', name)
    makeFolder(dirname(path))
    writeWhole(path, bytes)
  }
  const card = readWalletCard(join(building, 'staged', 'wallet.json'))
  if (card?.peerId !== manifest.peerId) throw fault.backup_invalid({ problem: 'its wallet is of another identity than it says' })
  makeFolder(join(building, freeName(folder, now)))
  syncFolder(building)
}

/** Finishes a restore that was cut off, if there is one. Every command does so before it looks at the folder. Fault `reach.restore_under_way`. */
export function finishRestore(folder: string): void {
  if (!statOf(join(folder, '.restore'))) return
  using _ = lockBackup(folder)
  if (statOf(join(folder, '.restore'))) swap(folder, movePath)
}

function swap(folder: string, move: Move): Restored {
  const restore = join(folder, '.restore')
  const [staged, moving] = [join(restore, 'staged'), join(restore, 'moving')]
  const name = readdirSync(restore).find((entry) => entry.startsWith('before-'))
  const before = name === undefined ? undefined : join(restore, name)
  if (before !== undefined && statOf(staged)) {
    for (const entry of readdirSync(folder)) if (!staysInPlace(entry)) move(join(folder, entry), join(before, entry))
    syncFolder(before)
    move(staged, moving)
  }
  if (before !== undefined && statOf(moving)) {
    for (const entry of readdirSync(moving)) {
      const place = join(folder, entry)
      if (statOf(place)) move(place, join(before, `${entry}.${randomId(6)}`)) // of a process that runs on
      move(join(moving, entry), place)
    }
    syncFolder(folder)
  }
  const keptAside = before !== undefined && readdirSync(before).length > 0 ? join(folder, name!) : undefined
  if (keptAside !== undefined) move(before!, keptAside)
  removeFolder(restore)
  syncFolder(folder)
  return { keptAside }
}

/** `before-<UTC time>`, a little later when that is taken. */
function freeName(folder: string, nowMs: number): string {
  const name = `before-${new Date(nowMs).toISOString().replaceAll(/[-:]/g, '')}`
  return statOf(join(folder, name)) ? freeName(folder, nowMs + 1) : name
}
