// Everything at a glance: each node and service, what should be and what is, what differs, and what happened last.
import { type Context, command } from '../../base/terminal/command.ts'
import { tableText } from '../../base/terminal/table.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import type { NodeClient } from '../client.ts'
import { type Asked, openNodes } from '../cli/nodes.ts'
import { placeOf } from '../cli/definitions.ts'
import { afterSilence, ageText, driftText, silence, silenceText, stateText, timeText, versionText } from '../cli/shown.ts'

type Status = Awaited<ReturnType<NodeClient['calls']['status']>>
type Component = Status['services'][number]['components'][number]

const driftFound = 3
const expirySoonMs = 14 * 86_400_000

export default command({
  summary: 'everything at a glance: what should be, what is, what differs, what happened last',
  description:
    'Exit code: 0 when all is as it should be, 3 when something differs, 5 when a node does not answer (within 3 s), 4 when one does not let us in.',
  args: { service: { summary: 'of this service alone', optional: true } },
  flags: { events: { summary: 'so many of the last events of each node', value: 'N', type: 'integer', default: 10, short: 'n' } },
  examples: [
    ['fairlead run status', 'all nodes and services'],
    ['fairlead run status metacrypt', 'one service'],
  ],
  async run(context, { args, flags }) {
    const service = args.service === undefined ? undefined : placeOf(args.service).service
    const nodes = await openNodes(context)
    const answers = await nodes.ask((client, signal) =>
      client.calls.status({ service, events: Math.min(1_000, Math.max(0, flags.events)) }, { signal }),
    )
    const shown = service === undefined ? answers : holdersOf(answers)
    const { terminal } = context
    terminal.result({ nodes: shown.map((one) => silence(one) ?? { isHeard: true, ...one.value }) }, () => statusText(context, shown))
    const silenceCode = afterSilence(terminal, shown)
    return silenceCode !== 0 ? silenceCode : shown.some(hasDrift) ? driftFound : 0
  },
})

/** A node that does not know the service has nothing to say of it, unless none does. */
function holdersOf(answers: readonly Asked<Status>[]): readonly Asked<Status>[] {
  const others = answers.filter(({ fault }) => fault?.code !== 'run.no_service')
  const [first] = answers
  if (!others.some(({ value }) => value) && others.length === 0 && first?.fault) throw first.fault
  return others
}

/** What nobody is to mend, and containers of others, are no drift. */
function hasDrift({ value }: Asked<Status>): boolean {
  return (
    value?.services.some(({ onDrift, components }) => onDrift !== 'ignore' && components.some(({ drifts }) => drifts.length > 0)) === true
  )
}

function statusText({ terminal, clock }: Context, answers: readonly Asked<Status>[]): string {
  const { good, bad, bold } = terminal.style
  const now = clock.now()
  const rows = answers.flatMap((asked) => {
    if (asked.fault) return [[asked.node.name, '-', '-', '-', '-', '-', silenceText(now, asked)]]
    return asked.value.services.flatMap(({ name, components }) => components.map((one) => rowOf(asked.value.node, name, one)))
  })
  const heard = answers.flatMap(({ value }) => value ?? [])
  const parts = [
    rows.length === 0 ? 'no services' : tableText([['NODE', 'SERVICE', 'DESIRED', 'OBSERVED', 'HEALTH', 'VERSION', 'DRIFT'], ...rows]),
  ]
  const others = heard.flatMap(({ node, unmanaged }) =>
    unmanaged.map(({ name, state, image }) => [node, visibleText(name), state, visibleText(image.reference)]),
  )
  if (others.length > 0) parts.push(`${bold('not managed:')}\n${tableText(others)}`)
  const events = heard.flatMap(({ node, events: list }) => list.map((event) => ({ node, ...event }))).sort((a, b) => a.time - b.time)
  if (events.length > 0)
    parts.push(
      `${bold('events:')}\n${tableText(events.map((one) => [timeText(one.time), one.node, placeOfEvent(one), one.event, visibleText(one.detail).replaceAll('\n', ' ')]))}`,
    )
  for (const { node, runtime, isSimulated, certificateExpiresAt: at } of heard) {
    if (isSimulated) parts.push(`${node}: simulated (${runtime}): nothing really runs`)
    if (at !== null && at - now < expirySoonMs)
      parts.push(bad(at < now ? `${node}: its certificate is over` : `${node}: its certificate ends in ${ageText(at, now)}`))
  }
  const isWell = answers.every((one) => one.value && !hasDrift(one))
  parts.push(isWell ? good('no drift') : bad(answers.some(hasDrift) ? 'drift' : 'some node was not heard'))
  return parts.join('\n\n')
}

function rowOf(node: string, service: string, { name, desired, observed, health, reason, drifts, isFlapping }: Component): string[] {
  const problems = [
    ...drifts.map(driftText),
    ...(isFlapping ? ['flapping'] : []),
    ...(reason === null || drifts.length > 0 ? [] : [visibleText(reason)]),
  ]
  return [
    node,
    name === service ? service : `${service}/${name}`,
    desired.state,
    stateText(observed),
    health,
    versionText(desired.image),
    problems.join('; ') || '-',
  ]
}

function placeOfEvent({ service, component }: { readonly service: string | null; readonly component: string | null }): string {
  return service === null ? '-' : component === null ? service : `${service}/${component}`
}
