// The demo's machines: three nodes with services, a gate with its dashboard and a cache, each a process of its own with files of its own, all ended with this one.
import { join } from 'node:path'
import { tokenHash } from '../../base/access/principal.ts'
import { openListener } from '../../base/http/listener.ts'
import { type Child, startChild } from '../../base/supervise/child.ts'
import { childEnvironment } from '../../base/supervise/environment.ts'
import { type Guard, startGuard } from '../../base/supervise/guard.ts'
import type { Context } from '../../base/terminal/command.ts'
import { deadline } from '../../kernel/clock.ts'
import { faults } from '../../kernel/fault.ts'
import { makeFolder, writeWhole } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { type NodeClient, nodeClient } from '../../run/client.ts'
import { type DemoPorts, type NodeName, definitions, nodeNames, writeImages } from './programs.ts'

const fault = faults('demo', {
  part_failed: (d: { part: string; why: string }) => ({
    kind: 'unavailable',
    message: `${d.part} of the demo did not start: ${d.why}`,
    hint: 'is a port or the disk full? more with FAIRLEAD_LOG=debug fairlead demo',
  }),
})

/** On a machine with much to do a process of Node takes its time. */
const startMs = 60_000
/** Calls that run may end, and services: then they are killed. */
const stopMs = 5_000
const maxOutputBytes = 1 << 20

/** Who calls through the gate of the demo, besides its owner. */
export type People = Readonly<Record<'ann' | 'build-bot', string>>

/** What `fairlead up --json` tells. */
type Up = {
  readonly addresses: { readonly gate: string; readonly dashboard: string }
  readonly peerId: string
  readonly signIn?: string
  readonly http: { readonly tokenFile: string }
  readonly client: { readonly mcpServers: { readonly 'this-machine': { readonly command: string; readonly args: readonly string[] } } }
}

export type Fleet = AsyncDisposable & {
  /** `FAIRLEAD_HOME` of the demo. */
  readonly home: string
  readonly env: Readonly<Record<string, string>>
  /** Runs scripts of Node's. */
  readonly program: string
  readonly ports: DemoPorts
  readonly nodes: Readonly<Record<NodeName, NodeClient>>
  /** The tokens of those who call. */
  readonly people: People
  readonly up: Up
  /** Where the cache answers in place of the API. */
  readonly cacheUrl: string
  readonly guard: Guard
}

type Needs = Pick<Context, 'clock' | 'log' | 'env' | 'self' | 'signal' | 'terminal'>

