// A gate as its configuration says: settings checked, upstreams' transports made, children guarded.
import { hash } from 'node:crypto'
import { dirname, isAbsolute, join } from 'node:path'
import { resolveCredential } from '../base/config/credential.ts'
import { makeFolder } from '../kernel/file.ts'
import { type Log, redacting } from '../kernel/log.ts'
import type { Identity } from '../base/identity/identity.ts'
import { createHttpClient } from '../base/http/client.ts'
import { startGuard } from '../base/supervise/guard.ts'
import { limitsOf } from '../base/wire/walk.ts'
import { type IssuerKit, cloudflareOf, issuersOf } from './configured-issuers.ts'
import { connectorsOf } from './connector/configured.ts'
import type { Uploads } from './connector/uploads.ts'
import type { Connector } from './connector-kind.ts'
import { type Lists, checksIn } from './holder/stage.ts'
import { type Gate, type GateNeeds, startGate } from './gate.ts'
import type { Changeable, GateSettings } from './settings.ts'
import type { Configured } from './line-up.ts'
import type { Reading } from './reload.ts'
import { grantSigner } from './grants.ts'
import { rulesOf } from './rule/roles.ts'
import { type Named, Offered } from './offered.ts'
import type { DialPeer, GateConfig, UpstreamConfig, UpstreamKind, UpstreamKit } from './upstream-kind.ts'

export type ConfiguredGateNeeds = Omit<GateNeeds, 'read' | 'offers' | 'checks'> & {
  /** Reads the configuration again; without it there is only the one that it starts with. */
  readonly read?: () => Promise<GateConfig>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Relative paths in the configuration are below this folder. */
  readonly folder: string
  /** Where ledger and sessions live when the configuration does not say. */
  readonly state: string
  readonly kinds: readonly { load(): Promise<{ default: UpstreamKind }> }[]
  readonly connectors: readonly { load(): Promise<{ default: Connector }> }[]
  /** As `extensions.ts` lists them: the gate's own are its doctrine. */
  readonly checks?: Lists['checks']
  /** Where uploads go; the folders of the configuration when absent. */
  readonly uploads?: Uploads
  readonly peers?: GateSettings['peers']
  /** Of Fairlead, for the metrics. */
  readonly version?: string
  /** Where the sockets of the gate's own API are when the configuration does not say; absent: it has none. */
  readonly control?: string
  /** Absent where there is no identity to reach peers with. */
  readonly dialPeer?: DialPeer
  /** No HTTP: for a gate whose clients are all on this machine. */
  readonly isLocalOnly?: boolean
}

/** `grantSigner`: made when the first upstream is to get grants. */
type Kit = UpstreamKit & IssuerKit & { grantSigner(): Identity }

/** Where the ledger and sessions of this gate live. */
export function gateFolder(config: GateConfig, state: string): string {
  return config.state ?? join(state, 'gate')
}

/** Starts the gate of a configuration. Faults: those of `startGate`, `credential.*`, `http.port_busy`, `store.locked`. */
export async function startConfiguredGate(needs: ConfiguredGateNeeds, config: GateConfig): Promise<Gate> {
  const { clock, env, folder } = needs
  /** What upstreams were given: they may print it, or answer with it. */
  const revealed = new Set<string>()
  const log = redacting(needs.log, revealed)
  await using stack = new AsyncDisposableStack()
  const guard = startGuard({ clock, log })
  stack.defer(() => guard.close())
  const client = createHttpClient()
  stack.defer(() => client.close())
  const limits = limitsOf(config.max_frame_bytes)
  let signer: Identity | undefined
  const kit: Kit = {
    clock,
    log,
    guard,
    client,
    limits,
    env,
    ...(needs.dialPeer ? { dialPeer: needs.dialPeer } : {}),
    grantSigner: () => (signer ??= openSigner(log, join(gateFolder(config, needs.state), 'grants.secret'))),
    keySets: new Map(),
    pathOf: (path) => (isAbsolute(path) ? path : join(folder, path)),
    async reveal(value) {
      const secret = await resolveCredential(value, { env, folder })
      revealed.add(secret.reveal())
      return secret
    },
  }
  const kinds = (await Promise.all(needs.kinds.map((kind) => kind.load()))).map((module) => module.default)
  const [host, port] = splitListen(config.listen)
  const state = gateFolder(config, needs.state)
  const control = config.runtime === undefined ? needs.control : kit.pathOf(config.runtime)
  let inForce = config
  const offered = new Offered({ clock, log, pathOf: kit.pathOf, changed: () => void gate.reload(withOffers).catch(() => {}) }) // which has been told
  const withOffers = async (): Promise<Reading> => ({
    settings: await changeableOf(kit, kinds, inForce, offered),
    changedKeys: [],
    needsRestart: [],
    taken() {},
  })
  const read = async (): Promise<Reading> => {
    const next = needs.read ? await needs.read() : config
    const settings = await changeableOf(kit, kinds, next, offered)
    return {
      settings,
      changedKeys: differences(inForce, next).filter((key) => changeable.has(key)),
      needsRestart: differences(config, next).filter((key) => !changeable.has(key)),
      taken() {
        inForce = next
        offered.take(next.offers)
        const used = new Set([...settings.issuers, ...(settings.cloudflare ? [settings.cloudflare] : [])].map(({ keys }) => keys))
        for (const [key, keys] of kit.keySets) if (!used.has(keys)) kit.keySets.delete(key)
      },
    }
  }
  const gate: Gate = await startGate(
    { ...needs, log, read, offers: () => offered.problems, checks: () => checksIn({ checks: needs.checks ?? [] }) },
    {
      host,
      port,
      ownHosts: config.hosts,
      publicUrl: config.public_url,
      folder: state,
      isLocalOnly: needs.isLocalOnly ?? false,
      maxSessions: config.max_sessions,
      maxSessionsPerPrincipal: config.max_sessions_per_principal,
      drainMs: config.drain,
      trace: config.trace,
      sessionTtlMs: config.session_ttl,
      listWaitMs: config.list_wait,
      limits,
      approvals: { timeoutMs: config.approval_timeout, mayAskClient: config.approval_by === 'client' },
      ...(control === undefined ? {} : { control }),
      ...(needs.version === undefined ? {} : { version: needs.version }),
      children: { max: config.max_children, maxPerPrincipal: config.max_children_per_principal },
      ...(await changeableOf(kit, kinds, config, offered)),
      connectors: await connectorsOf(needs, config, { state, pathOf: kit.pathOf, limits }),
      ...(needs.peers ? { peers: needs.peers } : {}),
    },
  )
  offered.take(config.offers)
  const rest = stack.move()
  return {
    ...gate,
    async close() {
      offered.close()
      await gate.close()
      await rest.disposeAsync()
    },
  }
}

