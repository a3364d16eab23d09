// The rehearsal packet of stage B: `generate-stage-b-rehearsal-packet`.
import { join } from 'node:path'
import { makeFolder, writeWhole } from '../../kernel/file.ts'
import { command } from '../../base/terminal/command.ts'
import { rehearse } from '../holder/packet.ts'
import { openStage } from '../holder/stage.ts'
import { withoutCredentials } from '../holder/artefacts.ts'
import { configFlag } from '../client.ts'

const file = 'stage_b_rehearsal_packet.json'

export default command({
  summary: 'rehearse handshake and heartbeat of every connector without the gate that runs, and keep what was said',
  description:
    'A gate of its own is started on a loopback port for it, and gone afterwards. The packet holds what every connector sent and was answered, and the verdict of the doctrine; it says that it is a rehearsal. Exit code 0: the doctrine has nothing to say; 1: it has.',
  flags: { config: configFlag },
  examples: [['fairlead gate packet', 'writes stage_b_rehearsal_packet.json beside the rotation ledger']],
  async run(context, { flags: { config } }) {
    const { clock, log, signal, terminal, folders } = context
    const lists = await import('../../extensions.ts')
    await using stage = await openStage(context, lists, { config, instance: 'rehearsal' })
    const packet = await rehearse(
      { clock, log, signal, kinds: lists.upstreams, connectors: lists.connectors },
      { runtime: folders.runtime, config: stage.config, as: stage },
    )
    makeFolder(stage.logs)
    const path = join(stage.logs, file)
    writeWhole(path, `${withoutCredentials(JSON.stringify(packet, undefined, 2), stage.tokens)}\n`)
    terminal.result({ file: path, doctrine_ok: packet.doctrine_ok, doctrine_failures: packet.doctrine_failures }, () =>
      [`${path}: a rehearsal, the doctrine ${packet.doctrine_ok ? 'has nothing to say' : 'says'}`, ...packet.notes].join('\n'),
    )
    return packet.doctrine_ok ? 0 : 1
  },
})
