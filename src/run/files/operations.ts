// The operations on files as the node serves them: each service has one folder, and nothing outside it is ever touched.
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Handlers } from '../../base/control/api.ts'
import { type FoundFile, readBelow, storeBelow } from '../../base/transfer/rooted.ts'
import { makeFolder, removeFile } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import type { RunNode } from '../node/node.ts'
import { type AsOwners, type Work, isDenied } from './as-owners.ts'
import { type DataPlaces, dataFolder } from './data-folder.ts'
import type { filesApi } from './api.ts'

/** Copies a file to `to`, a new one. */
export const readWork: Work<{ readonly root: string; readonly path: string; readonly to: string }, FoundFile> = {
  name: 'read',
  async run({ root, path, to }) {
    let found!: FoundFile
    await using file = await open(to, 'wx', 0o600)
    await readBelow(
      root,
      path,
      (facts) => (found = facts),
      (piece) => file.writeFile(piece),
    )
    return found
  },
}

type Stored = { readonly sizeBytes: number; readonly sha256: string; readonly mode: number }

/** Puts the file `from` in its place. */
export const storeWork: Work<Stored & { readonly root: string; readonly path: string; readonly from: string }, void> = {
  name: 'store',
  async run({ root, path, from, ...facts }) {
    await storeBelow(root, path, facts, (await open(from)).createReadStream() as AsyncIterable<Uint8Array>)
  },
}

/** `asOwners`: for what is refused to us because it is of a user inside a container. Fault besides those of the transfer: `run.own_folder`. */
export function fileHandlers(
  { known, registry }: Pick<RunNode, 'known' | 'registry'>,
  places: DataPlaces,
  asOwners?: AsOwners,
): Handlers<typeof filesApi> {
  /** What lies in between is ours alone, and gone afterwards. */
  const inBetween = async <Result>(work: (folder: string, name: string) => Promise<Result>): Promise<Result> => {
    const folder = join(places.folder, 'between')
    makeFolder(folder)
    const name = randomId(9)
    try {
      return await work(folder, name)
    } finally {
      removeFile(join(folder, name))
    }
  }
  return {
    async 'push-file'({ service, path, sizeBytes, sha256, mode }, { upload, caller }) {
      await known.one(service)
      const root = dataFolder(places, service)
      makeFolder(root, 0o750)
      try {
        await storeBelow(root, path, { sizeBytes, sha256, mode }, upload)
      } catch (error) {
        if (!asOwners || !isDenied(error)) throw error
        await inBetween(async (folder, name) => {
          await storeBelow(folder, name, { sizeBytes, sha256, mode: 0o600 }, upload)
          await asOwners(storeWork, { root, path, from: join(folder, name), sizeBytes, sha256, mode })
        })
      }
      registry.note({ service }, 'pushed', `${path} (${sizeBytes} bytes) by ${caller.name}`)
      return { path: join(root, path), sizeBytes, sha256, mode }
    },
    async 'pull-file'({ service, path }, { say, caller }) {
      await known.one(service)
      const root = dataFolder(places, service)
      const found = (facts: FoundFile): unknown => say(facts)
      const piece = (bytes: Uint8Array): unknown => say({ bytes: Buffer.from(bytes).toString('base64') })
      const read = await readBelow(root, path, found, piece).catch((error: unknown) => {
        if (!asOwners || !isDenied(error)) throw error
        return inBetween(async (folder, name) => {
          const facts = await asOwners(readWork, { root, path, to: join(folder, name) })
          return readBelow(folder, name, () => found(facts), piece)
        })
      })
      registry.note({ service }, 'pulled', `${path} by ${caller.name}`)
      return read
    },
  }
}
