// The folder that files come into: unfinished ones are parts in a folder of their own inside it, and one gets its name there only when it is whole.
import { hash } from 'node:crypto'
import { constants, linkSync, lstatSync, readdirSync, renameSync, type Stats } from 'node:fs'
import { open, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import { makeFolder, readText, removeFile, syncFolder, writeWhole } from '../../kernel/file.ts'
import { fault } from './faults.ts'
import { IncomingFile, type PartEnds, isFull } from './incoming-file.ts'
import { numberedName, safeName } from './name.ts'
import type { FileFacts } from './outgoing-file.ts'

const partsFolder = '.partial' // no name that `safeName` gives begins with a dot
const maxParts = 64
const maxPlans = 256
const maxAlike = 9_999

/** Attempts with the same `from`, `name`, size and SHA-256 go on with the same part. */
export type Transfer = FileFacts & {
  /** Who brings it, in any words. */
  readonly from: string
  /** One wish to have it stored: what was stored under this id already is not stored again. */
  readonly id: string
  /** As its sender calls it. */
  readonly name: string
}

export interface IncomingFolder {
  /**
   * Begins a transfer or goes on with it. Faults: `transfer.no_room` before a byte is taken that does not fit, `.underway` when another attempt of it still is, `.in_the_way`,
   * `.unwritable`.
   */
  begin(transfer: Transfer): Promise<{ readonly storedAs: string } | { readonly file: IncomingFile }>
  /** Removes the parts that nobody went on with for `keepMs`, and the oldest of too many (64). */
  sweep(): void
}

export type IncomingFolderSettings = {
  readonly path: string
  /** How long a part waits for the rest of its file: a week by default. */
  readonly keepMs?: number
}

const weekMs = 7 * 86_400_000

/** Files that come into `path`, which is made when the first one comes. One process at a time may use it. */
export function incomingFolder({ clock }: { readonly clock: Clock }, { path, keepMs = weekMs }: IncomingFolderSettings): IncomingFolder {
  const parts = join(path, partsFolder)
  const underway = new Set<string>()

  const sweep = (): void => {
    const found = entriesOf(parts).filter(({ key }) => !underway.has(key))
    const oldest = (suffix: string) => found.filter(({ name }) => name.endsWith(suffix)).toSorted((a, b) => b.changedAt - a.changedAt)
    for (const [suffix, most] of [
      ['.part', maxParts],
      ['.plan', maxPlans],
    ] as const)
      for (const [at, { name, changedAt }] of oldest(suffix).entries())
        if (at >= most || changedAt < clock.now() - keepMs) removeFile(join(parts, name))
  }
  return {
    sweep,
    async begin(transfer) {
      const key = keyOf(transfer)
      const [part, plan] = [join(parts, `${key}.part`), join(parts, `${key}.plan`)]
      if (underway.has(key)) throw fault.underway({ name: safeName(transfer.name) })
      underway.add(key)
      const released = (): void => void underway.delete(key)
      try {
        makeFolders(path, parts)
        sweep()
        const storedAs = storedBefore(path, part, plan, transfer.id)
        if (storedAs !== undefined) {
          released()
          return { storedAs }
        }
        const settle = (name: string): string => settled(path, part, name, (planned) => writeWhole(plan, planText(transfer.id, planned)))
        return { file: await openPart(part, path, transfer, { settle, released, remove: () => removeFile(part) }) }
      } catch (error) {
        released()
        throw error
      }
    },
  }
}

function keyOf({ from, name, sizeBytes, sha256 }: Transfer): string {
  return hash('sha256', JSON.stringify([from, name, sizeBytes, sha256]), 'hex')
}

function makeFolders(path: string, parts: string): void {
  makeFolder(path)
  if (!look(parts)) makeFolder(parts)
  if (!look(parts)?.isDirectory()) throw fault.in_the_way({ path: parts, what: 'no folder' }) // a link that leads elsewhere is none
}

async function openPart(part: string, folder: string, { sizeBytes, sha256 }: FileFacts, ends: PartEnds) {
  const needsBytes = Math.max(0, sizeBytes - (look(part)?.size ?? 0))
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize < needsBytes) throw fault.no_room({ folder, needsBytes })
  const file = await open(part, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600).catch(
    (error: unknown) => {
      const reason = reasonOf(error)
      throw reason === 'ELOOP'
        ? fault.in_the_way({ path: part, what: 'a symbolic link' })
        : isFull(reason)
          ? fault.no_room({ folder, needsBytes }, error)
          : fault.unwritable({ path: part, reason }, error)
    },
  )
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw fault.in_the_way({ path: part, what: 'no plain file' })
    if (stat.size > sizeBytes) await file.truncate() // not our doing
    const heldBytes = stat.size > sizeBytes ? 0 : stat.size
    return new IncomingFile(file, part, { sizeBytes, sha256 }, heldBytes, ends)
  } catch (error) {
    await file.close()
    throw error
  }
}

const planText = (id: string, name: string): string => `${JSON.stringify({ id, name })}\n`

/** The name under which the transfer `id` was stored, if it was: the plan is written before, and the part goes after. */
function storedBefore(folder: string, part: string, plan: string, id: string): string | undefined {
  const planned = planIn(plan)
  const named = planned && look(join(folder, planned.name))
  if (!named) return undefined
  const whole = look(part)
  if (whole && (named.ino !== whole.ino || named.dev !== whole.dev)) return undefined
  if (whole) removeFile(part)
  return planned.id === id ? planned.name : undefined
}

function planIn(path: string): { readonly id: string; readonly name: string } | undefined {
  try {
    const { id, name } = JSON.parse(readText(path) ?? '{}') as Record<string, unknown>
    return typeof id === 'string' && typeof name === 'string' && safeName(name) === name ? { id, name } : undefined
  } catch {
    return undefined
  }
}

/** Gives the part the first name that is free: as one step, over nothing that is there, links included. */
function settled(folder: string, part: string, name: string, plan: (name: string) => void): string {
  const plain = safeName(name)
  for (let count = 1; count <= maxAlike; count++) {
    const named = numberedName(plain, count)
    const path = join(folder, named)
    if (look(path)) continue
    plan(named)
    try {
      linkSync(part, path)
      removeFile(part)
    } catch (error) {
      if (reasonOf(error) === 'EEXIST') continue
      if (!noLinks.has(reasonOf(error))) throw fault.unwritable({ path, reason: reasonOf(error) }, error)
      renameSync(part, path) // this file system has no hard links: we looked, and are the only ones who write here
    }
    syncFolder(folder)
    return named
  }
  throw fault.too_many_alike({ name: plain, most: maxAlike })
}

const noLinks: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

function look(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

function entriesOf(parts: string): { readonly name: string; readonly key: string; readonly changedAt: number }[] {
  if (!look(parts)?.isDirectory()) return []
  return readdirSync(parts).flatMap((name) => {
    const stat = look(join(parts, name))
    return stat ? [{ name, key: name.replace(/\..*/, ''), changedAt: stat.mtimeMs }] : []
  })
}
