// Brings back what ran well before.
import { command } from '../../base/terminal/command.ts'
import { placeOf } from '../cli/definitions.ts'
import { deployedCode, deployedText } from '../cli/deployed.ts'
import { onProgress } from '../cli/shown.ts'
import { findService } from '../cli/whereabouts.ts'

export default command({
  summary: 'bring back the image that ran well before',
  description: 'The definition stays as it is: mend its image, or the next deploy brings the other one again.',
  args: { service: { summary: 'SERVICE or SERVICE/COMPONENT' } },
  examples: [['fairlead run rollback metacrypt', 'the images before these']],
  async run(context, { args }) {
    const { terminal, signal } = context
    const { service, component } = placeOf(args.service)
    const { node } = await findService(context, service)
    const done = await node.client().calls.rollback({ service, component }, { signal, onItem: onProgress(terminal) })
    terminal.result({ node: node.name, service, ...done }, () => deployedText(node.name, done))
    return deployedCode(done)
  },
})
