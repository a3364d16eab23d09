// A whole node in one process: registry, machine tools, gate and peer host, put together so that one line leads through all of them.
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { tokenHash } from '../../base/access/principal.ts'
import { loadMachineConfig } from '../../base/config/machine.ts'
import { isRelayed, kindOf } from '../../base/peer/address.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { type ClusterConfig, sharedBy } from '../../base/cluster/open.ts'
import { resolveCredential } from '../../base/config/credential.ts'
import { sshAgent } from '../../base/identity/ssh-agent.ts'
import { type WalletKeys, createWallet, readWalletCard } from '../../base/identity/wallet.ts'
import { lockFolder } from '../../base/store/lock.ts'
import type { Context } from '../../base/terminal/command.ts'
import type { GateDaemon } from '../../daemons/gate.ts'
import type { GateConfig } from '../../gate/upstream-kind.ts'
import { asFault, faults } from '../../kernel/fault.ts'
import { changeMark, makeFolder, readText, writeWhole } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { Secret } from '../../kernel/secret.ts'
import type { OperateConfig } from '../../operate/config.ts'
import type { ReachConfig } from '../../reach/config.ts'

const fault = faults('up', {
  already_up: (d: { state: string }) => ({
    kind: 'conflict',
    message: `a node is up already with the files in ${d.state}`,
    hint: 'stop it first; or bring up another one with files and ports of its own: FAIRLEAD_HOME=DIR fairlead up --registry-port 0 --peer-port 0 --machine-port 0 --gate-port 0',
  }),
  port_busy: (d: { part: string; host: string; port: number; flag: string }) => ({
    kind: 'unavailable',
    message: `${d.part} cannot listen on ${d.host}:${d.port}: the port is busy`,
    hint: `stop the program that holds it (find it with: ss -ltnp 'sport = :${d.port}'), or choose another port: fairlead up --${d.flag} PORT`,
  }),
  sealed: (d: { path: string }) => ({
    kind: 'unauthenticated',
    message: `the wallet ${d.path} is sealed with a passphrase`,
    hint: 'fairlead up --passphrase-file FILE, with the passphrase in a file that only you can read (mode 0600); or reach.peer.passphrase of fairlead.toml',
  }),
  no_port: (d: { flag: string; port: number }) => ({
    kind: 'usage',
    message: `--${d.flag} ${d.port}: there is no such port`,
    hint: 'a port is a number up to 65535; 0 takes any free one',
  }),
  name_taken: (d: { path: string; place: string; name: string; what: string }) => ({
    kind: 'config',
    message: `${d.path}: [${d.place}.${d.name}] has a name that fairlead up itself gives to ${d.what}`,
    hint: 'choose another name',
  }),
})

const loopback = '127.0.0.1'
/** The upstream that this machine's own tools are, and the principal that its owner is. */
const machine = 'machine'
const owner = 'owner'

const portFlags = ['registry-port', 'peer-port', 'machine-port', 'gate-port'] as const

/** Where each part listens when the configuration shall not decide: the values of the flags that are so named. */
export type Ports = { readonly [Flag in (typeof portFlags)[number]]: number | undefined }

/** Two wallets, the node's and the one of clients on this machine, and two tokens; made once and kept. */
type Identities = {
  readonly node: string
  readonly nodeFolder: string
  readonly client: string
  readonly clientFolder: string
  readonly tokens: Record<'owner' | 'machine', { readonly path: string; readonly value: string }>
}

export type Node = AsyncDisposable & {
  readonly identities: Identities
  readonly addresses: {
    readonly registry: string
    readonly peer: string
    readonly machine: string
    readonly gate: string
    readonly health: string
    readonly dashboard: string
  }
  /** Signs the owner's browser in to the dashboard, once. */
  signInLink(): string
  /** Where clients on this machine reach the peer host. */
  readonly localPeer: string
}

