// What a deployment would do, field by field, without doing it.
import { command } from '../../base/terminal/command.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { definitionIn, placeOf } from '../cli/definitions.ts'
import { findService } from '../cli/whereabouts.ts'

export default command({
  summary: 'what a deployment would do, field by field; nothing is done',
  args: { service: { summary: 'SERVICE or SERVICE/COMPONENT' } },
  flags: { file: { summary: 'the definition; as with deploy', value: 'FILE', short: 'f' } },
  examples: [['fairlead run plan metacrypt', 'what `deploy metacrypt` would do']],
  async run(context, { args, flags }) {
    const { service, component } = placeOf(args.service)
    const given = flags.file === undefined ? undefined : await definitionIn(flags.file, service)
    const { node, definition } = await findService(context, service, { definition: given })
    const input = { service, component, text: definition?.text }
    const plans = await node.client().calls['plan-service'](input, { signal: context.signal })
    context.terminal.result({ node: node.name, service, components: plans }, () =>
      [
        `${node.name}:`,
        ...plans.flatMap(({ component: name, way, changes, steps }) => [
          `  ${name}: ${way === 'nothing' ? 'nothing to do' : `${way}: ${steps.join(', ')}`}`,
          ...changes.map(({ field, from, to }) => visibleText(`    ${field}: ${from} -> ${to}`)),
        ]),
      ].join('\n'),
    )
  },
})
