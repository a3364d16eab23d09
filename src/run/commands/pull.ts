// Fetches a file from the data folder of a service.
import { once } from 'node:events'
import { basename, dirname, join, resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import { sizeText } from '../../base/terminal/amount.ts'
import { command } from '../../base/terminal/command.ts'
import { storeBelow } from '../../base/transfer/rooted.ts'
import { statOf } from '../../kernel/file.ts'
import { fault } from '../cli/faults.ts'
import { findService } from '../cli/whereabouts.ts'

type Found = { readonly sizeBytes: number; readonly mode: number }

export default command({
  summary: 'fetch a file from the data folder of a service',
  description: 'It is read below /srv/SERVICE/ on the node, checked by its SHA-256, and put in its place here as one step.',
  args: {
    service: { summary: 'whose folder' },
    path: { summary: 'the file in that folder' },
    local: { summary: 'where to put it: a file or a folder; its own name here by default', optional: true },
  },
  flags: { force: { summary: 'over a file that is there' } },
  examples: [['fairlead run pull metacrypt metacrypt.toml ./local-copy.toml', 'from /srv/metacrypt/metacrypt.toml']],
  async run(context, { args: { service, path, local = '.' }, flags }) {
    const { terminal, signal } = context
    const { node } = await findService(context, service)
    const target = statOf(local)?.isDirectory() ? join(resolve(local), basename(path)) : resolve(local)
    if (statOf(target) && !flags.force) throw fault.file_exists({ path: target })
    const bytes = new PassThrough({ highWaterMark: 1 << 20 })
    bytes.on('error', () => {}) // told by the call
    let heldBytes = 0
    const found = Promise.withResolvers<Found>()
    const asked = node.client().calls['pull-file'](
      { service, path },
      {
        signal,
        async onItem(item) {
          if ('sizeBytes' in item) return found.resolve(item)
          const piece = Buffer.from(item.bytes, 'base64')
          heldBytes += piece.length
          terminal.progress(`${basename(path)}: ${sizeText(heldBytes)}`)
          if (!bytes.write(piece)) await once(bytes, 'drain')
        },
      },
    )
    const sha256 = asked.then((done) => done.sha256)
    sha256.then(
      () => bytes.end(),
      (error: Error) => {
        bytes.destroy(error)
        found.reject(error)
      },
    )
    const { sizeBytes, mode } = await found.promise
    await storeBelow(dirname(target), basename(target), { sizeBytes, sha256, mode }, bytes)
    terminal.done()
    terminal.result({ node: node.name, path: target, sizeBytes, sha256: await sha256 }, () => `${target} (${sizeText(sizeBytes)})`)
  },
})
