// The gate itself: HTTP and socket doors in front, principals and rules between, upstreams behind, everything recorded.
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import { makeFolder } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import type { NamedCheck } from '../base/checks/check.ts'
import type { Handlers } from '../base/control/api.ts'
import { openControl } from '../base/control/server.ts'
import type { OpenShared } from '../base/cluster/open.ts'
import { createMemoryKv } from '../base/kv/memory.ts'
import { openSqliteKv } from '../base/kv/sqlite.ts'
import type { Identity } from '../base/identity/identity.ts'
import { keepCheckpoints } from '../base/ledger/keep-checkpoints.ts'
import { type Ledger, openLedger } from '../base/ledger/ledger.ts'
import { ledgerSecret } from '../base/ledger/secret.ts'
import { Access } from './access-now.ts'
import { gateApi } from './api.ts'
import { WatchedCalls } from './calls/watched.ts'
import { Approvals } from './approval/approvals.ts'
import { namesOf, readWatermark } from '../base/ledger/segments.ts'
import { openConnectors } from './connector/connectors.ts'
import { type ControlNeeds, gateHandlers } from './control.ts'
import { Dashboard } from './dashboard/dashboard.ts'
import { type SignInLink, linkOf } from './dashboard/link.ts'
import type { Reachable } from '../base/control/reachable.ts'
import type { Reach } from './dashboard/reach.ts'
import { Drain } from './drain.ts'
import { Children, defaultChildren } from './children.ts'
import { type GateEndpoint, createEndpoint } from './endpoint.ts'
import type { Examination } from './examination.ts'
import { fault } from './faults.ts'
import { following } from './following.ts'
import { type Entrances, openEntrances } from './entrances.ts'
import type { HealthNeeds } from './health.ts'
import { Handles } from './handles.ts'
import { Joined } from './joined/joined.ts'
import { joinedName } from './joined/offer.ts'
import { partsOf } from './joined-parts.ts'
import { layersOf } from './layers.ts'
import { Limits } from './limit/limits.ts'
import { LineUp } from './line-up.ts'
import { GateMetrics } from './metrics.ts'
import { type OwnDoctrineNeeds, ownDoctrine } from './own-doctrine.ts'
import { Pins } from './pin/pins.ts'
import { recordRefusal } from './record.ts'
import { type Reading, type Reloaded, Reloads } from './reload.ts'
import { Sessions } from './sessions.ts'
import type { GateSettings } from './settings.ts'
import { checkSettings } from './start-checks.ts'
import { sweeping } from './sweeping.ts'
import { type Together, openTogether } from './together.ts'
import { summaryOf } from './summary.ts'
import type { Served } from './upstream.ts'
import { gateLedger, watchedLedger } from './watched-ledger.ts'

export interface Gate {
  /** Empty when there is no HTTP. */
  readonly url: string
  /**
   * Reads the configuration again: what changed holds when it resolves, while calls that run may end. Or it stays as it is and throws what `read` threw or a start would.
   * Recorded either way. `read`: in place of the file, what else the gate has to take.
   */
  reload(read?: () => Promise<Reading>): Promise<Reloaded>
  /** A link that signs somebody in to the dashboard, once and within minutes; the only one who may use it, without a name. Fault `dashboard.no_principal`. */
  signIn(principal?: string): SignInLink
  /** Lets running calls end, then stops every child; sessions and ledger stay for the next start. */
  close(): Promise<void>
}

const defaultApprovals = { timeoutMs: 120_000, mayAskClient: true } as const

/** Long enough for most servers to start, short enough for a person to wait. */
const defaultListWaitMs = 5_000

export type GateNeeds = {
  readonly clock: Clock
  readonly log: Log
  /** Who signs the ledger now and then, which may become another; without one it is a chain that nobody vouches for. */
  readonly identity?: () => Identity
  /** Reads the configuration again. */
  readonly read: () => Promise<Reading>
  /** Those of the doctrine, loaded when it is asked for; absent: there are none. */
  readonly checks?: () => Promise<readonly NamedCheck<Examination>[]>
  /** Opens what all gates of one cluster share: sessions, and what servers handed out. Without it they are this machine's. */
  readonly openShared?: OpenShared | undefined
  /** Daemons whose servers are followed, each with what is wrong with it. */
  readonly offers: HealthNeeds['offers']
  /** Other daemons, for the dashboard. */
  readonly reach?: Reach
  /** How everything on this machine stands; absent: this gate knows of itself alone. */
  readonly look?: ControlNeeds['look']
}