async function identitiesOf(state: string): Promise<Identities> {
  const nodeFolder = join(state, 'reach')
  const clientFolder = join(state, 'local-client')
  const peerIdIn = async (folder: string, name: string): Promise<string> => {
    const path = join(folder, 'wallet.json')
    return readWalletCard(path)?.peerId ?? (await createWallet(path, { name })).identity.peerId
  }
  const tokenIn = (name: string): { path: string; value: string } => {
    const path = join(state, `${name}.token`)
    let value = readText(path)?.trim()
    if (!value) writeWhole(path, `${(value = randomId(32))}\n`)
    return { path, value }
  }
  return {
    node: await peerIdIn(nodeFolder, hostname()),
    nodeFolder,
    client: await peerIdIn(clientFolder, `${hostname()}-client`),
    clientFolder,
    tokens: { owner: tokenIn('owner'), machine: tokenIn('machine') },
  }
}

/** Being the only node with these files. */
function onlyNode(state: string): Disposable {
  makeFolder(state)
  try {
    return lockFolder(state, 'up')
  } catch (error) {
    throw asFault(error).code === 'store.locked' ? fault.already_up({ state }, error) : error
  }
}

/** Starts one part; a busy port is told with the part's name and its flag, and a sealed wallet with the flag that opens it. */
async function listening<T>(where: { part: string; host: string; port: number; flag: keyof Ports }, start: () => Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (error) {
    const { code, details } = asFault(error)
    const isBusy = code === 'http.port_busy' || (code === 'peer.cannot_listen' && String(details['problem']).includes('EADDRINUSE'))
    if (code === 'wallet.locked') throw fault.sealed({ path: String(details['path']) }, error)
    throw isBusy ? fault.port_busy(where, error) : error
  }
}

/** The gate's configuration with this machine's tools behind it, and its owner in front. */
async function withMachine(
  path: string,
  config: GateConfig,
  port: number | undefined,
  url: string,
  { client, tokens }: Identities,
): Promise<GateConfig> {
  if (config.upstreams[machine]) throw fault.name_taken({ path, place: 'gate.upstreams', name: machine, what: "this machine's tools" })
  if (config.principals[owner]) throw fault.name_taken({ path, place: 'gate.principals', name: owner, what: 'you' })
  const { default: gateSchema } = await import('../../gate/config.ts')
  const own = gateSchema.parse({
    upstreams: { [machine]: { url, token: { file: tokens.machine.path }, new_tools: 'trust' } }, // our own, and another with each version
    principals: { [owner]: { token_sha256: tokenHash(tokens.owner.value), peers: [client], dashboard: 'change' } },
    rules: [{ principals: [owner], upstreams: ['*'], tools: ['*'], resources: ['*'], prompts: ['*'], methods: ['*'] }],
  })
  return {
    ...config,
    ...(port === undefined ? {} : { listen: `${loopback}:${port}` }),
    upstreams: { ...config.upstreams, ...own.upstreams },
    principals: { ...config.principals, ...own.principals },
    rules: [...config.rules, ...own.rules],
  }
}

/** `multiaddr` as HOST:PORT, for those who ask the registry there. */
function serverOf(multiaddr: string): string {
  const [, kind, host, , port] = multiaddr.split('/')
  return `${kind === 'ip6' ? `[${host}]` : host}:${port}`
}

/** All that the parts are started with. */
type Plan = {
  readonly context: Context
  readonly identities: Identities
  readonly ports: Ports
  readonly keys: WalletKeys
  readonly path: string
  readonly reach: ReachConfig
  readonly operate: OperateConfig
  readonly gate: GateConfig
  readonly cluster: ClusterConfig | undefined
}

async function startRegistry({ context: { clock, log, env }, identities, ports, path, reach: { registry: config }, cluster }: Plan) {
  const { startRegistry: start } = await import('../../daemons/registry.ts')
  const { host, listen, announce, max_records: maxRecords, max_places: maxPlaces, max_circuits: maxCircuits } = config
  const port = ports['registry-port'] ?? config.port
  const openShared = sharedBy({ clock, log, env, folder: dirname(path) }, cluster)
  const settings = {
    folder: join(identities.nodeFolder, 'registry'),
    host,
    port,
    listen,
    announce,
    maxRecords,
    mailbox: { keepMs: config.mailbox_keep, maxBytes: config.mailbox_bytes },
    isDhtNode: config.dht,
    relay: config.relay && { maxPlaces, maxCircuits },
  }
  return listening({ part: 'the registry', host, port, flag: 'registry-port' }, () =>
    start({ clock, log, proxyFor: proxiesOf(env), openShared }, settings),
  )
}

