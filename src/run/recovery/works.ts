// What is done to the data of a service as a whole, here or among the users inside containers: it is copied, and put back.
import { userInfo } from 'node:os'
import { type TakenTree, type TreeItem, needRoom, putTree, takeTree, treeBytes } from '../../base/transfer/tree.ts'
import type { AsOwners, Work } from '../files/as-owners.ts'
import type { Manifest } from './api.ts'
import { endReplacing, replaceContent, workFolder } from './replacing.ts'

/** What must be free besides what is written. */
const spareBytes = 64 << 20

/** How much of how much was done. */
export type OnBytes = (doneBytes: number, ofBytes: number) => void

type Copied = { readonly root: string; readonly to: string }

const copyWork: Work<Copied, TakenTree> = {
  name: 'copy',
  run: (asked) => copy(asked, () => {}),
}

async function copy({ root, to }: Copied, onBytes: OnBytes): Promise<TakenTree> {
  const ofBytes = await treeBytes(root, [workFolder])
  await needRoom(to, ofBytes + spareBytes)
  let doneBytes = 0
  return takeTree(root, to, { leaveOut: [workFolder], onBytes: (sizeBytes) => onBytes((doneBytes += sizeBytes), ofBytes) })
}

type PutBack = { readonly from: string; readonly items: readonly TreeItem[]; readonly folder: string }

const putBackWork: Work<PutBack, { readonly otherOwners: number }> = {
  name: 'put-back',
  run: (asked) => putBack(asked, () => {}),
}

async function putBack({ from, items, folder }: PutBack, onBytes: (sizeBytes: number) => void): Promise<{ readonly otherOwners: number }> {
  await needRoom(
    folder,
    items.reduce((sum, item) => sum + (item.is === 'file' ? item.sizeBytes : 0), 0),
  )
  return replaceContent(folder, (into) => putTree(from, items, into, onBytes))
}

const endWork: Work<{ readonly folder: string }, ReturnType<typeof endReplacing> | null> = {
  name: 'end-put-back',
  run: async ({ folder }) => endReplacing(folder) ?? null,
}

/** All that `asOwners` may be asked for here. */
export const recoveryWorks = [copyWork, putBackWork, endWork] as const

/** Copies all that is in `root` to `to`, a new folder of ours; among the owners nobody hears how far it is. Faults: those of `takeTree`, `run.not_let_in`. */
export async function copyData(
  asOwners: AsOwners | undefined,
  asked: Copied,
  onBytes: OnBytes,
): Promise<TakenTree & Pick<Manifest, 'owners'>> {
  if (!asOwners) return { ...(await copy(asked, onBytes)), owners: 'machine' }
  return { ...(await asOwners(copyWork, asked)), owners: 'inside' }
}

/** Puts what is in a backup in the place of all that is in `folder`. Faults: those of `putTree`, `run.not_let_in`. */
export function putBackData(
  asOwners: AsOwners | undefined,
  { items, owners, from, folder }: Omit<PutBack, 'items'> & Pick<Manifest, 'items' | 'owners'>,
  onBytes: (sizeBytes: number) => void,
): Promise<{ readonly otherOwners: number }> {
  if (!asOwners) return putBack({ from, folder, items: owners === 'machine' ? items : owned(items, userInfo().uid) }, onBytes)
  return asOwners(putBackWork, { from, folder, items: owners === 'inside' ? items : owned(items, 0) })
}

/** Owners by numbers that mean others here: all is the agent's. */
function owned(items: readonly TreeItem[], id: number): readonly TreeItem[] {
  return items.map((item) => ({ ...item, uid: id, gid: id }))
}

/** Ends or undoes what a kill cut off. */
export async function endPutBack(asOwners: AsOwners | undefined, folder: string): Promise<ReturnType<typeof endReplacing>> {
  return asOwners ? ((await asOwners(endWork, { folder })) ?? undefined) : endReplacing(folder)
}
