// The images that containers are made of, as they were then: copies by digest, so that a folder that changes later changes nothing that runs.
import { join } from 'node:path'
import { copyFolder, makeFolder, movePath, removeFolder, statOf } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { fault } from '../faults.ts'
import { splitReference } from '../reference.ts'
import type { ResolvedImage } from '../runtime.ts'
import { findImageFolder, treeDigest } from './images.ts'
import type { Records } from './records.ts'

export interface KeptImages {
  /** Where that image lies, whole, once it was kept. */
  folderOf(digest: string): string
  /** The image that a reference means now: of the folders that people fill, or one that is kept. Fault: `run.runtime_refused`. */
  resolve(reference: string): Promise<ResolvedImage | undefined>
  /** Keeps it from now on, and holds it against its digest. Faults: `run.no_image`, `run.runtime_refused`. */
  keep(image: ResolvedImage): Promise<void>
  /** Removes those that nobody needs any more. */
  tidy(): Promise<void>
}

/** `images` is filled by people, `kept` by us alone. */
export function keptImages(records: Records, { images, kept }: { readonly images: string; readonly kept: string }): KeptImages {
  for (const folder of [images, kept]) makeFolder(folder)
  const folderOf = (digest: string): string => join(kept, digest.replace(':', '-'))
  const isKept = (digest: string): boolean => statOf(folderOf(digest)) !== undefined
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const result = turn.then(work)
    turn = result.catch(() => {})
    return result
  }
  const keep = async ({ reference, digest }: ResolvedImage): Promise<void> => {
    const name = records.nameOfImage(digest) ?? splitReference(reference).name
    if (!isKept(digest) || (await treeDigest(folderOf(digest))) !== digest) {
      removeFolder(folderOf(digest)) // what somebody changed there is not that image any more
      const found = await findImageFolder(images, name === '' ? digest : `${name}@${digest}`)
      if (!found) throw fault.no_image({ reference, where: `in ${images}` })
      const beside = join(kept, `.${randomId(9)}.tmp`)
      try {
        await copyFolder(found.folder, beside)
        if ((await treeDigest(beside)) !== digest)
          throw fault.runtime_refused({ runtime: 'process', doing: `copy the image ${reference}`, reason: 'it changed meanwhile' })
        movePath(beside, folderOf(digest))
      } finally {
        removeFolder(beside)
      }
    }
    records.useImage(digest, name)
  }
  return {
    folderOf,
    async resolve(reference) {
      const { name, digest } = splitReference(reference)
      if (digest !== undefined && isKept(digest) && (name === '' || records.nameOfImage(digest) === name)) return { reference, digest }
      const found = await findImageFolder(images, reference)
      return found && { reference, digest: found.digest }
    },
    keep: (image) => inTurn(() => keep(image)),
    tidy: () =>
      inTurn(async () => {
        for (const digest of records.dropImages()) removeFolder(folderOf(digest))
      }),
  }
}
