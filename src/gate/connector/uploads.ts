// Where files of the upload connector land: a port, and the way to fill it with a folder for each service.
import { Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import { type IncomingFolder, incomingFolder } from '../../base/transfer/incoming-folder.ts'
import { fault } from '../faults.ts'

/** A file that is on its way. */
export type Upload = {
  readonly service: string
  /** As its sender calls it. */
  readonly name: string
  readonly sizeBytes: number
  /** Lower-case hex. */
  readonly sha256: string
  /** One wish to have it stored: sent again, it is not stored twice. */
  readonly id: string
  /** Who brings it. */
  readonly from: string
  readonly bytes: AsyncIterable<Uint8Array>
}

/** Takes files into the folder of a service. */
export interface Uploads {
  /** Resolves when the file is there, whole, with its name. Faults: `gate.unknown_service`, those of `transfer`. */
  store(upload: Upload): Promise<{ readonly storedAs: string }>
}

/** By the rules of `base/transfer`: names are made harmless, nothing is overwritten, and a file has its name only when its hash is right. */
export function folderUploads({ clock }: { readonly clock: Clock }, folders: Readonly<Record<string, string>>): Uploads {
  const incoming = new Map<string, IncomingFolder>(
    Object.entries(folders).map(([name, path]) => [name, incomingFolder({ clock }, { path })]),
  )
  return {
    async store({ service, bytes, ...transfer }) {
      const folder = incoming.get(service)
      if (!folder) throw fault.unknown_service({ service, known: [...incoming.keys()] })
      const begun = await folder.begin(transfer)
      if ('storedAs' in begun) return begun
      const { file } = begun
      try {
        let skip = file.heldBytes // what an earlier attempt left
        for await (const piece of bytes) {
          const rest = piece.subarray(skip)
          skip -= piece.length - rest.length
          if (rest.length > 0) await file.write(rest)
        }
        return { storedAs: await file.finish(transfer.name) }
      } catch (error) {
        if (error instanceof Fault && error.code === 'transfer.too_long') await file.discard()
        else await file.close()
        throw error
      }
    },
  }
}
