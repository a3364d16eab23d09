// What was deployed when, and how it went.
import { command } from '../../base/terminal/command.ts'
import { tableText } from '../../base/terminal/table.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { placeOf } from '../cli/definitions.ts'
import { digestText, timeText, versionText } from '../cli/shown.ts'
import { findService } from '../cli/whereabouts.ts'

export default command({
  summary: 'what was deployed when, newest first',
  args: { service: { summary: 'SERVICE or SERVICE/COMPONENT' } },
  flags: { lines: { summary: 'so many', value: 'N', type: 'integer', default: 20, short: 'n' } },
  examples: [['fairlead run history metacrypt', 'its last 20 deployments']],
  async run(context, { args, flags }) {
    const { service, component } = placeOf(args.service)
    const { node } = await findService(context, service)
    const most = Math.min(1_000, Math.max(1, flags.lines))
    const deployments = await node.client().calls['list-deployments']({ service, component, most }, { signal: context.signal })
    context.terminal.result({ node: node.name, service, deployments }, () => {
      if (deployments.length === 0) return `nothing of ${service} was ever deployed on ${node.name}`
      const rows = deployments.map((one) => [
        timeText(one.at),
        one.component,
        one.outcome,
        visibleText(versionText(one.image.reference)),
        digestText(one.image.digest),
        visibleText(one.reason ?? '').replaceAll('\n', ' '),
      ])
      return tableText([['WHEN', 'COMPONENT', 'OUTCOME', 'VERSION', 'DIGEST', 'REASON'], ...rows])
    })
  },
})
