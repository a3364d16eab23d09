// The operations of a node that tell something.
import { freemem, loadavg, totalmem, uptime } from 'node:os'
import { statfs } from 'node:fs/promises'
import type { Handlers } from '../../base/control/api.ts'
import type { runApi } from '../api.ts'
import { oursIn, placeText } from '../container.ts'
import { type ComponentDrift, type Desired, containersOf, unmanaged } from '../drift.ts'
import type { Container } from '../runtime.ts'
import type { Component, Service } from '../service/config.ts'
import { hasHealth } from './health.ts'
import { componentsOf } from './known.ts'
import type { RunNode } from './node.ts'

type Observing = Pick<
  Handlers<typeof runApi>,
  | 'status'
  | 'list-containers'
  | 'list-services'
  | 'read-definitions'
  | 'plan-service'
  | 'list-deployments'
  | 'follow-events'
  | 'follow-logs'
  | 'describe-node'
>

/** `version`: of this program. `certificateExpiresAt`: ms since 1970, null without one. */
export function observing(
  node: RunNode,
  facts: { readonly version: string; readonly folder: string; readonly certificateExpiresAt: () => number | null },
): Observing {
  const { runtime, registry, known, monitor, deploying } = node
  const { isSimulated } = runtime
  return {
    async status({ service, events }) {
      if (service !== undefined) await known.one(service)
      const { at, desired, observed, components } = await monitor.see()
      return {
        node: node.name,
        runtime: runtime.name,
        isSimulated,
        observedAt: at,
        services: desired
          .filter((one) => service === undefined || one.service.name === service)
          .map((one) => serviceShown(node, one, components)),
        unmanaged: service === undefined ? unmanaged(desired, observed).map(({ container }) => containerShown(container)) : [],
        events: events === 0 ? [] : registry.events({ service, most: events }),
        certificateExpiresAt: facts.certificateExpiresAt(),
      }
    },
    'list-containers': async () => ({ isSimulated, containers: (await runtime.list()).map(containerShown) }),
    'list-services': async () => {
      const byName = new Map((await known.all()).map(({ service, digests }) => [service.name, { ...registeredShown(service), digests }]))
      return registry
        .services()
        .map(({ name, updatedAt }) => ({ name, updatedAt, active: false, components: [], digests: {}, ...byName.get(name) }))
    },
    'read-definitions': async ({ service }) =>
      registry.services().flatMap(({ name, text }) => (service === undefined || service === name ? [{ name, text }] : [])),
    async 'plan-service'({ service: name, component, text }) {
      const service = text === undefined ? (await known.one(name)).service : await known.given(text, name)
      return Promise.all(
        componentsOf(service, component).map(async (one) => {
          const { way, changes, steps } = await deploying.plan({ service: name, component: one.name }, one)
          return { component: one.name, way, changes, steps: steps.map((step) => step.do) }
        }),
      )
    },
    'list-deployments': async ({ service, component, most }) => registry.deployments(service, component, most),
    async 'follow-events'({ service, since, most, follow }, { say, signal }) {
      const waiting = registry.events({ service, since, most }).slice()
      let wake: () => void = () => {}
      signal.addEventListener('abort', () => wake(), { once: true })
      const unfollow = follow
        ? registry.follow((event) => {
            if (service !== undefined && event.service !== service) return
            if (waiting.length < maxWaiting) waiting.push(event) // who reads so slowly asks again with `since`
            wake()
          })
        : () => {}
      try {
        for (;;) {
          for (let event = waiting.shift(); event; event = waiting.shift()) await say(event)
          if (!follow || signal.aborted) return {}
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      } finally {
        unfollow()
      }
    },
    async 'follow-logs'({ service: name, component, tail, since, follow }, { say, signal }) {
      const { service } = await known.one(name)
      const observed = await runtime.list()
      const parts = componentsOf(service, component).flatMap((one) => {
        const [first] = containersOf(observed, { service: name, component: one.name })
        return first ? [{ component: one.name, id: first.container.id }] : []
      })
      await Promise.all(
        parts.map(async ({ component: of, id }) => {
          for await (const line of runtime.logs(id, { tail, since, follow }, signal)) await say({ component: of, ...line })
        }),
      )
      return {}
    },
    async 'describe-node'() {
      const disk = await statfs(facts.folder)
      return {
        node: node.name,
        version: facts.version,
        runtime: runtime.name,
        isSimulated,
        uptimeSeconds: Math.floor(uptime()),
        memoryBytes: { total: totalmem(), free: freemem() },
        diskBytes: { total: disk.blocks * disk.bsize, free: disk.bavail * disk.bsize },
        load: loadavg()[0]!,
      }
    },
  }
}

/** Events that wait for one reader. */
const maxWaiting = 10_000

function serviceShown(node: RunNode, { service, digests }: Desired, components: readonly ComponentDrift[]) {
  return {
    name: service.name,
    active: service.active,
    onDrift: service.on_drift,
    components: components
      .filter(({ place }) => place.service === service.name)
      .map(({ place, component, current, drifts }) => ({
        name: component.name,
        desired: {
          state: service.active ? ('running' as const) : ('stopped' as const),
          image: component.image,
          digest: digests[component.name] ?? null,
        },
        observed: current ? containerShown(current) : null,
        ...healthShown(node, placeText(place), component, current),
        drifts: drifts.map(({ cause, field, desired: wanted, observed: found }) => ({ cause, field, desired: wanted, observed: found })),
        isFlapping: node.monitor.isFlapping(place),
      })),
  }
}

function healthShown({ health }: RunNode, place: string, component: Component, current: Container | undefined) {
  const verdict = hasHealth(component) && current?.state === 'running' ? health.verdict(place) : undefined
  return { health: verdict?.health ?? ('unknown' as const), reason: verdict && verdict.reason !== '' ? verdict.reason : null }
}

export function containerShown(container: Container) {
  const { id, name, state, image, pid, startedAt, exitCode, restarts, isStale = false } = container
  const ours = oursIn(container)
  return {
    id,
    name,
    place: ours ? placeText(ours.place) : null,
    state,
    image: ours ? { ...image, reference: ours.reference } : image,
    pid: pid ?? null,
    startedAt: startedAt ?? null,
    exitCode: exitCode ?? null,
    restarts,
    isStale,
  }
}

function registeredShown({ active, components }: Service) {
  return { active, components: components.map(({ name, image }) => ({ name, image })) }
}