export async function startGate(needs: GateNeeds, settings: GateSettings): Promise<Gate> {
  checkSettings(settings)
  const { clock, log, identity, read } = needs
  makeFolder(settings.folder)
  await using stack = new AsyncDisposableStack()
  const place = gateLedger(settings.folder)
  const written = openLedger({ ...place, clock, log })
  if (identity) stack.adopt(keepCheckpoints({ identity, clock, log }, place), (kept) => kept.close()) // last, when the ledger is closed
  stack.defer(() => written.close())
  const ledger = watchedLedger(written)
  const own = openSqliteKv({ path: join(settings.folder, 'sessions.db'), clock, log, maxEntries: settings.maxSessions })
  stack.defer(() => own.close())
  const shared = await openTogether(needs, settings, stack)
  const kv = shared?.kv ?? own
  const secret = ledgerSecret(join(settings.folder, 'ledger.secret'))
  const bucket = kv.bucket('sessions')
  const sessions = new Sessions({ bucket, clock, log }, { ...settings, ttlMs: settings.sessionTtlMs })
  await sessions.count()
  const handles = new Handles({ bucket: kv.bucket('handles'), log })
  await handles.load()
  const pins = await openPins({ clock, log, ledger, stack, shared }, settings)
  const { timeoutMs, mayAskClient } = settings.approvals ?? defaultApprovals
  const asked = (shared?.kv ?? createMemoryKv({ clock })).bucket('approvals')
  const approvals = new Approvals({ bucket: asked, clock, gates: shared?.gates }, { timeoutMs })
  stack.defer(following({ log }, [approvals, ...(shared ? [shared.gates, sessions, handles, pins] : [])]))
  const access = new Access(settings)
  const { policy, directory } = access
  const limits = new Limits(clock, settings.callLimits ?? [], shared?.accounts)
  const drain = new Drain()
  const watched = new WatchedCalls()
  const metrics = new GateMetrics(clock, watched)
  stack.defer(() => metrics.close())
  const children = new Children(settings.children ?? defaultChildren, () => [
    ...sessions.idle(),
    ...lineUp.upstreams.flatMap((upstream) => upstream.idle()),
  ])
  const layered = {
    ledger,
    secret,
    clock,
    log,
    drain,
    policy,
    pins,
    limits,
    approvals,
    handles,
    mayAskClient,
    metrics,
    beginsTraces: settings.trace === 'begin',
  }
  const endpointOf = (upstream: Served): GateEndpoint => createEndpoint({ upstream, sessions, clock, log, ...layersOf(layered, upstream) })
  const lineUp: LineUp = new LineUp({ clock, log, children, sessions, endpointOf })
  lineUp.take(settings.upstreams, 0)
  stack.defer(async () => {
    await Promise.all([sessions.close(), lineUp.close()])
  })
  const { endpoints } = lineUp
  const upstreams = () => lineUp.upstreams
  const record = { ledger, secret, clock, upstream: joinedName }
  const parts = partsOf(endpoints, policy, (exchange, reason) => recordRefusal(record, exchange, reason))
  const joined = new Joined({ parts, clock }, () => joinedSettings(lineUp, settings))
  const all = createEndpoint({ upstream: joined, sessions, clock, log, layers: [drain.layer, parts.layer] })
  stack.defer(sweeping({ clock, log, sessions, lineUp }))
  const prepare: Entrances['prepare'] = (next) => entrances.prepare(next)
  const reloads = new Reloads({ log, ledger, sessions, access, limits, pins, lineUp, joined, entrances: { prepare }, read }, settings)
  let recheck = (): void => {}
  const connectorNeeds = { clock, log, ledger, bucket: own.bucket('connectors'), policy, upstreams, endpoints, ended: () => recheck() }
  const connectors = stack.use(await openConnectors(connectorNeeds, settings.connectors))
  const syncedSeq = (): number => readWatermark(namesOf(place.folder, 'ledger.jsonl'))?.seq ?? 0
  const { version = 'unknown' } = settings
  const counted = { metrics, sessions, children, syncedSeq, version }
  const health = { ledger, bucket, upstreams, drain, connectors, pins, reloads, offers: needs.offers, ...counted }
  const signIn = (principal?: string): SignInLink => linkOf(dashboard, settings.publicUrl ?? entrances.url, principal)
  const calls = { clock, metrics, watched, place, identity }
  const doctrine = doctrineOf(needs, { connectors, health }, settings)
  const summary = () =>
    summaryOf(
      { health: { ...health, keySets: entrances.keySets }, approvals, metrics, sessions, shared },
      { url: entrances.url, version, ledger: place.folder },
    )
  const handlers = gateHandlers({ look: needs.look, summary, approvals, pins, connectors, reloads, access, calls, doctrine, signIn })
  const reach: Reach = async () => [ownDaemon(handlers), ...((await needs.reach?.()) ?? [])]
  const { publicUrl } = settings
  const dashboardNeeds = {
    clock,
    log,
    ledger,
    bucket: own.bucket('dashboard'),
    levels: access.dashboardFor,
    directory,
    reach,
    version: counted.version,
    publicUrl,
  }
  const dashboard = new Dashboard(dashboardNeeds)
  stack.defer(() => dashboard.close())
  const front = { clock, log, ledger, directory, endpoints, all, health, connectors, watched, dashboard }
  const entrances: Entrances = stack.use(await openEntrances(front, { ...settings, metricsFor: access.metricsFor }))
  stack.use(await openOwnApi(needs, handlers, settings.control))
  recheck = () => entrances.recheck()
  const { url } = entrances
  log.info('gate.ready', { url, upstreams: [...endpoints.keys()] })
  const rest = stack.move()
  return {
    url,
    signIn,
    reload: (again) => reloads.reload(again),
    async close() {
      approvals.close()
      await dashboard.close() // its pages would listen for ever
      await drain.drain(clock, settings.drainMs)
      await rest.disposeAsync()
    },
  }
}

