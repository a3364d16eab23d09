// Restarts what runs; the definition is not touched.
import { command } from '../../base/terminal/command.ts'
import { placeOf } from '../cli/definitions.ts'
import { onProgress, simulatedText } from '../cli/shown.ts'
import { findService } from '../cli/whereabouts.ts'

export default command({
  summary: 'restart the components of a service; whether it is to run is left as it is',
  args: { service: { summary: 'SERVICE or SERVICE/COMPONENT' } },
  examples: [['fairlead run restart metacrypt', 'all components, one after the other']],
  async run(context, { args }) {
    const { terminal, signal } = context
    const { service, component } = placeOf(args.service)
    const { node } = await findService(context, service)
    const done = await node.client().calls.restart({ service, component }, { signal, onItem: onProgress(terminal) })
    terminal.result({ node: node.name, service, ...done }, () => {
      const list = done.restarted.length === 0 ? 'nothing, since it is stopped: mcp start' : done.restarted.join(', ')
      return `${node.name}: restarted ${list}${simulatedText(done.isSimulated)}`
    })
  },
})
