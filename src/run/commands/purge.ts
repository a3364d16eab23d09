// Has the nodes forget services that nobody defines any more and of which nothing is left.
import { command } from '../../base/terminal/command.ts'
import { tableText } from '../../base/terminal/table.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { goodDefinitions, placeOf } from '../cli/definitions.ts'
import { openNodes } from '../cli/nodes.ts'
import { afterSilence, silence, silenceText } from '../cli/shown.ts'

export default command({
  summary: 'have the nodes forget what is gone and no longer defined',
  description: 'What still has a container is refused: mcp undeploy takes it away. Exit code 1 when something was refused.',
  args: { service: { summary: 'only this service', optional: true } },
  flags: { 'dry-run': { summary: 'only show what would be forgotten' } },
  examples: [
    ['fairlead run purge --dry-run', 'what would be forgotten'],
    ['fairlead run purge metacrypt', 'one service that has no definition any more'],
  ],
  async run(context, { args, flags }) {
    const { terminal, clock } = context
    const only = args.service === undefined ? undefined : placeOf(args.service).service
    const nodes = await openNodes(context)
    const definitions = await goodDefinitions(nodes.files)
    const isDryRun = flags['dry-run']
    const answers = await nodes.ask((client, signal, { name: node }) => {
      const defined = definitions
        .filter(({ service }) => service.node === node)
        .flatMap(({ service }) => service.components.map(({ name }) => `${service.name}/${name}`))
      return client.calls.purge({ defined, isDryRun, only }, { signal })
    })
    terminal.result({ isDryRun, nodes: answers.map((one) => silence(one) ?? { node: one.node.name, isHeard: true, ...one.value }) }, () => {
      const rows = answers.flatMap((asked) => {
        if (asked.fault) return [[asked.node.name, '-', silenceText(clock.now(), asked)]]
        const { purged, refused } = asked.value
        return [
          ...purged.map((name) => [asked.node.name, name, isDryRun ? 'would be forgotten' : 'forgotten']),
          ...refused.map(({ place, reason }) => [asked.node.name, place, visibleText(`refused: ${reason}`)]),
        ]
      })
      return rows.length === 0 ? 'nothing to forget' : tableText(rows)
    })
    return afterSilence(terminal, answers) || (answers.some(({ value }) => value && value.refused.length > 0) ? 1 : 0)
  },
})