type DoctrineAsked = Pick<OwnDoctrineNeeds, 'connectors'> & { readonly health: Omit<HealthNeeds, 'keySets'> }

/** The gate among the daemons that the dashboard asks. */
function ownDaemon(handlers: Handlers<typeof gateApi>): Reachable {
  return { id: 'gate', kind: 'gate', name: 'the gate', where: 'this machine', api: gateApi, handlers }
}

type PinsNeeds = Pick<GateNeeds, 'clock' | 'log'> & {
  readonly ledger: Ledger
  readonly stack: AsyncDisposableStack
  readonly shared: Together | undefined
}

async function openPins({ clock, log, ledger, stack, shared }: PinsNeeds, { folder, upstreams }: GateSettings): Promise<Pins> {
  const kv = openSqliteKv({ path: join(folder, 'pins.db'), clock, log })
  stack.defer(() => kv.close())
  const own = kv.bucket('pins')
  const bucket = shared?.kv.bucket('pins') ?? own
  if (bucket !== own) for await (const { key, value } of own.list()) await bucket.create(key, value) // what was accepted while it was alone
  const pins = new Pins({ bucket, ledger, clock, log })
  const take = await pins.prepare(upstreams)
  take()
  stack.defer(() => pins.saved())
  return pins
}

function doctrineOf({ clock, checks = async () => [] }: GateNeeds, asked: DoctrineAsked, { connectors }: GateSettings) {
  const health = { ...asked.health, keySets: [] } // of them the doctrine asks nothing
  return ownDoctrine({ clock, checks, ...asked, health }, { logs: connectors.drillsFolder, isOff: connectors.isOff })
}

/** Fault `gate.runtime_busy`. Undefined when no folder is said: then nobody on this machine says anything to the gate. */
async function openOwnApi(
  { clock, log }: GateNeeds,
  handlers: Handlers<typeof gateApi>,
  folder: string | undefined,
): Promise<AsyncDisposable | undefined> {
  if (folder === undefined) return undefined
  try {
    return await openControl({ api: gateApi, handlers, clock, log }, { daemon: 'gate', folder })
  } catch (error) {
    throw asFault(error).code === 'socket.busy' ? fault.runtime_busy({ folder }, error) : error
  }
}

/** What holds for all upstreams at once, as they are now. */
function joinedSettings({ upstreams }: LineUp, { listWaitMs = defaultListWaitMs, limits }: GateSettings) {
  const most = (of: 'idleMs' | 'requestTimeoutMs'): number => Math.max(0, ...upstreams.map(({ settings }) => settings[of]))
  return {
    listWaitMs,
    idleMs: most('idleMs'),
    requestTimeoutMs: most('requestTimeoutMs') + defaultListWaitMs,
    maxPageBytes: Math.floor(limits.maxFrameBytes / 2),
  }
}
