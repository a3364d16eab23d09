// Where the gate is reached by HTTP: one TCP listener and any number of UNIX sockets, and who is let in there.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { KeySet } from '../base/access/key-set.ts'
import type { Directory } from '../base/access/principal.ts'
import type { SocketKind } from '../base/control/api.ts'
import { hostOf } from '../base/http/host.ts'
import { type Listener, openListener } from '../base/http/listener.ts'
import type { Ledger } from '../base/ledger/ledger.ts'
import type { Endpoint } from '../base/mcp/scopes.ts'
import type { ScanLimits } from '../base/wire/walk.ts'
import type { WatchedCalls } from './calls/watched.ts'
import type { Connectors } from './connector/connectors.ts'
import type { Dashboard } from './dashboard/dashboard.ts'
import { createFrontDoor } from './front-door.ts'
import type { MetricsNeeds } from './metrics-page.ts'
import { type Place, Places, type Prepared } from './places.ts'
import { openSocketDoor } from './socket-door.ts'
import { Ways, type WaysSettings } from './ways.ts'

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
  readonly watched: WatchedCalls
  readonly dashboard: Dashboard
}

export type HttpDoorsSettings = WaysSettings & {
  readonly host: string
  readonly port: number
  /** Further names under which clients reach it. */
  readonly ownHosts: readonly string[]
  /** Where clients reach it from outside: scheme, host and port; where it listens when undefined. */
  readonly publicUrl: string | undefined
  readonly sockets: readonly Place[]
  /** How long what runs may go on where a socket is taken away. */
  readonly drainMs: number
  readonly limits: ScanLimits
  /** Principals who may read /metrics. */
  readonly metricsFor?: Pick<ReadonlySet<string>, 'has'>
  /** What principals may do in the dashboard. */
  readonly dashboardFor?: ReadonlyMap<string, SocketKind>
}

export type HttpDoors = AsyncDisposable & {
  readonly url: string
  /** Of those whose signed tokens are taken now. */
  readonly keySets: readonly KeySet[]
  /** Others may come in, by other sockets, once it is taken; who is no more the same principal hears nothing from then on. Faults: those of `openSocketDoor`. */
  recheck(): void
  prepare(settings: Pick<HttpDoorsSettings, 'sockets'> & WaysSettings): Promise<Prepared>
}

/** After the last call has been answered, its bytes may take so long to leave. */
const flushMs = 500

/** Listens. Faults: `http.port_busy`, `http.cannot_listen`, and those of `openSocketDoor`. */
export async function openHttpDoors(needs: HttpDoorsNeeds, settings: HttpDoorsSettings): Promise<HttpDoors> {
  const { clock, directory } = needs
  const { host, port, publicUrl, drainMs } = settings
  await using stack = new AsyncDisposableStack()
  const ways = new Ways({ clock, directory, publicUrl: () => publicUrl ?? listener.url }, settings)
  const health: MetricsNeeds = Object.defineProperty({ ...needs.health, keySets: [] }, 'keySets', { get: () => ways.keySets })
  const resource = { metadata: (method: string | undefined, url: string) => ways.resource.metadata(method, url) }
  const door = createFrontDoor({ ...needs, identify: ways.identify, resource, health }, settings)
  const ownHosts = [...settings.ownHosts, ...(publicUrl === undefined ? [] : [hostOf(publicUrl)])]
  const listener: Listener = await openListener({ clock, name: 'the gate', host, port, ownHosts, ...door })
  stack.defer(() => listener.close(flushMs))
  const sockets = new Places((place, who) => openSocketDoor({ clock, door, who }, place, ownHosts), { via: 'socket', drainMs, flushMs })
  stack.use(sockets)
  const first = await sockets.prepare(settings.sockets)
  first.take()
  const open = stack.move()
  return {
    url: listener.url,
    get keySets() {
      return ways.keySets
    },
    recheck: () => door.recheck(),
    async prepare(next) {
      const { take, undo } = await sockets.prepare(next.sockets)
      return {
        take() {
          ways.take(next)
          take()
          door.recheck()
        },
        undo,
      }
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}
