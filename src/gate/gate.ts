// The gate itself: HTTP and socket doors in front, principals and rules between, upstreams behind, everything recorded.
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { makeFolder, readText, writeWhole } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import { randomId } from '../kernel/random.ts'
import { Secret } from '../kernel/secret.ts'
import { type Rule, createPolicy } from '../base/access/policy.ts'
import { type Credentials, createDirectory } from '../base/access/principal.ts'
import { openControl } from '../base/control/server.ts'
import { openSqliteKv } from '../base/kv/sqlite.ts'
import type { Identity } from '../base/identity/identity.ts'
import { keepCheckpoints } from '../base/ledger/keep-checkpoints.ts'
import { type Ledger, openLedger } from '../base/ledger/ledger.ts'
import { gateApi } from './api.ts'
import { Approvals } from './approval/approvals.ts'
import { namesOf, readWatermark } from '../base/ledger/segments.ts'
import { type ConnectorsSettings, openConnectors } from './connector/connectors.ts'
import { type ControlNeeds, gateHandlers } from './control.ts'
import { Drain } from './drain.ts'
import { Children, type ChildrenSettings, defaultChildren } from './children.ts'
import { createEndpoint } from './endpoint.ts'
import { type HttpDoorsSettings, openHttpDoors } from './http-doors.ts'
import { layersOf } from './layers.ts'
import { type Limit, Limits } from './limit.ts'
import { GateMetrics } from './metrics.ts'
import { openPeerDoor } from './peer-door.ts'
import { Pins, defaultPins } from './pin/pins.ts'
import { type SessionSettings, Sessions } from './sessions.ts'
import { checkSettings } from './start-checks.ts'
import { type Transport, Upstream, type UpstreamSettings } from './upstream.ts'
import { gateLedger, watchedLedger } from './watched-ledger.ts'

export type GateSettings = HttpDoorsSettings &
  Omit<SessionSettings, 'ttlMs'> & {
    /** Ledger, sessions and the ledger's secret live here. */
    readonly folder: string
    readonly sessionTtlMs: number
    /** How long running calls may take to end when the gate is closed. */
    readonly drainMs: number
    readonly credentials: readonly Credentials[]
    readonly rules: readonly Rule[]
    /** How often and how much may be called. */
    readonly callLimits?: readonly Limit[]
    /** How long a call waits for a person's yes, and whether the client's own user may give it. */
    readonly approvals?: { readonly timeoutMs: number; readonly mayAskClient: boolean }
    /** Where the sockets of the gate's own API are; absent: it has none. */
    readonly control?: string
    /** Servers that cost a process and run at once; `defaultChildren` when absent. */
    readonly children?: ChildrenSettings
    /** `begin`: every request is traced; `carry`, the default: those that come with a trace. */
    readonly trace?: 'carry' | 'begin'
    /** Of Fairlead, for the metrics. */
    readonly version?: string
    readonly upstreams: readonly (UpstreamSettings & { readonly transport: Transport })[]
    readonly connectors: ConnectorsSettings
    /** Where the peer host hands in proved streams, and the upstream that they reach. */
    readonly peers?: { readonly socket: string; readonly upstream: string }
  }

export interface Gate {
  readonly url: string
  /** Lets running calls end, then stops every child; sessions and ledger stay for the next start. */
  close(): Promise<void>
}

const defaultApprovals = { timeoutMs: 120_000, mayAskClient: true } as const

/** Idle servers are looked for so often, or twice within the shortest idle time that is set. */
const sweepMs = 5_000
const leastSweepMs = 250

export type GateNeeds = {
  readonly clock: Clock
  readonly log: Log
  /** Who signs the ledger now and then, which may become another; without one it is a chain that nobody vouches for. */
  readonly identity?: () => Identity
}