/** Starts all of it, or leaves nothing behind. `home` is empty. Faults `demo.part_failed`, those of a deployment. */
export async function startFleet(needs: Needs, home: string): Promise<Fleet> {
  const { clock, log, self, signal, terminal } = needs
  await using stack = new AsyncDisposableStack()
  const guard = startGuard({ clock, log })
  stack.defer(() => guard.close())
  const parts: Child[] = []
  stack.defer(async () => {
    await Promise.all(parts.map((child) => child.stop({ eofMs: 0, termMs: stopMs })))
  })
  const env = childEnvironment(needs.env, { FAIRLEAD_HOME: home, FAIRLEAD_LOG: needs.env['FAIRLEAD_LOG'] ?? 'warn' })
  const program = self.length === 1 ? 'node' : self[0] // one that is a single file runs no other scripts
  const part = async (name: string, words: readonly string[]): Promise<unknown> => {
    const child = await startChild({ guard, clock, log }, { name, argv: [...self, ...words, '--json'], env })
    parts.push(child)
    return told(needs, name, child)
  }
  const ports = await freePorts(needs)
  const people: People = { ann: randomId(24), 'build-bot': randomId(24) }
  writeConfig(home, people)
  terminal.progress('starting three nodes')
  const folderOf = (node: NodeName): string => join(home, 'nodes', node)
  await Promise.all(nodeNames.map((node) => part(`the node ${node}`, ['run', 'agent', '--config', join(folderOf(node), 'mcp-agent.toml')])))
  const nodes = Object.fromEntries(
    nodeNames.map((node) => [node, nodeClient({ is: 'unix', folder: join(folderOf(node), 'run') })]),
  ) as unknown as Fleet['nodes']
  terminal.progress('deploying their services')
  const wanted = definitions(program, ports)
  await Promise.all(
    nodeNames.map(async (node) => {
      for (const { name, text } of wanted.filter((one) => one.node === node))
        await nodes[node].calls.deploy({ service: name, text }, { signal })
    }),
  )
  terminal.progress('starting gate, peer host, machine tools and cache')
  const anyPort = ['registry', 'peer', 'machine', 'gate'].flatMap((which) => [`--${which}-port`, '0'])
  const [up, cache] = await Promise.all([
    part('fairlead up', ['up', ...anyPort]),
    part('the cache', ['share', 'proxy', '--port', '0', '--api', `http://127.0.0.1:${ports.forge}`]),
  ])
  const held = stack.move()
  return {
    home,
    env,
    program,
    ports,
    nodes,
    people,
    up: up as Up,
    cacheUrl: (cache as { readonly url: string }).url,
    guard,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

/** The one JSON object that a part prints when it is ready. */
async function told({ clock, signal }: Needs, part: string, child: Child): Promise<unknown> {
  const late = deadline(clock, startMs, signal)
  let text = ''
  const heard = new Promise<unknown>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (text.length < maxOutputBytes) text += chunk
      if (text.endsWith('}\n')) resolve(JSON.parse(text))
    })
    void child.ended.then(({ lastWords, exitCode }) =>
      reject(fault.part_failed({ part, why: lastWords || `it ended with exit code ${exitCode}` })),
    )
    late.addEventListener(
      'abort',
      () => reject(signal.aborted ? signal.reason : fault.part_failed({ part, why: 'it was not ready in time' })),
      { once: true },
    )
  })
  const answer = await heard
  child.stdout.removeAllListeners('data').resume()
  return answer
}

async function freePorts({ clock }: Pick<Needs, 'clock'>): Promise<DemoPorts> {
  const names = ['notes', 'forge', 'web', 'camera'] as const
  const listeners = await Promise.all(names.map((name) => openListener({ clock, name, host: '127.0.0.1', port: 0, handle() {} })))
  const ports = Object.fromEntries(names.map((name, at) => [name, listeners[at]!.port])) as DemoPorts
  await Promise.all(listeners.map((listener) => listener.close(0)))
  return ports
}

function writeConfig(home: string, people: People): void {
  const config = join(home, 'config')
  makeFolder(join(config, 'run'))
  writeWhole(join(config, 'fairlead.toml'), gateConfig(home, people))
  const nodes = nodeNames.map((node) => ({ node, folder: join(home, 'nodes', node) }))
  writeWhole(
    join(config, 'run', 'mcp.toml'),
    nodes.map(({ node, folder }) => `[[nodes]]\nname = "${node}"\naddress = ${JSON.stringify(`unix:${join(folder, 'run')}`)}\n`).join('\n'),
  )
  for (const { node, folder } of nodes) {
    makeFolder(folder)
    writeImages(join(folder, 'process', 'images'))
    writeWhole(
      join(folder, 'mcp-agent.toml'),
      `[agent]\nnode_name = "${node}"\ncontainer_runtime = "process"\n\n[monitor]\ninterval = "2s"\n`,
    )
  }
}

/** Ann may do everything; the bot may read notes, and no more. A deletion needs a yes; one connector has to be rotated soon. The machine is measured often, so that there is soon something to see. */
function gateConfig(home: string, people: People): string {
  return `[operate.metrics]
sampling_interval_seconds = 5

[gate]
drain = "1s"

[gate.offers.attic]
control = ${JSON.stringify(join(home, 'nodes', 'attic', 'run'))}
approve = ["delete_note"]

[gate.principals.ann]
token_sha256 = "${tokenHash(people.ann)}"
dashboard = "observe"

[gate.principals.build-bot]
token_sha256 = "${tokenHash(people['build-bot'])}"

[[gate.rules]]
principals = ["ann"]
upstreams = ["*"]
tools = ["*"]

[[gate.rules]]
principals = ["build-bot"]
upstreams = ["notes"]
tools = ["list_notes"]

[gate.connectors.crown_handshake]
rotation_window = "2m"
`
}