async function changeableOf(kit: Kit, kinds: readonly UpstreamKind[], config: GateConfig, offered: Offered): Promise<Changeable> {
  const own = Object.entries(config.upstreams).map(([name, settings]): Named => ({ name, settings, digest: '' }))
  const upstreams = [...own, ...offered.upstreams(config)].map(async ({ name, settings: one, digest, ailing }): Promise<Configured> => {
    const kind = kinds.find(({ key }) => one[key] !== undefined)!
    return {
      name,
      isolation: one.isolation,
      idleMs: one.idle,
      requestTimeoutMs: one.request_timeout,
      approve: one.approve,
      pins: { newTools: one.new_tools, suspiciousTools: one.suspicious_tools, fingerprints: one.pins },
      ...(one.grants ? { grants: { ...one.grants, signer: kit.grantSigner() } } : {}),
      transport: await kind.transport(kit, name, one),
      fingerprint: await fingerprintOf(kit, one, digest),
      ...(ailing ? { ailing } : {}),
    }
  })
  return {
    credentials: Object.entries(config.principals).map(([name, { token_sha256, peers }]) => ({ name, tokenHashes: token_sha256, peers })),
    metricsFor: new Set(Object.entries(config.principals).flatMap(([name, { metrics }]) => (metrics ? [name] : []))),
    dashboardFor: new Map(Object.entries(config.principals).flatMap(([name, { dashboard }]) => (dashboard ? [[name, dashboard]] : []))),
    rules: rulesOf(config),
    callLimits: config.limits.map(({ calls_per_minute: callsPerMinute, bytes_per_minute: bytesPerMinute, ...limit }) => ({
      ...limit,
      callsPerMinute,
      bytesPerMinute,
    })),
    upstreams: await Promise.all(upstreams),
    takesOffers: Object.keys(config.offers).length > 0,
    door: config.door,
    local: config.local,
    issuers: await issuersOf(kit, config),
    scopes: config.scopes,
    cloudflare: cloudflareOf(kit, config),
    sockets: Object.values(config.sockets).map((socket) => ({ ...socket, path: kit.pathOf(socket.path) })),
  }
}

/** Credentials count by what they are now: a token that was rotated makes another upstream. */
async function fingerprintOf({ reveal }: UpstreamKit, one: UpstreamConfig, digest: string): Promise<string> {
  const credentials = [...(one.token ? [one.token] : []), ...Object.values(one.secrets)]
  const revealed = await Promise.all(credentials.map(async (value) => (await reveal(value)).reveal()))
  return hash('sha256', JSON.stringify([one, revealed, digest]), 'base64url')
}

/** What a reload takes; all else needs a new start. */
const changeable: ReadonlySet<string> = new Set([
  'gate.upstreams',
  'gate.offers',
  'gate.principals',
  'gate.roles',
  'gate.rules',
  'gate.limits',
  'gate.door',
  'gate.local',
  'gate.issuers',
  'gate.scopes',
  'gate.cloudflare_access',
  'gate.sockets',
])

function differences(before: GateConfig, after: GateConfig): readonly string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as ReadonlySet<keyof GateConfig>
  return [...keys].filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key])).map((key) => `gate.${key}`)
}

/** Told once: daemons name it to believe the grants. */
function openSigner(log: Log, path: string): Identity {
  makeFolder(dirname(path))
  const signer = grantSigner(path)
  log.info('gate.grants', { issuer: signer.peerId })
  return signer
}

function splitListen(listen: string): [host: string, port: number] {
  const at = listen.lastIndexOf(':')
  return [listen.slice(0, at).replace(/^\[|\]$/g, ''), Number(listen.slice(at + 1))]
}
