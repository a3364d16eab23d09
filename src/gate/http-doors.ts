// Where the gate is reached by HTTP: one TCP listener and any number of UNIX sockets, and who is let in there.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Directory } from '../base/access/principal.ts'
import { hostOf } from '../base/http/host.ts'
import { type Listener, openListener } from '../base/http/listener.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import type { Endpoint } from '../base/mcp/scopes.ts'
import type { ScanLimits } from '../base/wire/walk.ts'
import type { Connectors } from './connector/connectors.ts'
import { createFrontDoor } from './front-door.ts'
import type { MetricsNeeds } from './metrics-page.ts'
import { type Identify, createIdentify } from './identify.ts'
import { type CloudflareSettings, type IssuerSettings, cloudflareVerifier, issuersVerifier } from './issuers.ts'
import { ProtectedResource } from './protected-resource.ts'
import { type SocketSettings, openSocketDoor } from './socket-door.ts'

export type HttpDoorsNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly ledger: Ledger
  readonly directory: Directory
  readonly endpoints: ReadonlyMap<string, Endpoint>
  /** All upstreams at once. */
  readonly all: Endpoint
  readonly health: Omit<MetricsNeeds, 'keySets'>
  readonly connectors: Connectors
}

export type HttpDoorsSettings = {
  readonly host: string
  readonly port: number
  /** Further names under which clients reach it. */
  readonly ownHosts: readonly string[]
  /** Where clients reach it from outside: scheme, host and port; where it listens when undefined. */
  readonly publicUrl: string | undefined
  /** Who everyone is that comes in by TCP and shows no credential; undefined: nobody. */
  readonly door: string | undefined
  readonly issuers: readonly IssuerSettings[]
  /** Every token of an issuer needs all of them. */
  readonly scopes: readonly string[]
  readonly cloudflare: CloudflareSettings | undefined
  readonly sockets: readonly SocketSettings[]
  readonly limits: ScanLimits
  /** Principals who may read /metrics. */
  readonly metricsFor?: Pick<ReadonlySet<string>, 'has'>
}

/** After the last call has been answered, its bytes may take so long to leave. */
const flushMs = 500

/** Listens. Faults: `http.port_busy`, `http.cannot_listen`, and those of `openSocketDoor`. */
export async function openHttpDoors(
  needs: HttpDoorsNeeds,
  settings: HttpDoorsSettings,
): Promise<AsyncDisposable & { readonly url: string }> {
  const { clock } = needs
  const { host, port, publicUrl, issuers, cloudflare, scopes } = settings
  await using stack = new AsyncDisposableStack()
  const resource = new ProtectedResource({
    publicUrl: () => publicUrl ?? listener.url,
    issuers: issuers.map(({ issuer }) => issuer),
    scopes,
  })
  const identify = identifyWith(needs, resource, settings)
  const keySets = [...issuers, ...(cloudflare ? [cloudflare] : [])].map(({ keys }) => keys)
  const door = createFrontDoor({ ...needs, identify, resource, health: { ...needs.health, keySets } }, settings)
  const ownHosts = [...settings.ownHosts, ...(publicUrl === undefined ? [] : [hostOf(publicUrl)])]
  const listener: Listener = await openListener({ clock, name: 'the gate', host, port, ownHosts, ...door })
  stack.defer(() => listener.close(flushMs))
  for (const socket of settings.sockets) stack.use(await openSocketDoor({ clock, door }, socket, ownHosts, flushMs))
  const open = stack.move()
  return { url: listener.url, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

function identifyWith({ clock, directory }: HttpDoorsNeeds, resource: ProtectedResource, settings: HttpDoorsSettings): Identify {
  const { issuers, cloudflare, door } = settings
  return createIdentify(
    {
      directory,
      resource,
      ...(issuers.length > 0 ? { issuers: issuersVerifier({ clock }, issuers) } : {}),
      ...(cloudflare ? { cloudflare: cloudflareVerifier({ clock }, cloudflare) } : {}),
    },
    door === undefined ? undefined : { name: door, via: 'door' },
  )
}
