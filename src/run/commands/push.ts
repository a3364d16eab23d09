// Puts a file into the data folder of a service.
import { statSync } from 'node:fs'
import { basename } from 'node:path'
import { openOutgoing } from '../../base/transfer/outgoing-file.ts'
import { sizeText } from '../../base/terminal/amount.ts'
import { command } from '../../base/terminal/command.ts'
import { findService } from '../cli/whereabouts.ts'

export default command({
  summary: 'put a file into the data folder of a service',
  description:
    'It lands below /srv/SERVICE/ on the node, whole or not at all, over what was there; folders on the way are made. It belongs to the user of the agent and has the mode of the local file, for owner, group and others.',
  args: {
    file: { summary: 'a file of this machine' },
    service: { summary: 'whose folder' },
    path: { summary: 'where in that folder; its own name by default', optional: true },
  },
  examples: [
    ['fairlead run push metacrypt.toml metacrypt', 'to /srv/metacrypt/metacrypt.toml'],
    ['fairlead run push cert.pem metacrypt certs/cert.pem', 'to /srv/metacrypt/certs/cert.pem'],
  ],
  async run(context, { args: { file, service, path = basename(file) } }) {
    const { terminal, signal } = context
    const { node } = await findService(context, service)
    const outgoing = await openOutgoing(file, { signal })
    try {
      const { sizeBytes, sha256 } = outgoing
      const mode = statSync(file).mode & 0o777
      let sentBytes = 0
      const upload = async function* (): AsyncGenerator<Uint8Array> {
        for await (const piece of outgoing.pieces(0)) {
          yield piece
          sentBytes += piece.length
          terminal.progress(`${outgoing.name}: ${sizeText(sentBytes)} of ${sizeText(sizeBytes)}`)
        }
      }
      const stored = await node.client().calls['push-file']({ service, path, sizeBytes, sha256, mode }, { signal, upload: upload() })
      terminal.done()
      terminal.result(
        { node: node.name, ...stored },
        () => `${node.name}:${stored.path} (${sizeText(sizeBytes)}, mode ${mode.toString(8)})`,
      )
    } finally {
      await outgoing.close()
    }
  },
})
