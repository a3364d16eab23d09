// Puts what is in a new folder in the place of all that is in a data folder. That itself stays: a disk may be mounted there, and containers hold on to it.
//
// How far it has come is said by names alone, so that after a kill it is undone, or ended:
//   new.partial  being filled                       → undone
//   new          whole; what was there goes to old  → ended
//   now          all that was there is in old       → ended
//   gone         all is done but for its removal
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, movePath, removeFolder, syncFolder } from '../../kernel/file.ts'

/** Right in the data folder while something is put back. Part of no backup. */
export const workFolder = '.mcp-restore'

/** `fill` makes what is to be there, in the folder that it is given. What it throws leaves all as it was. */
export async function replaceContent<Result>(folder: string, fill: (into: string) => Promise<Result>): Promise<Result> {
  makeFolder(folder, 0o750)
  const { work, partial, next } = placesIn(folder)
  endReplacing(folder)
  removeFolder(work)
  makeFolder(partial)
  try {
    const result = await fill(partial)
    movePath(partial, next)
    syncFolder(work)
    finish(folder)
    return result
  } catch (error) {
    undo(folder)
    throw error
  }
}

/** Ends or undoes what a kill cut off. Answers which, if anything. */
export function endReplacing(folder: string): 'ended' | 'undone' | undefined {
  const { work, partial, next, now, old } = placesIn(folder)
  if (!existsSync(work)) return undefined
  if (existsSync(next) || existsSync(now)) {
    finish(folder)
    return 'ended'
  }
  if (!existsSync(partial) && !existsSync(old)) {
    removeGone(work)
    return undefined
  }
  undo(folder)
  return 'undone'
}

function placesIn(folder: string) {
  const work = join(folder, workFolder)
  return {
    work,
    partial: join(work, 'new.partial'),
    next: join(work, 'new'),
    now: join(work, 'now'),
    old: join(work, 'old'),
    gone: join(work, 'gone'),
  }
}

function finish(folder: string): void {
  const { work, next, now, old, gone } = placesIn(folder)
  if (existsSync(next)) {
    makeFolder(old)
    moveAll(folder, old)
    movePath(next, now)
    syncFolder(work)
  }
  moveAll(now, folder)
  syncFolder(folder)
  if (existsSync(old)) movePath(old, gone)
  removeFolder(now)
  removeGone(work)
}

/** What other users own cannot always be removed: it stays, and harms nothing. */
function removeGone(work: string): void {
  try {
    removeFolder(work)
  } catch {
    // the next time, perhaps
  }
}

/** While it is not `now`, what was there is in `old` or where it was. */
function undo(folder: string): void {
  const { work, now, old } = placesIn(folder)
  if (existsSync(now)) return // all of the new is in place or on its way: the next start ends it
  if (existsSync(old)) moveAll(old, folder)
  removeFolder(work)
}

function moveAll(from: string, to: string): void {
  for (const name of readdirSync(from)) if (name !== workFolder) movePath(join(from, name), join(to, name))
}
