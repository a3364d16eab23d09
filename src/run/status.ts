// What a look at the whole machine tells of nodes: those that run here, and those that `mcp.toml` names, each with its services and what has drifted.
import { type LookNeeds, type StatusEvent, type StatusLine, type StatusSource, patienceMs } from '../base/checks/status.ts'
import { askNearby } from '../base/control/nearby.ts'
import type { Home } from '../base/terminal/command.ts'
import type { Fault } from '../kernel/fault.ts'
import { agentFiles } from './agent/files.ts'
import { cliFiles } from './cli/files.ts'
import { type Asked, Nodes, nodeEntries } from './cli/nodes.ts'
import { ageText, driftText, simulatedText } from './cli/shown.ts'
import { type NodeClient, addressOf } from './client.ts'
import { nodeApi } from './node-api.ts'

type Status = Awaited<ReturnType<NodeClient['calls']['status']>>
type Service = Status['services'][number]
type Component = Service['components'][number]

const askedEvents = 50

const source: StatusSource = {
  title: 'Services',
  async look(needs) {
    const folders = needs.homes.map((home) => agentFiles(home.folders, undefined).runtime)
    const daemon = { name: 'node', api: nodeApi, folders, start: 'fairlead run agent' }
    const [here, ...elsewhere] = await Promise.all([
      askNearby(needs, daemon, (calls, signal) => calls.status({ events: askedEvents }, { signal })),
      ...needs.homes.map((home) => namedNodes(needs, home, folders)),
    ])
    const named = elsewhere.flat()
    const heard = [...here, ...named].flatMap(({ value }) => (value ? [value] : []))
    const noneHere = here.flatMap(({ line }) => (line && (line.standing !== 'off' || heard.length + named.length === 0) ? [line] : []))
    const silent = named.flatMap(({ node, fault }) => (fault ? [silence(node.name, fault)] : []))
    return { lines: [...noneHere, ...heard.flatMap((one) => nodeLines(needs, one)), ...silent], events: heard.flatMap(troubleOf) }
  },
}

export default source

/** Of one home's `mcp.toml`, but for those that are asked on this machine anyway. */
async function namedNodes(needs: LookNeeds, home: Home, folders: readonly string[]): Promise<readonly Asked<Status>[]> {
  const files = cliFiles(home)
  const entries = (await nodeEntries(files)).filter(({ address }) => {
    const where = addressOf(address)
    return where?.is !== 'unix' || !folders.includes(where.folder)
  })
  if (entries.length === 0) return []
  const nodes = new Nodes(needs, files, entries)
  return nodes.ask((client, signal) => client.calls.status({ events: askedEvents }, { signal }), nodes.all, patienceMs)
}

function silence(node: string, { message, hint }: Fault): StatusLine {
  return { name: `node ${node}`, standing: 'bad', text: message, remedy: hint }
}

const maxNames = 8

function nodeLines(
  { clock }: LookNeeds,
  { node, runtime, isSimulated, services, unmanaged, certificateExpiresAt: until }: Status,
): readonly StatusLine[] {
  const lines = services.flatMap((service) => service.components.flatMap((component) => ailing(node, service, component)))
  const well = services.filter((service) => service.components.every((component) => ailing(node, service, component).length === 0))
  const names = well.slice(0, maxNames).map(({ name }) => name)
  const more = well.length > maxNames ? ` and ${well.length - maxNames} more` : ''
  const parts = [
    `${runtime}${simulatedText(isSimulated)}`,
    services.length === 0
      ? 'no services'
      : `${well.length} of ${services.length} services as they should be${names.length > 0 ? `: ${names.join(', ')}${more}` : ''}`,
    ...(unmanaged.length > 0 ? [`${unmanaged.length} containers in no definition`] : []),
  ]
  const now = clock.now()
  const ending: readonly StatusLine[] =
    until === null || until - now > expirySoonMs
      ? []
      : [
          {
            name: `certificate of ${node}`,
            standing: 'bad',
            text: until < now ? 'it is over' : `it ends in ${ageText(until, now)}`,
            remedy: `fairlead run cert renew ${node}`,
          },
        ]
  return [{ name: `node ${node}`, standing: 'good', text: parts.join('; ') }, ...ending, ...lines]
}

const expirySoonMs = 14 * 86_400_000

/** A line for what is not as it should be, and somebody has to mend. */
function ailing(
  node: string,
  { name: service, onDrift }: Service,
  { name, health, reason, drifts, isFlapping }: Component,
): readonly StatusLine[] {
  const place = name === service ? service : `${service}/${name}`
  const line = (text: string, remedy: string): StatusLine => ({
    name: `service ${place} on ${node}`,
    standing: onDrift === 'ignore' ? 'off' : 'bad',
    text,
    remedy,
  })
  if (health === 'sealed') return [line('it waits for its password', `fairlead run unseal ${place}`)]
  if (isFlapping)
    return [
      line(`it keeps changing; ${drifts.map(driftText).join('; ') || (reason ?? 'no reason is known')}`, `fairlead run logs ${place}`),
    ]
  if (drifts.length > 0) return [line(drifts.map(driftText).join('; '), `fairlead run deploy ${place}`)]
  return health === 'unhealthy' ? [line(reason ?? 'it is not healthy', `fairlead run logs ${place}`)] : []
}

/** Of what a node noted: what went wrong. */
const wrong: ReadonlySet<string> = new Set([
  'drift',
  'flapping',
  'not-mended',
  'deploy-failed',
  'update-returned',
  'runtime-lost',
  'registry-lost',
])

function troubleOf({ node, events }: Status): readonly StatusEvent[] {
  return events
    .filter(({ event }) => wrong.has(event))
    .map(({ time, service, component, event, detail }) => ({
      at: time,
      about: [service, component === service ? null : component].filter((part) => part !== null).join('/') || node,
      text: `${event}: ${detail}`,
    }))
}
