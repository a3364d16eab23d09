// What the nodes have registered, without asking their runtimes.
import { command } from '../../base/terminal/command.ts'
import { tableText } from '../../base/terminal/table.ts'
import { openNodes } from '../cli/nodes.ts'
import { afterSilence, ageText, digestText, silence, silenceText, versionText } from '../cli/shown.ts'

export default command({
  summary: 'the services that are registered, without asking any runtime',
  description: 'Exit code 5 when a node does not answer within 3 s.',
  examples: [['fairlead run list', 'of all nodes']],
  async run(context) {
    const { terminal, clock } = context
    const nodes = await openNodes(context)
    const answers = await nodes.ask((client, signal) => client.calls['list-services']({}, { signal }))
    terminal.result({ nodes: answers.map((one) => silence(one) ?? { node: one.node.name, isHeard: true, services: one.value }) }, () => {
      const now = clock.now()
      const rows = answers.flatMap((asked) => {
        if (asked.fault) return [['-', '-', asked.node.name, '-', '-', '-', silenceText(now, asked)]]
        return asked.value.flatMap(({ name, active, digests, updatedAt, components }) =>
          components.map((one) => [
            name,
            one.name,
            asked.node.name,
            active ? 'yes' : 'no',
            versionText(one.image),
            digestText(digests[one.name]),
            ageText(now, updatedAt),
          ]),
        )
      })
      if (rows.length === 0) return 'nothing is registered'
      return tableText([['SERVICE', 'COMPONENT', 'NODE', 'ACTIVE', 'VERSION', 'DEPLOYED', 'SET'], ...rows])
    })
    return afterSilence(terminal, answers)
  },
})