async function startTools({ context: { clock, log, folders, version }, identities, ports, operate }: Plan) {
  const [{ startMachine }, { placesOf }, { tools }] = await Promise.all([
    import('../../daemons/machine.ts'),
    import('../../operate/places.ts'),
    import('../../extensions.ts'),
  ])
  const server = { ...operate.server, port: ports['machine-port'] ?? operate.server.port }
  const settings = {
    config: { ...operate, server },
    places: placesOf({ folders }, operate),
    token: new Secret(identities.tokens.machine.value),
  }
  return listening({ part: 'the machine tools', host: server.host, port: server.port, flag: 'machine-port' }, () =>
    startMachine({ clock, log, version, tools, control: operate.server.runtime ?? join(folders.runtime, 'machine') }, settings),
  )
}

async function startGate(plan: Plan, toolsUrl: string) {
  const { context, ports, path, gate, identities, keys, cluster } = plan
  const { clock, log, env, folders, version, homes, peers, signal } = context
  const [{ startGate: start }, { checks, connectors, reachables, statuses, upstreams }, { lookAround }, { findReachable }] =
    await Promise.all([
      import('../../daemons/gate.ts'),
      import('../../extensions.ts'),
      import('../../base/checks/status.ts'),
      import('../../base/control/reachable.ts'),
    ])
  const configOf = (own: GateConfig): Promise<GateConfig> => withMachine(path, own, ports['gate-port'], toolsUrl, identities)
  const config = await configOf(gate)
  const read = async (): Promise<GateConfig> => configOf(await gateAgain(plan))
  const [, host, port] = /^(.*):(\d+)$/.exec(config.listen)!
  const reach = () =>
    findReachable({ clock, env, peers, homes, signal }, reachables, (owner, error) => log.debug('dashboard.find', { owner, error }))
  const look = (asked: AbortSignal) => lookAround({ clock, env, peers, homes, version, signal: asked }, statuses)
  const folder = dirname(path)
  const needs = {
    clock,
    log,
    env,
    folder,
    openShared: sharedBy({ clock, log, env, folder }, cluster),
    state: folders.state,
    kinds: upstreams,
    checks,
    connectors,
    version,
    read,
    look,
    reach,
  }
  const settings = { runtime: folders.runtime, peersReach: machine, wallet: join(identities.nodeFolder, 'wallet.json'), keys }
  return listening({ part: 'the gate', host: host!, port: Number(port), flag: 'gate-port' }, () => start(needs, config, settings))
}

/** The gate's table as the file has it now. Of the others nothing is taken before a new start, and the log names those that differ. */
async function gateAgain({ context: { folders, log }, path, reach, operate, cluster }: Plan): Promise<GateConfig> {
  const { configs } = await import('../../extensions.ts')
  const { tables } = await loadMachineConfig(configs, folders.config)
  const keys = Object.entries({ reach, operate, cluster }).flatMap(([name, before]) =>
    JSON.stringify(before) === JSON.stringify(tables[name]) ? [] : [name],
  )
  if (keys.length > 0) log.warn('up.reload.needs_restart', { file: path, keys })
  return tables['gate'] as GateConfig
}

type Keys = { readonly passphrase: Secret | undefined; readonly path: string; readonly peer: ReachConfig['peer']; readonly wallet: string }

/** The passphrase of the flag, else of the configuration, else the one that the keychain remembers or somebody types, once. */
function walletKeys(context: Context, { passphrase, path, peer, wallet }: Keys): WalletKeys {
  const { env, clock } = context
  let asked: Promise<Secret | undefined> | undefined
  const ask = async (): Promise<Secret | undefined> => {
    const { walletPassphrase } = await import('../../reach/passphrase.ts')
    const nowhere = { 'passphrase-file': undefined, 'passphrase-env': undefined }
    return walletPassphrase(context, nowhere, { name: "the node's wallet", keychain: readWalletCard(wallet)?.keychain })
  }
  return {
    async passphrase() {
      if (passphrase) return passphrase
      if (peer.passphrase) return resolveCredential(peer.passphrase, { env, folder: dirname(path) })
      return (asked ??= ask())
    },
    agent: sshAgent(clock, env['SSH_AUTH_SOCK']),
  }
}