export async function startGate(needs: GateNeeds, settings: GateSettings): Promise<Gate> {
  checkSettings(settings)
  const { clock, log, identity } = needs
  makeFolder(settings.folder)
  await using stack = new AsyncDisposableStack()
  const place = gateLedger(settings.folder)
  const written = openLedger({ ...place, clock, log })
  if (identity) stack.adopt(keepCheckpoints({ identity, clock, log }, place), (kept) => kept.close()) // last, when the ledger is closed
  stack.defer(() => written.close())
  const ledger = watchedLedger(written)
  const kv = openSqliteKv({ path: join(settings.folder, 'sessions.db'), clock, log, maxEntries: settings.maxSessions })
  stack.defer(() => kv.close())
  const secret = ledgerSecret(join(settings.folder, 'ledger.secret'))
  const bucket = kv.bucket('sessions')
  const sessions = new Sessions({ bucket, clock, log }, { ...settings, ttlMs: settings.sessionTtlMs })
  await sessions.count()
  const pins = await openPins({ clock, log, ledger, stack }, settings)
  const { timeoutMs, mayAskClient } = settings.approvals ?? defaultApprovals
  const approvals = new Approvals(clock, { timeoutMs })
  const policy = createPolicy(settings.rules)
  const limits = new Limits(clock, settings.callLimits ?? [])
  const drain = new Drain()
  const metrics = new GateMetrics(clock)
  stack.defer(() => metrics.close())
  const children = new Children(settings.children ?? defaultChildren, () => [
    ...sessions.idle(),
    ...upstreams.flatMap((upstream) => upstream.idle()),
  ])
  const upstreams: readonly Upstream[] = settings.upstreams.map((one) => new Upstream({ clock, log, children }, one.transport, one))
  stack.defer(async () => {
    await Promise.all([sessions.close(), ...upstreams.map((upstream) => upstream.close())])
  })
  const shared = {
    ledger,
    secret,
    clock,
    log,
    drain,
    policy,
    pins,
    limits,
    approvals,
    mayAskClient,
    metrics,
    beginsTraces: settings.trace === 'begin',
  }
  const endpoints = new Map(
    upstreams.map((upstream) => [upstream.name, createEndpoint({ upstream, sessions, clock, log, ...layersOf(shared, upstream) })]),
  )
  stack.defer(sweeping(needs, sweepEveryMs(settings), sessions, upstreams))
  const directory = createDirectory(settings.credentials)
  if (settings.peers) {
    const refused = (): void => metrics.refused('peers', 'unauthenticated')
    stack.use(await openPeerDoor({ clock, log, ledger, directory, endpoints, refused }, settings.peers, settings.limits))
  }
  const connectorNeeds = { clock, log, ledger, bucket: kv.bucket('connectors'), policy, upstreams, endpoints }
  const connectors = stack.use(await openConnectors(connectorNeeds, settings.connectors))
  stack.use(await openOwnApi(needs, { approvals, pins, connectors }, settings.control))
  const syncedSeq = (): number => readWatermark(namesOf(place.folder, 'ledger.jsonl'))?.seq ?? 0
  const counted = { metrics, sessions, children, syncedSeq, version: settings.version ?? 'unknown' }
  const health = { ledger, bucket, upstreams, drain, connectors, pins, ...counted }
  const everybody = { ...directory, byTokenHash: (hash: string) => directory.byTokenHash(hash) ?? connectors.byTokenHash(hash) }
  const doors = stack.use(await openHttpDoors({ clock, log, ledger, directory: everybody, endpoints, health, connectors }, settings))
  log.info('gate.ready', { url: doors.url, upstreams: [...endpoints.keys()] })
  const rest = stack.move()
  return {
    url: doors.url,
    async close() {
      approvals.close()
      await drain.drain(clock, settings.drainMs)
      await rest.disposeAsync()
    },
  }
}

type PinsNeeds = Pick<GateNeeds, 'clock' | 'log'> & { readonly ledger: Ledger; readonly stack: AsyncDisposableStack }

async function openPins({ clock, log, ledger, stack }: PinsNeeds, { folder, upstreams }: GateSettings): Promise<Pins> {
  const kv = openSqliteKv({ path: join(folder, 'pins.db'), clock, log })
  stack.defer(() => kv.close())
  const settings = Object.fromEntries(upstreams.map((one) => [one.name, one.pins ?? defaultPins]))
  const pins = new Pins({ bucket: kv.bucket('pins'), ledger, clock, log }, settings)
  await pins.load()
  stack.defer(() => pins.saved())
  return pins
}

/** Undefined when no folder is said: then nobody on this machine says anything to the gate. */
async function openOwnApi(
  { clock, log }: GateNeeds,
  needs: ControlNeeds,
  folder: string | undefined,
): Promise<AsyncDisposable | undefined> {
  if (folder === undefined) return undefined
  return openControl({ api: gateApi, handlers: gateHandlers(needs), clock, log }, { daemon: 'gate', folder })
}

function sweepEveryMs({ upstreams }: GateSettings): number {
  const shortestMs = Math.min(...upstreams.map(({ idleMs }) => idleMs))
  return Math.max(leastSweepMs, Math.min(sweepMs, shortestMs / 2))
}

function ledgerSecret(path: string): Secret {
  const present = readText(path)
  if (present !== undefined) return new Secret(present.trim())
  const made = randomId(32)
  writeWhole(path, `${made}\n`)
  return new Secret(made)
}

function sweeping({ clock, log }: GateNeeds, everyMs: number, sessions: Sessions, upstreams: readonly Upstream[]): () => void {
  let cancel = (): void => {}
  const sweep = async (): Promise<void> => {
    try {
      await sessions.sweep()
    } finally {
      for (const upstream of upstreams) upstream.sweep()
    }
  }
  const again = (): void => {
    cancel = clock.after(
      everyMs,
      () =>
        void sweep()
          .catch((error: unknown) => log.warn('gate.sweep.failed', { error }))
          .finally(again),
    )
  }
  again()
  return () => cancel()
}
