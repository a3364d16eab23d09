// The operations on files as the node serves them: each service has one folder, and nothing outside it is ever touched.
import { join } from 'node:path'
import type { Handlers } from '../../base/control/api.ts'
import { readBelow, storeBelow } from '../../base/transfer/rooted.ts'
import { makeFolder } from '../../kernel/file.ts'
import type { RunNode } from '../node/node.ts'
import { type DataPlaces, dataFolder } from './data-folder.ts'
import type { filesApi } from './api.ts'

/** Fault besides those of the transfer: `run.own_folder`. */
export function fileHandlers({ known, registry }: Pick<RunNode, 'known' | 'registry'>, places: DataPlaces): Handlers<typeof filesApi> {
  return {
    async 'push-file'({ service, path, sizeBytes, sha256, mode }, { upload, caller }) {
      await known.one(service)
      const root = dataFolder(places, service)
      makeFolder(root, 0o750)
      await storeBelow(root, path, { sizeBytes, sha256, mode }, upload)
      registry.note({ service }, 'pushed', `${path} (${sizeBytes} bytes) by ${caller.name}`)
      return { path: join(root, path), sizeBytes, sha256, mode }
    },
    async 'pull-file'({ service, path }, { say, caller }) {
      await known.one(service)
      const read = await readBelow(
        dataFolder(places, service),
        path,
        (found) => say(found),
        (piece) => say({ bytes: Buffer.from(piece).toString('base64') }),
      )
      registry.note({ service }, 'pulled', `${path} by ${caller.name}`)
      return read
    },
  }
}
