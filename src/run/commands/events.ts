// What happened on the nodes: drift, what was mended, deployments.
import { command } from '../../base/terminal/command.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import type { Terminal } from '../../base/terminal/terminal.ts'
import { placeOf } from '../cli/definitions.ts'
import { openNodes } from '../cli/nodes.ts'
import { timeText } from '../cli/shown.ts'
import { sinceMs } from '../cli/spans.ts'

type Event = {
  readonly time: number
  readonly service: string | null
  readonly component: string | null
  readonly event: string
  readonly detail: string
}

export default command({
  summary: 'what happened on the nodes: drift, what was mended, deployments',
  args: { service: { summary: 'of this service alone', optional: true } },
  flags: {
    follow: { summary: 'go on with what comes, until stopped', short: 'f' },
    lines: { summary: 'the last so many of each node', value: 'N', type: 'integer', default: 100, short: 'n' },
    since: { summary: 'not older than this: 10m, 2h, 2026-11-30T10:00:00Z', value: 'TIME' },
  },
  examples: [
    ['fairlead run events -f', 'all nodes, until stopped'],
    ['fairlead run events metacrypt --since 2h', 'one service, two hours'],
  ],
  async run(context, { args, flags }) {
    const { terminal, signal, clock } = context
    const service = args.service === undefined ? undefined : placeOf(args.service).service
    const input = { service, since: sinceMs(clock, flags.since), most: Math.min(10_000, Math.max(1, flags.lines)), follow: flags.follow }
    const nodes = await openNodes(context)
    const early: (Event & { readonly node: string })[] = [] // without -f they are put in order first
    const over = await Promise.allSettled(
      nodes.all.map(({ name: node, client }) =>
        client().calls['follow-events'](input, {
          signal,
          onItem: (event) => (flags.follow ? print(terminal, { node, ...event }) : void early.push({ node, ...event })),
        }),
      ),
    )
    for (const event of early.sort((a, b) => a.time - b.time)) print(terminal, event)
    for (const one of over) if (one.status === 'rejected') throw one.reason
  },
})

function print(terminal: Terminal, event: Event & { readonly node: string }): void {
  const { node, time, service, component, event: what, detail } = event
  const place = service === null ? '-' : component === null ? service : `${service}/${component}`
  terminal.line(event, () => visibleText(`${timeText(time)}  ${node}  ${place}  ${what}  ${detail}`.replaceAll('\n', ' ').trimEnd()))
}
