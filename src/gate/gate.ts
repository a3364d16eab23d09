// The gate itself: HTTP and socket doors in front, principals and rules between, upstreams behind, everything recorded.
import { hash } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import { makeFolder, readText, writeWhole } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import { randomId } from '../kernel/random.ts'
import { Secret } from '../kernel/secret.ts'
import type { Policy, Rule } from '../base/access/policy.ts'
import type { Credentials } from '../base/access/principal.ts'
import { isLoopback } from '../base/http/listener.ts'
import { openSqliteKv } from '../base/kv/sqlite.ts'
import type { Identity } from '../base/identity/identity.ts'
import { keepCheckpoints } from '../base/ledger/keep-checkpoints.ts'
import { openLedger } from '../base/ledger/ledger.ts'
import { Drain } from './drain.ts'
import { Children, type ChildrenSettings, defaultChildren } from './children.ts'
import { type GateEndpoint, createEndpoint } from './endpoint.ts'
import { Access } from './access-now.ts'
import { fault } from './faults.ts'
import { type FrontDoorSettings, openFrontDoor } from './front-door.ts'
import { Joined } from './joined/joined.ts'
import { joinedName } from './joined/offer.ts'
import { partsOf } from './joined-parts.ts'
import { type Changes, type Configured, LineUp } from './line-up.ts'
import { openLocalDoor } from './local-door.ts'
import { openPeerDoor } from './peer-door.ts'
import { permitLayer } from './permit.ts'
import { type RecordNeeds, recordLayer, recordRefusal } from './record.ts'
import { type SessionSettings, Sessions } from './sessions.ts'
import type { Served } from './upstream.ts'
import { gateLedger, watchedLedger } from './watched-ledger.ts'

export type GateSettings = FrontDoorSettings &
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
    readonly upstreams: readonly Configured[]
    /** A list of all upstreams waits so long for each; `defaultListWaitMs` when absent. */
    readonly listWaitMs?: number
    /** Who comes in through the socket in `folder`; absent: there is none. */
    readonly local?: string
    /** No HTTP: for a gate whose clients are all on this machine. */
    readonly isLocalOnly?: boolean
    /** Where the peer host hands in proved streams, and the upstream that they reach. */
    readonly peers?: { readonly socket: string; readonly upstream: string }
  }

/** What may change while it runs. */
export type Changeable = Pick<GateSettings, 'credentials' | 'rules' | 'upstreams'>

export interface Gate {
  /** Empty when there is no HTTP. */
  readonly url: string
  /**
   * Takes other upstreams, principals and rules, or stays as it is and throws what `read` threw or a start would. What changed holds at once; resolves when the
   * last call of an upstream that went has ended, or its time to. Recorded either way.
   */
  reload(read: () => Promise<Changeable>): Promise<Changes>
  /** Lets running calls end, then stops every child; sessions and ledger stay for the next start. */
  close(): Promise<void>
}

/** Idle servers are looked for so often, or twice within the shortest idle time that is set. */
const sweepMs = 5_000
/** Long enough for most servers to start, short enough for a person to wait. */
const defaultListWaitMs = 5_000
const leastSweepMs = 250
/** After the last call has been answered, its bytes may take so long to leave. */
const flushMs = 500

export type GateNeeds = {
  readonly clock: Clock
  readonly log: Log
  /** Who signs the ledger now and then, which may become another; without one it is a chain that nobody vouches for. */
  readonly identity?: () => Identity
}

