// Brings a service to what its definition says; what is not well in time goes back by itself.
import { command } from '../../base/terminal/command.ts'
import { definitionIn, placeOf } from '../cli/definitions.ts'
import { deployedCode, deployedText } from '../cli/deployed.ts'
import { onProgress } from '../cli/shown.ts'
import { findService } from '../cli/whereabouts.ts'

export default command({
  summary: 'bring a service, or one component of it, to what its definition says',
  description:
    'The definition is FILE, else the one on this machine, else the one that the node has. What is not well in time goes back to the image that was, and the last lines of the new one are shown. Exit code 1 when a component is not deployed.',
  args: { service: { summary: 'SERVICE or SERVICE/COMPONENT' } },
  flags: { file: { summary: 'the definition', value: 'FILE', short: 'f' } },
  examples: [
    ['fairlead run deploy metacrypt', 'all components'],
    ['fairlead run deploy metacrypt/web', 'one component, the others untouched'],
    ['fairlead run deploy metacrypt -f ./metacrypt.toml', 'by another definition'],
  ],
  async run(context, { args, flags }) {
    const { terminal, signal } = context
    const { service, component } = placeOf(args.service)
    const given = flags.file === undefined ? undefined : await definitionIn(flags.file, service)
    const { node, definition } = await findService(context, service, { definition: given })
    const input = { service, component, text: definition?.text }
    const done = await node.client().calls.deploy(input, { signal, onItem: onProgress(terminal) })
    terminal.result({ node: node.name, service, ...done }, () => deployedText(node.name, done))
    return deployedCode(done)
  },
})
