// The gate itself: HTTP and socket doors in front, principals and rules between, upstreams behind, everything recorded.
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { makeFolder, readText, writeWhole } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import { randomId } from '../kernel/random.ts'
import { Secret } from '../kernel/secret.ts'
import { type Policy, type Rule, createPolicy } from '../base/access/policy.ts'
import { type Credentials, createDirectory } from '../base/access/principal.ts'
import { openSqliteKv } from '../base/kv/sqlite.ts'
import type { Identity } from '../base/identity/identity.ts'
import { keepCheckpoints } from '../base/ledger/keep-checkpoints.ts'
import { openLedger } from '../base/ledger/ledger.ts'
import { namesOf, readWatermark } from '../base/ledger/segments.ts'
import type { Layer } from '../base/mcp/exchange.ts'
import type { Endpoint } from '../base/mcp/scopes.ts'
import { type ConnectorsSettings, openConnectors } from './connector/connectors.ts'
import { operationsOf } from './connector/operations.ts'
import { Drain } from './drain.ts'
import { Children, type ChildrenSettings, defaultChildren } from './children.ts'
import { createEndpoint } from './endpoint.ts'
import { type HttpDoorsSettings, openHttpDoors } from './http-doors.ts'
import { openControl } from './local-control.ts'
import { GateMetrics } from './metrics.ts'
import { openPeerDoor } from './peer-door.ts'
import { permitLayer } from './permit.ts'
import { type RecordNeeds, recordLayer, recordRefusal } from './record.ts'
import { type SessionSettings, Sessions } from './sessions.ts'
import { checkSettings } from './start-checks.ts'
import { carryLayer, traceLayer } from './tracing.ts'
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
  const policy = createPolicy(settings.rules)
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
  const endpoints = new Map(
    upstreams.map((upstream) => [
      upstream.name,
      endpointOf(log, upstream, sessions, policy, [metrics.layer(upstream.name), drain.layer, traceLayer(settings.trace === 'begin')], {
        ledger,
        secret,
        clock,
        upstream: upstream.name,
      }),
    ]),
  )
  stack.defer(
    sweeping(needs, sweepEveryMs(settings), async () => {
      try {
        await sessions.sweep()
      } finally {
        for (const upstream of upstreams) upstream.sweep()
      }
    }),
  )
  const directory = createDirectory(settings.credentials)
  if (settings.peers) {
    const refused = (): void => metrics.refused('peers', 'unauthenticated')
    stack.use(await openPeerDoor({ clock, log, ledger, directory, endpoints, refused }, settings.peers, settings.limits))
  }
  const connectorNeeds = { clock, log, ledger, bucket: kv.bucket('connectors'), policy, upstreams, endpoints }
  const connectors = stack.use(await openConnectors(connectorNeeds, settings.connectors))
  stack.use(await openControl(settings.folder, operationsOf(connectors)))
  const syncedSeq = (): number => readWatermark(namesOf(place.folder, 'ledger.jsonl'))?.seq ?? 0
  const counted = { metrics, sessions, children, syncedSeq, version: settings.version ?? 'unknown' }
  const health = { ledger, bucket, upstreams, drain, connectors, ...counted }
  const everybody = { ...directory, byTokenHash: (hash: string) => directory.byTokenHash(hash) ?? connectors.byTokenHash(hash) }
  const doors = stack.use(await openHttpDoors({ clock, log, ledger, directory: everybody, endpoints, health, connectors }, settings))
  log.info('gate.ready', { url: doors.url, upstreams: [...endpoints.keys()] })
  const rest = stack.move()
  return {
    url: doors.url,
    async close() {
      await drain.drain(clock, settings.drainMs)
      await rest.disposeAsync()
    },
  }
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

function endpointOf(
  log: Log,
  upstream: Upstream,
  sessions: Sessions,
  policy: Policy,
  outer: readonly Layer[],
  record: RecordNeeds,
): Endpoint {
  const permit = permitLayer({
    policy,
    upstream: upstream.name,
    refused: (exchange, verdict) => recordRefusal(record, exchange, verdict.reason),
  })
  return createEndpoint({ upstream, sessions, clock: record.clock, log, layers: [...outer, permit, recordLayer(record), carryLayer] })
}

function sweeping({ clock, log }: { clock: Clock; log: Log }, everyMs: number, sweep: () => Promise<void>): () => void {
  let cancel = (): void => {}
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
