// What runs now, asked of the runtimes themselves.
import { command } from '../../base/terminal/command.ts'
import { tableText } from '../../base/terminal/table.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { openNodes } from '../cli/nodes.ts'
import { afterSilence, ageText, digestText, silence, silenceText, stateText, versionText } from '../cli/shown.ts'

export default command({
  summary: 'what runs now: state, version, uptime, image, restarts',
  description: 'Asks the runtime of every node. Exit code 5 when a node does not answer within 3 s.',
  flags: { all: { summary: 'containers too that are none of ours', short: 'a' } },
  examples: [
    ['fairlead run ps', 'the containers of services on all nodes'],
    ['fairlead run ps -a', 'all containers'],
  ],
  async run(context, { flags }) {
    const { terminal, clock } = context
    const nodes = await openNodes(context)
    const answers = await nodes.ask(async (client, signal) => {
      const { containers, ...rest } = await client.calls['list-containers']({}, { signal })
      return { ...rest, containers: containers.filter(({ place }) => flags.all || place !== null) }
    })
    terminal.result({ nodes: answers.map((one) => silence(one) ?? { node: one.node.name, isHeard: true, ...one.value }) }, () => {
      const now = clock.now()
      const rows = answers.flatMap((asked) => {
        if (asked.fault) return [['-', '-', asked.node.name, '-', '-', '-', '-', silenceText(now, asked)]]
        return asked.value.containers.map((one) => {
          const [service, component] = one.place?.split('/') ?? [visibleText(one.name), '-']
          const uptime = one.state === 'running' ? ageText(now, one.startedAt) : '-'
          return [
            service!,
            component!,
            asked.node.name,
            stateText(one),
            visibleText(versionText(one.image.reference)),
            uptime,
            String(one.restarts),
            digestText(one.image.digest),
          ]
        })
      })
      if (rows.length === 0) return 'nothing runs'
      return tableText([['SERVICE', 'COMPONENT', 'NODE', 'STATE', 'VERSION', 'UPTIME', 'RESTARTS', 'DIGEST'], ...rows])
    })
    return afterSilence(terminal, answers)
  },
})
