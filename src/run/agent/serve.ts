// A node's agent as its configuration says: the runtime opened, the node started, its operations offered on its sockets and, if so said, over HTTPS.
import { readFileSync, readdirSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { openControl } from '../../base/control/server.ts'
import type { Certificate, HttpsControl } from '../../base/control/https.ts'
import { createHttpClient } from '../../base/http/client.ts'
import type { PeerStreams } from '../../base/terminal/command.ts'
import { openLedger } from '../../base/ledger/ledger.ts'
import type { Clock } from '../../kernel/clock.ts'
import { readText, statOf } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { callRecord } from '../call-record.ts'
import type { KeptCertificate } from '../certs/keeping.ts'
import { certificateHandlers } from '../certs/operations.ts'
import { fault } from '../faults.ts'
import { type AsOwners, createAsOwners } from '../files/as-owners.ts'
import { fileHandlers } from '../files/operations.ts'
import { changing } from '../node/changing.ts'
import { type RunNode, startNode } from '../node/node.ts'
import { observing } from '../node/observing.ts'
import { nodeApi } from '../node-api.ts'
import { type Own } from '../own.ts'
import type { Runtime, RuntimeKind } from '../runtime.ts'
import { copyDaily } from '../recovery/daily.ts'
import { type Recovery, recovery } from '../recovery/operations.ts'
import { workFolder } from '../recovery/replacing.ts'
import { endPutBack } from '../recovery/works.ts'
import { type Routing, keepRouting } from '../route/routing.ts'
import { tokenHandlers } from '../token/operations.ts'
import { openTokens } from '../token/tokens.ts'
import { type Validator, createValidator } from '../token/validator.ts'
import type { AgentConfig } from './config.ts'
import type { AgentFiles } from './files.ts'
import { agentCertificate, openAgentDoor, routeCertificates, splitListen } from './https.ts'
import { openPeerDoor } from './peers.ts'
import { snapshot, snapshots } from './snapshot.ts'

export type AgentNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly env: Readonly<Record<string, string | undefined>>
  readonly version: string
  readonly peers: PeerStreams
  /** argv that does a piece of work on files, `answerWork`, in a process of its own. */
  readonly fileWorker: readonly [string, ...string[]]
  readonly runtimes: readonly { readonly name: string; load(): Promise<{ readonly default: RuntimeKind }> }[]
}

/** `port`: of HTTPS, where it listens. `peerId`: who it is for peers, if it is. */
export type Agent = AsyncDisposable & {
  readonly node: RunNode
  readonly port: number | undefined
  readonly peerId: string | undefined
  readonly routesPort: number | undefined
}

