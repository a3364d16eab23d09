// What a service printed.
import { command } from '../../base/terminal/command.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { placeOf } from '../cli/definitions.ts'
import { sinceMs } from '../cli/spans.ts'
import { findService } from '../cli/whereabouts.ts'

const usualLines = 100

export default command({
  summary: 'what a service printed',
  description: 'The last 100 lines of each component, unless -n or --since say otherwise.',
  args: { service: { summary: 'SERVICE or SERVICE/COMPONENT' } },
  flags: {
    follow: { summary: 'go on with what comes, until stopped', short: 'f' },
    lines: { summary: 'the last so many lines of each component', value: 'N', type: 'integer', short: 'n' },
    since: { summary: 'not older than this: 10m, 2h, 2026-11-30T10:00:00Z', value: 'TIME' },
  },
  examples: [
    ['fairlead run logs metacrypt', 'the last lines of all components'],
    ['fairlead run logs metacrypt/web -f -n 20', 'the last 20 lines, and what comes'],
    ['fairlead run logs metacrypt --since 10m --json', 'ten minutes, one JSON object a line'],
  ],
  async run(context, { args, flags }) {
    const { terminal, signal, clock } = context
    const { service, component } = placeOf(args.service)
    const since = sinceMs(clock, flags.since)
    const tail = flags.lines === undefined ? (since === undefined ? usualLines : undefined) : Math.min(100_000, Math.max(0, flags.lines))
    const { node } = await findService(context, service)
    await node.client().calls['follow-logs'](
      { service, component, tail, since, follow: flags.follow },
      {
        signal,
        onItem: (line) =>
          terminal.line({ service, ...line }, () => visibleText(component === undefined ? `${line.component} | ${line.text}` : line.text)),
      },
    )
  },
})