export async function startGate(needs: GateNeeds, settings: GateSettings): Promise<Gate> {
  check(settings)
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
  const access = new Access(settings)
  const drain = new Drain()
  const children = new Children(settings.children ?? defaultChildren, () => [
    ...sessions.idle(),
    ...lineUp.upstreams.flatMap((upstream) => upstream.idle()),
  ])
  const endpointFor = (served: Served): GateEndpoint =>
    endpointOf(log, served, sessions, access.policy, drain, { ledger, secret, clock, upstream: served.name })
  const lineUp: LineUp = new LineUp({ clock, log, children, sessions, endpointOf: endpointFor })
  lineUp.take(settings.upstreams, 0)
  const record = { ledger, secret, clock, upstream: joinedName }
  const parts = partsOf(lineUp.endpoints, access.policy, (exchange, reason) => recordRefusal(record, exchange, reason))
  const joined = new Joined({ parts, clock }, () => ({
    listWaitMs: settings.listWaitMs ?? defaultListWaitMs,
    idleMs: Math.max(0, ...lineUp.upstreams.map((upstream) => upstream.settings.idleMs)),
    requestTimeoutMs: Math.max(0, ...lineUp.upstreams.map((upstream) => upstream.settings.requestTimeoutMs)) + defaultListWaitMs,
    maxPageBytes: Math.floor(settings.limits.maxFrameBytes / 2),
  }))
  const all = createEndpoint({ upstream: joined, sessions, clock, log, layers: [drain.layer, parts.layer] })
  stack.defer(async () => {
    await Promise.all([sessions.close(), lineUp.close()])
  })
  stack.defer(
    sweeping(
      needs,
      () => sweepEveryMs(lineUp),
      async () => {
        try {
          await sessions.sweep()
        } finally {
          for (const upstream of lineUp.upstreams) upstream.sweep()
        }
      },
    ),
  )
  const { directory } = access
  const { endpoints } = lineUp
  if (settings.peers) stack.use(await openPeerDoor({ clock, log, ledger, directory, endpoints }, settings.peers, settings.limits))
  const reloads: { problem: string | undefined } = { problem: undefined }
  const health = {
    ledger,
    bucket,
    drain,
    reloads,
    get upstreams() {
      return lineUp.upstreams
    },
  }
  if (settings.local !== undefined) {
    const endpoint = (name: string | undefined): GateEndpoint | undefined => (name === undefined ? all : endpoints.get(name))
    stack.use(await openLocalDoor({ clock, log, endpoint }, { folder: settings.folder, principal: settings.local }, settings.limits))
  }
  const front = { clock, log, ledger, directory, endpoints, all, health }
  const listener = settings.isLocalOnly ? undefined : await openFrontDoor(front, settings)
  if (listener) stack.defer(() => listener.close(flushMs))
  const url = listener?.url ?? ''
  log.info('gate.ready', { url, upstreams: [...endpoints.keys()] })
  const takeAnother = async (read: () => Promise<Changeable>): Promise<Changes> => {
    try {
      const next = await read()
      check({ ...settings, ...next })
      await ledger.append({
        event: 'reload',
        access: digestOf(next),
        upstreams: next.upstreams.map(({ name, fingerprint }) => [name, fingerprint]),
      })
      const gone = access.take(next)
      const { over, ...changes } = lineUp.take(next.upstreams, settings.drainMs)
      reloads.problem = undefined
      joined.changed(new Set([...changes.removed, ...changes.changed]))
      log.info('gate.reloaded', { ...changes })
      await Promise.all([over, ...gone.map((name) => sessions.endOf(name, 'its principal was removed', settings.drainMs))])
      return changes
    } catch (error) {
      const { message } = asFault(error)
      reloads.problem = message
      log.error('gate.reload.refused', { reason: message })
      await ledger.append({ event: 'reload.refused', reason: message.slice(0, 1_000) }).catch(() => {})
      throw error
    }
  }
  let last: Promise<unknown> = Promise.resolve()
  const rest = stack.move()
  return {
    url,
    reload(read) {
      const reloading = last.then(() => takeAnother(read))
      last = reloading.catch(() => {})
      return reloading
    },
    async close() {
      await drain.drain(clock, settings.drainMs)
      await rest.disposeAsync()
    },
  }
}

function sweepEveryMs({ upstreams }: LineUp): number {
  const shortestMs = Math.min(...upstreams.map(({ settings }) => settings.idleMs))
  return Math.max(leastSweepMs, Math.min(sweepMs, shortestMs / 2))
}

/** Refuses to start where everyone on the network would be somebody. */
function check({ host, port, door, local, credentials, rules, upstreams }: GateSettings): void {
  const listen = `${host}:${port}`
  const names = new Set(credentials.map(({ name }) => name))
  if (!isLoopback(host) && door !== undefined) throw fault.open_door({ listen })
  if (!isLoopback(host) && !credentials.some((one) => one.tokenHashes.length + one.peers.length > 0)) throw fault.no_way_in({ listen })
  if (door !== undefined && !names.has(door)) throw fault.unknown_principal({ name: door, place: 'gate.door' })
  if (local !== undefined && !names.has(local)) throw fault.unknown_principal({ name: local, place: 'gate.local' })
  const known = new Set(upstreams.map(({ name }) => name))
  for (const [index, rule] of rules.entries()) {
    const place = `gate.rules[${index}]`
    for (const name of rule.principals) if (!name.includes('*') && !names.has(name)) throw fault.unknown_principal({ name, place })
    for (const name of rule.upstreams) if (!name.includes('*') && !known.has(name)) throw fault.unknown_upstream({ name, place })
  }
  const holders = new Map<string, string>()
  for (const { name, tokenHashes, peers } of credentials) {
    for (const credential of new Set([...tokenHashes, ...peers])) {
      const other = holders.get(credential)
      if (other !== undefined) throw fault.same_credential({ first: other, second: name })
      holders.set(credential, name)
    }
  }
}

/** What was allowed to whom, so that the record says which rules a later call was judged by. */
function digestOf({ credentials, rules }: Changeable): string {
  return hash('sha256', JSON.stringify([credentials, rules]), 'base64url')
}

function ledgerSecret(path: string): Secret {
  const present = readText(path)
  if (present !== undefined) return new Secret(present.trim())
  const made = randomId(32)
  writeWhole(path, `${made}\n`)
  return new Secret(made)
}

function endpointOf(log: Log, upstream: Served, sessions: Sessions, policy: Policy, drain: Drain, record: RecordNeeds): GateEndpoint {
  const permit = permitLayer({
    policy,
    upstream: upstream.name,
    refused: (exchange, verdict) => recordRefusal(record, exchange, verdict.reason),
  })
  return createEndpoint({ upstream, sessions, clock: record.clock, log, layers: [drain.layer, permit, recordLayer(record)] })
}

function sweeping({ clock, log }: { clock: Clock; log: Log }, everyMs: () => number, sweep: () => Promise<void>): () => void {
  let cancel = (): void => {}
  const again = (): void => {
    cancel = clock.after(
      everyMs(),
      () =>
        void sweep()
          .catch((error: unknown) => log.warn('gate.sweep.failed', { error }))
          .finally(again),
    )
  }
  again()
  return () => cancel()
}
