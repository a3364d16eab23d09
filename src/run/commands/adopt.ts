// Takes over containers that run already under a service's names.
import { command } from '../../base/terminal/command.ts'
import { placeOf } from '../cli/definitions.ts'
import { onProgress, simulatedText } from '../cli/shown.ts'
import { findService } from '../cli/whereabouts.ts'

export default command({
  summary: 'take over containers that run already under the names of a service',
  description: 'Those are SERVICE-COMPONENT, or SERVICE where both are called the same.',
  args: { service: { summary: 'the service' } },
  examples: [['fairlead run adopt metacrypt', 'make metacrypt-api and metacrypt-web ours']],
  async run(context, { args }) {
    const { terminal, signal } = context
    const { service } = placeOf(args.service)
    const { node, definition } = await findService(context, service)
    const done = await node.client().calls.adopt({ service, text: definition?.text }, { signal, onItem: onProgress(terminal) })
    terminal.result({ node: node.name, service, ...done }, () =>
      [
        `${node.name}: took over ${done.adopted.join(', ') || 'nothing'}${simulatedText(done.isSimulated)}`,
        ...(done.missing.length === 0 ? [] : [`  not there: ${done.missing.join(', ')} (mcp deploy ${service})`]),
      ].join('\n'),
    )
  },
})