async function startPeer(plan: Plan, { peerSocket: gateSocket, ledger }: GateDaemon, registry: string) {
  const {
    context: { clock, log, env, folders },
    identities,
    ports,
    keys,
    reach: { peer: config },
  } = plan
  const { startPeer: start } = await import('../../daemons/peer.ts')
  const {
    host,
    listen,
    announce,
    authorized,
    authorized_file: authorizedFile,
    server = serverOf(registry),
    lan: isLanAnswered,
    dht,
    dht_nodes: dhtNodes,
    keep: keepMs,
    max_frame_bytes: maxFrameBytes,
    follow_rotations: followRotations,
  } = config
  const port = ports['peer-port'] ?? config.port
  const wallet = { walletFolder: identities.nodeFolder, keys }
  const who = { authorized: [identities.client, ...authorized], ...(authorizedFile === undefined ? {} : { authorizedFile }) }
  const settings = {
    ...wallet,
    host,
    port,
    listen,
    ...who,
    gateSocket,
    control: join(folders.runtime, 'peer'),
    server,
    announce,
    isLanAnswered,
    dhtNodes: dht ? dhtNodes : undefined,
    keepMs,
    maxFrameBytes,
    followRotations,
    witnessing: { witnesses: config.witness, everyMs: config.witness_every, afterEntries: config.witness_after, ledgers: [ledger] },
  }
  return listening({ part: 'the peer host', host, port, flag: 'peer-port' }, () =>
    start({ clock, log, proxyFor: proxiesOf(env) }, settings),
  )
}

/** Brings it up, or leaves nothing behind; `passphrase` opens the node's wallet. Faults `up.*`, those of the configuration and of each part; the signal's reason when that stops it. */
export async function bringUp(context: Context, ports: Ports, passphrase: Secret | undefined): Promise<Node> {
  const { folders, terminal, signal } = context
  for (const flag of portFlags) {
    const port = ports[flag]
    if (port !== undefined && (port < 0 || port > 65_535)) throw fault.no_port({ flag, port })
  }
  const { configs } = await import('../../extensions.ts')
  const { tables, path } = await loadMachineConfig(configs, folders.config)
  const mark = changeMark(path)
  await using stack = new AsyncDisposableStack()
  stack.use(onlyNode(folders.state))
  const { finishRestore } = await import('../../reach/backup/restore.ts')
  finishRestore(join(folders.state, 'reach'))
  const identities = await identitiesOf(folders.state)
  const reach = tables['reach'] as ReachConfig
  const plan: Plan = {
    context,
    identities,
    ports,
    keys: walletKeys(context, { passphrase, path, peer: reach.peer, wallet: join(identities.nodeFolder, 'wallet.json') }),
    path,
    reach,
    operate: tables['operate'] as OperateConfig,
    gate: tables['gate'] as GateConfig,
    cluster: tables['cluster'] as ClusterConfig | undefined,
  }
  const start = async <T extends { close(): Promise<void> }>(what: string, starting: () => Promise<T>): Promise<T> => {
    signal.throwIfAborted()
    terminal.progress(`starting ${what}`)
    return stack.adopt(await starting(), (part) => part.close())
  }
  const registry = await start('the registry', () => startRegistry(plan))
  const tools = await start('the machine tools', () => startTools(plan))
  const gate = await start('the gate', () => startGate(plan, tools.url))
  const { keepReloading } = await import('../../gate/reloading.ts')
  stack.defer(keepReloading({ clock: context.clock, log: context.log, gate, onAsked: context.onReload }, path, mark))
  const peer = await start('the peer host', () =>
    startPeer(
      plan,
      gate,
      registry.addresses().findLast((address) => kindOf(address) === 'direct')!,
    ),
  )
  const rest = stack.move()
  return {
    identities,
    addresses: {
      registry: registry.addresses()[0]!,
      peer: peer.addresses()[0]!,
      machine: tools.url,
      gate: `${gate.url}/mcp/${machine}`,
      health: `${gate.url}/health`,
      dashboard: `${gate.url}/`,
    },
    signInLink: () => gate.signIn(owner).url,
    localPeer: peer
      .addresses()
      .findLast((address) => !isRelayed(address))!
      .replace(/\/p2p\/.*$/, ''), // loopback comes last of the direct ones
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}
