// Brings up a whole node in one process on loopback, then proves it: a real MCP call through the whole line, with the time of each hop.
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { loadMachineConfig } from '../base/config/machine.ts'
import { createWallet, readWalletCard } from '../base/identity/wallet.ts'
import { tokenHash } from '../base/access/principal.ts'
import { type ProbeResult, probe } from '../base/mcp/probe.ts'
import { type Context, command } from '../base/terminal/command.ts'
import { childEnvironment } from '../base/supervise/environment.ts'
import type { GateConfig } from '../gate/upstream-kind.ts'
import { makeFolder, readText, writeWhole } from '../kernel/file.ts'
import { randomId } from '../kernel/random.ts'
import { Secret } from '../kernel/secret.ts'
import type { OperateConfig } from '../operate/config.ts'

const shownTools = ['system_get_basic_info', 'system_get_health_snapshot'] as const
const loopback = '127.0.0.1'
/** The upstream that this machine's own tools are, and the principal that its owner is. */
const machine = 'machine'
const owner = 'owner'

type Ports = { readonly registry: number; readonly peer: number; readonly machine: number; readonly gate: number }

export default command({
  summary: 'bring up a node on this machine, and prove it with a real call',
  description:
    'Registry, peer host, machine tools and gate, all on loopback in one process. Then an MCP client starts `fairlead reach mcp-connect` and calls this ' +
    "machine's tools through the tunnel and the gate. Further upstreams, principals and rules come from the [gate] table of fairlead.toml.",
  flags: {
    once: { summary: 'stop after the call; the exit code tells whether it worked' },
    'registry-port': { summary: 'the port of the registry', value: 'PORT', type: 'integer', default: 8765 },
    'peer-port': { summary: 'the port of the peer host', value: 'PORT', type: 'integer', default: 8766 },
    'machine-port': { summary: 'the port of the machine tools', value: 'PORT', type: 'integer', default: 8000 },
    'gate-port': { summary: 'the port of the gate', value: 'PORT', type: 'integer', default: 8001 },
  },
  examples: [
    ['fairlead up', 'bring it up, show the call and stay until Ctrl-C'],
    ['fairlead up --once', 'the same, and stop: exit code 0 when the call worked'],
  ],
  async run(context, { flags }) {
    const { terminal, signal } = context
    const ports: Ports = {
      registry: flags['registry-port'],
      peer: flags['peer-port'],
      machine: flags['machine-port'],
      gate: flags['gate-port'],
    }
    await using node = await bringUp(context, ports)
    const shown = await proveLine(context, node)
    terminal.result(shown, () => screen(shown, terminal.style, flags.once))
    if (!flags.once && !signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  },
})

type Identities = {
  readonly node: string
  readonly nodeFolder: string
  readonly client: string
  readonly clientFolder: string
  readonly tokens: Record<'owner' | 'machine', { path: string; value: string }>
}

/** Two wallets, the node's and the one of clients on this machine, and two tokens; made once and kept. */
async function identitiesOf({ folders }: Context): Promise<Identities> {
  const nodeFolder = join(folders.state, 'reach')
  const clientFolder = join(folders.state, 'local-client')
  const peerIdIn = async (folder: string, name: string): Promise<string> => {
    const path = join(folder, 'wallet.json')
    return readWalletCard(path)?.peerId ?? (await createWallet(path, { name })).identity.peerId
  }
  const tokenIn = (name: string): { path: string; value: string } => {
    const path = join(folders.state, `${name}.token`)
    let value = readText(path)?.trim()
    if (!value) writeWhole(path, `${(value = randomId(32))}\n`)
    return { path, value }
  }
  makeFolder(folders.state)
  return {
    node: await peerIdIn(nodeFolder, hostname()),
    nodeFolder,
    client: await peerIdIn(clientFolder, `${hostname()}-client`),
    clientFolder,
    tokens: { owner: tokenIn('owner'), machine: tokenIn('machine') },
  }
}

type Node = AsyncDisposable & {
  readonly identities: Identities
  readonly urls: {
    readonly registry: string
    readonly peer: string
    readonly machine: string
    readonly gate: string
    readonly health: string
  }
}

async function bringUp(context: Context, ports: Ports): Promise<Node> {
  const { clock, log, env, folders, version, terminal } = context
  const extensions = await import('../extensions.ts')
  const [{ tables, path }, identities] = await Promise.all([loadMachineConfig(extensions.configs, folders.config), identitiesOf(context)])
  const operate = tables['operate'] as OperateConfig
  const [registryDaemon, peerDaemon, machineDaemon, gateDaemon] = await Promise.all([
    import('../daemons/registry.ts'),
    import('../daemons/peer.ts'),
    import('../daemons/machine.ts'),
    import('../daemons/gate.ts'),
  ])
  await using stack = new AsyncDisposableStack()
  terminal.progress('starting the registry')
  const registry = await registryDaemon.startRegistry(
    { clock, log },
    { folder: join(identities.nodeFolder, 'registry'), host: loopback, port: ports.registry },
  )
  stack.defer(() => registry.close())
  terminal.progress('starting the machine tools')
  const tools = await machineDaemon.startMachine(
    { clock, log, version, tools: extensions.tools },
    {
      config: { ...operate, server: { ...operate.server, host: loopback, port: ports.machine } },
      token: new Secret(identities.tokens.machine.value),
    },
  )
  stack.defer(() => tools.close())
  terminal.progress('starting the gate')
  const gate = await gateDaemon.startGate(
    { clock, log, env, folder: dirname(path), state: folders.state, kinds: extensions.upstreams },
    await withMachine(tables['gate'] as GateConfig, ports.gate, tools.url, identities),
    { runtime: folders.runtime, peersReach: machine },
  )
  stack.defer(() => gate.close())
  terminal.progress('starting the peer host')
  const peer = await peerDaemon.startPeer(
    { clock, log },
    {
      walletFolder: identities.nodeFolder,
      host: loopback,
      port: ports.peer,
      authorized: [identities.client],
      gateSocket: gate.peerSocket,
      server: `${loopback}:${ports.registry}`,
    },
  )
  stack.defer(() => peer.close())
  const rest = stack.move()
  return {
    identities,
    urls: {
      registry: registry.addresses()[0]!,
      peer: peer.addresses()[0]!,
      machine: tools.url,
      gate: `${gate.url}/mcp/${machine}`,
      health: `${gate.url}/health`,
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

/** The gate's configuration with this machine's tools behind it, and its owner in front. */
async function withMachine(config: GateConfig, port: number, url: string, { client, tokens }: Identities): Promise<GateConfig> {
  const { default: gateSchema } = await import('../gate/config.ts')
  const own = gateSchema.parse({
    upstreams: { [machine]: { url, token: { file: tokens.machine.path } } },
    principals: { [owner]: { token_sha256: tokenHash(tokens.owner.value), peers: [client] } },
    rules: [{ principals: [owner], upstreams: ['*'], tools: ['*'], resources: ['*'], prompts: ['*'] }],
  })
  return {
    ...config,
    listen: `${loopback}:${port}`,
    upstreams: { ...config.upstreams, ...own.upstreams },
    principals: { ...config.principals, ...own.principals },
    rules: [...config.rules, ...own.rules],
  }
}

type Shown = {
  readonly ok: true
  readonly version: string
  readonly addresses: Node['urls']
  readonly peerId: string
  readonly line: readonly string[]
  readonly results: ProbeResult['results']
  /** Milliseconds: one call entering the line at each hop, and what each hop adds. */
  readonly hops: readonly { readonly hop: string; readonly callMs: number; readonly addsMs: number }[]
  readonly firstAnswerMs: number
  readonly client: { readonly mcpServers: Record<string, { command: string; args: readonly string[] }> }
  readonly http: { readonly url: string; readonly tokenFile: string }
}

/** Makes the same call from three places, so that the difference is what each hop costs. */
async function proveLine(context: Context, { identities, urls }: Node): Promise<Shown> {
  const { terminal, self, env, version } = context
  const [command, ...rest] = self
  const args = [...rest, 'reach', 'mcp-connect', identities.node, '--home', identities.clientFolder, '--address', urls.peer]
  terminal.progress('calling through the whole line')
  const whole = await probe(
    context.clock,
    { name: 'the whole line', command: [command, ...args], env: childEnvironment(env, { FAIRLEAD_LOG: 'warn' }) },
    shownTools,
  )
  terminal.progress('calling at each hop')
  const direct = await probe(
    context.clock,
    { name: 'the machine tools', url: urls.machine, token: identities.tokens.machine.value },
    shownTools,
  )
  const gated = await probe(context.clock, { name: 'the gate', url: urls.gate, token: identities.tokens.owner.value }, shownTools)
  const times = [direct.callMs, gated.callMs, whole.callMs]
  const names = ['machine tools', 'gate (access, record)', 'tunnel and mcp-connect']
  return {
    ok: true,
    version,
    addresses: urls,
    peerId: identities.node,
    line: ['client', 'reach mcp-connect', 'tunnel', 'gate', 'machine tools'],
    results: whole.results,
    hops: names.map((hop, i) => ({ hop, callMs: times[i]!, addsMs: times[i]! - (times[i - 1] ?? 0) })),
    firstAnswerMs: whole.firstAnswerMs,
    client: { mcpServers: { 'this-machine': { command, args } } },
    http: { url: urls.gate, tokenFile: identities.tokens.owner.path },
  }
}

function screen(shown: Shown, { bold, dim, good }: Context['terminal']['style'], once: boolean): string {
  const ms = (value: number): string => `${value.toFixed(1).padStart(7)} ms`
  const { addresses } = shown
  return [
    `${bold(`fairlead ${shown.version}`)} is up on this machine`,
    '',
    `  registry       ${addresses.registry}`,
    `  peer host      ${addresses.peer}`,
    `  machine tools  ${addresses.machine}`,
    `  gate           ${addresses.gate}   ${dim(`health: ${addresses.health}`)}`,
    '',
    `${good('A real call went the whole line')}: ${shown.line.join(' → ')}`,
    '',
    ...Object.entries(shown.results).map(([tool, result]) => `  ${tool}\n${brief(result)}`),
    '',
    '  one call, entering the line at each hop                      adds',
    ...shown.hops.map(({ hop, callMs, addsMs }) => `    ${hop.padEnd(40)} ${ms(callMs)}  ${ms(addsMs)}`),
    `    ${'from starting mcp-connect to its first answer'.padEnd(40)} ${ms(shown.firstAnswerMs)}`,
    '',
    'For an MCP client on this machine:',
    JSON.stringify(shown.client, undefined, 2).replace(/^/gm, '  '),
    `or over HTTP: ${shown.http.url} with the bearer token in ${shown.http.tokenFile}`,
    ...(once ? [] : ['', `${bold('ready')}: Ctrl-C stops it`]),
  ].join('\n')
}

/** The first level of a result, a line per member, long ones cut. */
function brief(result: unknown): string {
  return Object.entries((result ?? {}) as Record<string, unknown>)
    .map(([key, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      return `    ${key.padEnd(24)} ${text.length > 100 ? `${text.slice(0, 99)}…` : text}`
    })
    .join('\n')
}
