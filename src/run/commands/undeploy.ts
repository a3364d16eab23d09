// Takes a service away in order: it is stopped for good, and its containers are gone. Data folders stay.
import { command } from '../../base/terminal/command.ts'
import { placeOf, saveActive } from '../cli/definitions.ts'
import { onProgress, simulatedText } from '../cli/shown.ts'
import { findService } from '../cli/whereabouts.ts'

export default command({
  summary: 'stop a service for good and take its containers away; its data folder stays',
  description: 'The definition on this machine stays, with `active = false`.',
  args: { service: { summary: 'the service' } },
  examples: [['fairlead run undeploy metacrypt', '`mcp deploy metacrypt` brings it back']],
  async run(context, { args }) {
    const { terminal, signal } = context
    const { service } = placeOf(args.service)
    const { nodes, node, definition } = await findService(context, service)
    const written = await saveActive(nodes.files, definition, false)
    if (written !== undefined) terminal.note(`${written}: active = false`)
    const done = await node.client().calls.undeploy({ service }, { signal, onItem: onProgress(terminal) })
    terminal.result(
      { node: node.name, service, ...done },
      () => `${node.name}: took away ${done.removed.join(', ') || 'nothing'}${simulatedText(done.isSimulated)}`,
    )
  },
})