/** Faults: `run.no_runtime`, `run.runtime_unavailable`, `run.certificate_failed`, `store.*`, `socket.*`, `control.busy_port`, `token.unreadable`. */
export async function startAgent(needs: AgentNeeds, config: AgentConfig, files: AgentFiles & { readonly name: string }): Promise<Agent> {
  const { clock, log } = needs
  await using stack = new AsyncDisposableStack()
  const node = stack.use(await nodeOf(needs, config, files, stack))
  const ledger = openLedger({ folder: join(files.folder, 'ledger'), origin: `fairlead node ${files.name}`, clock, log })
  stack.defer(() => ledger.close())
  const tokens = openTokens({ clock }, { path: join(files.folder, 'tokens.json') })
  const validator = validatorOf(needs, config, stack)
  let door: HttpsControl | undefined
  let kept: KeptCertificate | undefined
  let source = ''
  if (config.server.listen !== undefined) {
    const onChange = (certificate: Certificate): void => door?.setCertificate(certificate)
    ;({ kept, source } = await agentCertificate(needs, config, files, onChange))
    stack.use(kept)
  }
  const facts = { version: needs.version, folder: files.folder, certificateExpiresAt: () => kept?.facts().until ?? null }
  const routes = config.routes && (await routesFor(needs, config, files, { node, stack }))
  const handlers = {
    ...observing(node, facts),
    ...changing(node),
    ...fileHandlers(node, files, asOwnersOf(needs, node.runtime)),
    ...certificateHandlers(kept, source, async (name, isNew) => {
      if (!routes) throw fault.no_route_certificate({ name, known: [] })
      return routes.routing.certificate(name, isNew)
    }),
    ...recoveryOf(needs, config, files, { node, stack }).handlers,
    ...tokenHandlers({ tokens, validator }),
  }
  const control = { api: nodeApi, handlers, record: callRecord({ ledger, clock }), clock, log }
  stack.use(await openControl({ ...control, offers: node.offering }, { daemon: 'node', folder: files.runtime }))
  if (kept) {
    door = await openAgentDoor(control, { tokens, validator, clock }, { listen: config.server.listen!, certificate: kept })
    stack.use(door)
  }
  const peerDoor = config.peers && stack.use(await openPeerDoor(control, needs.peers, config.peers))
  const held = stack.move()
  return { node, port: door?.port, routesPort: routes?.port, peerId: peerDoor?.peerId, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

async function nodeOf(
  needs: AgentNeeds,
  config: AgentConfig,
  files: AgentFiles & { readonly name: string },
  stack: AsyncDisposableStack,
): Promise<RunNode> {
  const { clock, log, env } = needs
  const { container_runtime: wanted, podman_socket } = config.agent
  const entry = needs.runtimes.find(({ name }) => name === wanted)
  if (!entry) throw fault.no_runtime({ name: wanted, known: needs.runtimes.map(({ name }) => name) })
  const kind = (await entry.load()).default
  const socket = podman_socket ?? podmanSocket(env)
  const runtime = await kind.open({ clock, log, env }, { socket, folder: join(files.folder, wanted) })
  stack.defer(() => runtime.close())
  await endRestores(needs, files.services, asOwnersOf(needs, runtime))
  const { alert: command, cooldown, interval, flap_count, flap_window, keep_events } = config.monitor
  return startNode(
    { clock, log, env, runtime },
    {
      node: files.name,
      folder: files.folder,
      services: files.services,
      own: ownOf(needs, config, files, socket),
      monitor: { intervalMs: interval, flapCount: flap_count, flapWindowMs: flap_window, keepEventsMs: keep_events },
      alert: { command, cooldownMs: cooldown },
    },
  )
}

/** Root may do everything already. */
function asOwnersOf({ fileWorker, env }: AgentNeeds, runtime: Runtime): AsOwners | undefined {
  return runtime.amongUsers && userInfo().uid !== 0 ? createAsOwners(runtime.amongUsers(fileWorker), env) : undefined
}

/** What a service could become the agent by, or take from it. */
function ownOf({ env }: AgentNeeds, { server, routes, acme, peers }: AgentConfig, files: AgentFiles, socket: string): Own {
  const home = env['HOME']
  const folders = [
    files.folder,
    files.backups,
    files.runtime,
    dirname(socket),
    ...(server.tls_key === undefined ? [] : [server.tls_key]),
    ...(peers ? [peers.identity] : []),
    ...(home === undefined ? [] : ['.config', '.local', '.ssh'].map((name) => join(home, name))), // what starts with the user, and its images
  ]
  const ports = [
    ...(server.listen === undefined ? [] : [splitListen(server.listen)]),
    ...(routes ? [splitListen(routes.listen, 443)] : []),
    ...(acme ? [splitListen(acme.listen, 80)] : []),
    ...(peers ? [splitListen(peers.listen)] : []),
  ].map(({ port }) => port)
  return { folders, services: files.services, ports, leastPort: leastPort() }
}

/** What the kernel says of users that are not root; 1024 where it says nothing. */
function leastPort(): number {
  if (userInfo().uid === 0) return 0
  return Number(readText('/proc/sys/net/ipv4/ip_unprivileged_port_start') ?? 1_024)
}

/** A restore that a kill cut off is over before anything is started on what it left. */
async function endRestores({ log }: AgentNeeds, services: string, asOwners: AsOwners | undefined): Promise<void> {
  for (const service of foldersIn(services)) {
    if (!statOf(join(services, service, workFolder))) continue
    const outcome = await endPutBack(asOwners, join(services, service))
    if (outcome) log.warn('run.restore_was_cut', { service, outcome })
  }
}

function foldersIn(path: string): readonly string[] {
  if (!statOf(path)) return []
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
}

function recoveryOf(
  needs: AgentNeeds,
  { backups }: AgentConfig,
  files: AgentFiles,
  { node, stack }: { readonly node: RunNode; readonly stack: AsyncDisposableStack },
): Recovery {
  const { clock, log } = needs
  const asOwners = asOwnersOf(needs, node.runtime)
  const made = recovery({ clock, node, asOwners }, files, { most: backups.keep, ageMs: backups.keep_for })
  if (backups.automatic) {
    const parts = { clock, log, node, recovery: made }
    const own = { snapshots: () => snapshots(files.backups), snapshot: () => snapshot({ clock }, files) }
    stack.use(copyDaily({ ...parts, ...own }, files, backups.every))
  }
  return made
}

async function routesFor(
  { clock, log, env }: AgentNeeds,
  config: AgentConfig,
  files: AgentFiles & { readonly name: string },
  { node, stack }: { readonly node: RunNode; readonly stack: AsyncDisposableStack },
): Promise<{ readonly port: number; readonly routing: Routing }> {
  const { listen, max_connections: maxConnections, max_per_address: maxPerAddress } = config.routes!
  const { openRouter } = await import('../../base/http/route/router.ts') // TLS is 5 MB of a process
  const router = stack.use(await openRouter({ clock, log }, { ...splitListen(listen, 443), maxConnections, maxPerAddress }))
  const { source, folder } = await routeCertificates({ clock, env }, config, files, stack)
  return { port: router.port, routing: stack.use(keepRouting({ clock, log, node, router, source }, folder)) }
}

function validatorOf({ clock }: AgentNeeds, { auth }: AgentConfig, stack: AsyncDisposableStack): Validator | undefined {
  if (auth.validator === undefined) return undefined
  const http = createHttpClient({ authority: auth.ca === undefined ? undefined : readFileSync(auth.ca, 'utf8') })
  stack.defer(() => http.close())
  return createValidator({ http, clock }, { url: auth.validator, roles: auth.roles })
}

/** Where podman's own API is for this user: its user unit's socket, or root's. */
function podmanSocket(env: AgentNeeds['env']): string {
  const { uid } = userInfo()
  const runtime = uid === 0 ? '/run' : (env['XDG_RUNTIME_DIR'] ?? `/run/user/${uid}`)
  return join(runtime, 'podman/podman.sock')
}
