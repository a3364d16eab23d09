// A node: its runtime, what it knows, and the monitor that keeps the one as the other says. Everything that its operations need.
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { makeFolder } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { randomBytes } from '../../kernel/random.ts'
import { type HttpClient, createHttpClient } from '../../base/http/client.ts'
import { lockFolder } from '../../base/store/lock.ts'
import type { Runtime } from '../runtime.ts'
import type { Component } from '../service/config.ts'
import { type AlertSettings, alert } from './alerts.ts'
import { Deploying } from './deploying.ts'
import { askHealth } from './health.ts'
import { type AskHealth, HealthRounds } from './health-rounds.ts'
import { type Own, refuseOwn } from '../own.ts'
import { Known } from './known.ts'
import { Monitor, type MonitorSettings } from './monitor.ts'
import { Offering } from './offering.ts'
import { Places } from './places.ts'
import { Registry } from './registry.ts'

export type NodeSettings = {
  readonly node: string
  /** Holds `mcp.db` and the journals of deployments. */
  readonly folder: string
  /** Holds a folder for each service's data. */
  readonly services: string
  /** What no definition may name. */
  readonly own: Own
  readonly monitor: MonitorSettings
  readonly alert: Omit<AlertSettings, 'node'>
}

export type NodeNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly env: Readonly<Record<string, string | undefined>>
  readonly runtime: Runtime
  /** Ids of deployments; random ones by default. */
  readonly newId?: () => string
}

/** What the operations of a node work with. */
export type RunNode = AsyncDisposable & {
  readonly name: string
  readonly clock: Clock
  readonly runtime: Runtime
  readonly registry: Registry
  readonly known: Known
  readonly places: Places
  readonly deploying: Deploying
  readonly health: HealthRounds
  readonly monitor: Monitor
  readonly offering: Offering
  readonly client: HttpClient
  /** Aborted when the node stops. */
  readonly signal: AbortSignal
}

/** Takes the folder for itself and begins to look. The runtime stays its giver's. Faults: `store.*`. */
export function startNode({ clock, log, env, runtime, newId = shortId }: NodeNeeds, settings: NodeSettings): RunNode {
  const { node, folder } = settings
  const plans = join(folder, 'plans')
  const stop = new AbortController()
  const stack = new AsyncDisposableStack()
  try {
    makeFolder(plans)
    stack.use(lockFolder(folder, 'mcp-agent'))
    const registry = stack.use(new Registry({ clock, log }, join(folder, 'mcp.db')))
    const client = createHttpClient()
    stack.defer(() => client.close())
    const ask: AskHealth = (component, container, signal) => askHealth({ clock, runtime, client }, component, container, signal)
    const health = new HealthRounds({ clock, ask })
    const known = new Known(registry, node, settings.own)
    const offering = new Offering(health)
    const places = new Places(clock)
    const prepare = (service: string, component: Component): void => {
      refuseOwn({ name: service, components: [component] }, settings.own) // links may lead elsewhere since it was given
      const data = join(settings.services, service)
      if (component.volumes.some(({ source }) => source === data)) makeFolder(data, 0o750)
    }
    const deploying = new Deploying({ clock, log, runtime, registry, health: ask, newId, prepare }, plans, stop.signal)
    const tell = (place: Parameters<typeof alert>[2], event: string, detail: string): void =>
      void alert({ clock, log, registry, env }, { node, ...settings.alert }, place, event, detail)
    const monitor = new Monitor(
      { clock, log, runtime, registry, known, places, deploying, health, offering, alert: tell },
      settings.monitor,
      stop.signal,
    )
    const over = monitor.run()
    stack.defer(async () => {
      stop.abort(new Error('the node stops'))
      await over
    })
    return {
      name: node,
      clock,
      runtime,
      registry,
      known,
      places,
      deploying,
      health,
      monitor,
      offering,
      client,
      signal: stop.signal,
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    }
  } catch (error) {
    void stack.disposeAsync()
    throw error
  }
}

/** Part of a container's name, so only letters that may stand there. */
function shortId(): string {
  return Buffer.from(randomBytes(6)).toString('hex')
}
