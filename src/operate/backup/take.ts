// Takes a backup while the services run: the configuration, the data with its databases as they stood at one moment, and version.json, in the runbook's layout.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ageSeal } from '../../base/identity/age.ts'
import { lockFolder } from '../../base/store/lock.ts'
import { snapshotStore } from '../../base/store/snapshot.ts'
import { needRoom, takeTree, treeBytes } from '../../base/transfer/tree.ts'
import type { Clock } from '../../kernel/clock.ts'
import { exec } from '../../kernel/exec.ts'
import { asFault } from '../../kernel/fault.ts'
import { makeFolder, moveFile, movePath, removeFile, removeFolder, setMode, statOf, syncFolder, writeWhole } from '../../kernel/file.ts'
import type { Installation } from '../installation.ts'
import { versionFile } from '../update/version-file.ts'
import { fault } from './faults.ts'

export type BackupSettings = {
  readonly installation: Installation
  readonly folder: string
  readonly keepDays: number
  readonly recipients: readonly string[]
}
export type Backup = {
  readonly path: string
  readonly sizeBytes: number
  /** What was left out, or was written meanwhile. */
  readonly remarks: readonly { readonly path: string; readonly remark: string }[]
}

const spareBytes = 64 << 20
/** Sealing is done in memory. */
export const maxSealedBytes = 1 << 30
const tarTimeoutMs = 3_600_000
const archive = /\.tar\.gz(?:\.age)?$/
const leftover = /^(?:\d{8}-\d{6}|\.\d{8}-\d{6}\.partial)$/
const dayMs = 86_400_000

/** One at a time (fault `store.locked`). Others: `transfer.*`, `store.*`, `backup.too_large`, `backup.tar_failed`, `age.bad_recipient`; then nothing is left of it, and the last one stays as it is. */
export async function takeBackup({ clock }: { readonly clock: Clock }, settings: BackupSettings): Promise<Backup> {
  const base = join(settings.folder, 'mcp-raspi')
  makeFolder(base)
  using _ = lockFolder(base, '.backup')
  clearLeftovers(base)
  const name = dateName(clock.now())
  const work = join(base, name)
  try {
    const remarks = await fill(work, settings)
    const packed = await pack(base, name, settings.recipients)
    if (settings.recipients.length === 0) replaceLatest(work, join(settings.folder, 'latest'))
    else removeFolder(join(settings.folder, 'latest'))
    clean(base, clock.now() - settings.keepDays * dayMs)
    return { path: packed, sizeBytes: statOf(packed)!.size, remarks }
  } finally {
    removeFolder(work)
  }
}

/** 20261130-020000, in UTC: in the order of time. */
function dateName(at: number): string {
  return new Date(at)
    .toISOString()
    .replaceAll(/[-:]|\.\d+Z/g, '')
    .replace('T', '-')
}

async function fill(work: string, { installation }: BackupSettings): Promise<Backup['remarks']> {
  makeFolder(work)
  const sizes = await Promise.all([installation.config, installation.state].map((path) => treeBytes(path)))
  await needRoom(work, 2 * sizes.reduce((sum, size) => sum + size, 0) + spareBytes) // unpacked, and packed
  const remarks: { path: string; remark: string }[] = []
  for (const [root, into] of [
    [installation.config, 'config'],
    [installation.state, 'data'],
  ] as const) {
    const to = join(work, into)
    makeFolder(to)
    const taken = await takeTree(root, to)
    for (const { is, path, mode } of taken.items.toReversed()) if (is === 'folder') setMode(join(to, path), mode)
    setMode(to, statOf(root)!.mode & 0o777)
    for (const path of taken.databases) {
      await ownMark(join(to, path)).catch((error: unknown) => {
        if (!['store.damaged', 'store.failed'].includes(asFault(error).code)) throw error
        remarks.push({ path: join(root, path), remark: 'SQLite cannot read it as a database: copied as it is' })
      })
    }
    remarks.push(...taken.remarks.map(({ path, remark }) => ({ path: join(root, path), remark })))
  }
  const version = versionFile(installation.root)
  if (statOf(version)) writeWhole(join(work, 'version.json'), readFileSync(version))
  return remarks
}

/** What one that was killed left: nothing of it may lie there unsealed. */
function clearLeftovers(base: string): void {
  for (const name of readdirSync(base)) if (leftover.test(name)) removeFolder(join(base, name))
}

/** A copy is a file of its own: put back by plain `cp`, it does not take up a log that lies there still and was written for the one that it was taken of. */
async function ownMark(path: string): Promise<void> {
  const mode = statOf(path)!.mode & 0o777
  const marked = `${path}.marked`
  try {
    await snapshotStore(path, marked)
    setMode(marked, mode)
    moveFile(marked, path)
  } finally {
    for (const beside of ['-wal', '-shm', '-mark']) removeFile(`${path}${beside}`)
  }
}

async function pack(base: string, name: string, recipients: readonly string[]): Promise<string> {
  const plain = join(base, `${name}.tar.gz`)
  const partial = join(base, `.${name}.partial`)
  try {
    writeWhole(partial, '') // so that nobody else may read it from its first byte on
    const { exitCode, stderr } = await exec(['tar', '-czf', partial, '-C', base, name], {
      env: { PATH: '/usr/bin:/bin' },
      timeoutMs: tarTimeoutMs,
    })
    if (exitCode !== 0) throw fault.tar_failed({ problem: stderr.trim().split('\n')[0] || `exit code ${exitCode}` })
    if (recipients.length === 0) {
      moveFile(partial, plain)
      return plain
    }
    if (statOf(partial)!.size > maxSealedBytes) throw fault.too_large({ path: plain, maxBytes: maxSealedBytes })
    writeWhole(`${plain}.age`, await ageSeal(readFileSync(partial), { recipients }))
    return `${plain}.age`
  } finally {
    removeFile(partial)
  }
}

function replaceLatest(work: string, latest: string): void {
  const before = `${latest}.before`
  removeFolder(before)
  if (statOf(latest)) movePath(latest, before)
  movePath(work, latest)
  removeFolder(before)
}

function clean(base: string, oldestMs: number): void {
  for (const name of readdirSync(base)) {
    if (!archive.test(name)) continue
    const stat = statOf(join(base, name))
    if (stat && stat.mtimeMs < oldestMs) removeFile(join(base, name))
  }
  syncFolder(base)
}
