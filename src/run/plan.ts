// Plans, as plain data: what a deployment would do to a component, and what the node does by itself about drift. Nothing here touches a runtime.
import { type Ours, type Place, containerName, differences, madeOf, nextName, shownOf } from './container.ts'
import { type ComponentDrift, containersOf } from './drift.ts'
import type { Container, ResolvedImage } from './runtime.ts'
import type { Component, Service } from './service/config.ts'

/** What is asked for: this component, made of this image. `deployment` is an id of its own for every attempt. */
export type Wanted = { readonly place: Place; readonly component: Component; readonly image: ResolvedImage; readonly deployment: string }

/** One deed of a deployment. `next` is the container that is made by it, `before` all that were there. */
export type UpdateStep =
  | { readonly do: 'create-next'; readonly name: string }
  | { readonly do: 'stop-before'; readonly ids: readonly string[] }
  | { readonly do: 'start-next' }
  | { readonly do: 'await-health' }
  | { readonly do: 'record' }
  | { readonly do: 'remove-before'; readonly ids: readonly string[] }
  | { readonly do: 'name-next'; readonly name: string }

export type UpdatePlan = {
  readonly way: 'nothing' | 'beside' | 'in-place'
  /** Why anything is to be done: `new`, or fields with both values. */
  readonly changes: readonly { readonly field: string; readonly from: string; readonly to: string }[]
  readonly steps: readonly UpdateStep[]
}

/** Brings a component to what is wanted: nothing when it runs so already. */
export function planUpdate(wanted: Wanted, observed: readonly Container[]): UpdatePlan {
  const { place, component, deployment } = wanted
  const before = containersOf(observed, place)
  const changes = changesOf(wanted, before[0])
  const [first] = before
  if (changes.length === 0 && before.length === 1 && first!.container.state === 'running' && !first!.container.isStale)
    return { way: 'nothing', changes: [], steps: [] }
  const running = before.filter(({ container }) => container.state === 'running').map(({ container }) => container.id)
  const all = before.map(({ container }) => container.id)
  const way = running.length > 0 && isBeside(component, before) ? 'beside' : 'in-place'
  const stop: readonly UpdateStep[] = all.length === 0 ? [] : [{ do: 'stop-before', ids: all }]
  const steps: readonly UpdateStep[] = [
    { do: 'create-next', name: nextName(place, deployment) },
    ...(way === 'in-place' ? stop : []),
    { do: 'start-next' },
    { do: 'await-health' },
    { do: 'record' },
    ...(way === 'beside' ? stop : []),
    ...(all.length === 0 ? [] : [{ do: 'remove-before', ids: all } as const]),
    { do: 'name-next', name: containerName(place) },
  ]
  return { way, changes, steps }
}

function changesOf({ component, image }: Wanted, first: Ours | undefined): UpdatePlan['changes'] {
  if (!first) return [{ field: 'container', from: 'none', to: 'new' }]
  const text = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'none'))
  const made = madeOf(component)
  const { container, reference } = first
  return [
    ...(reference === image.reference ? [] : [{ field: 'image', from: reference, to: image.reference }]),
    ...(container.image.digest === image.digest ? [] : [{ field: 'digest', from: container.image.digest, to: image.digest }]),
    ...differences(made, first.made).map((field) => {
      const [from, to] = [first.made[field], made[field as keyof typeof made]]
      return { field, from: text(shownOf(field, from, to)), to: text(shownOf(field, to, from)) }
    }),
    ...(container.state === 'running' && !container.isStale ? [] : [{ field: 'state', from: container.state, to: 'running' }]),
  ]
}

/** Whether old and new can run at once. */
function isBeside({ update, ports, volumes, network }: Component, before: readonly Ours[]): boolean {
  if (update !== 'auto') return update === 'beside'
  const taken = before.map(({ made }) => portsOf(made))
  const isFree = ({ hostPort, protocol }: Port): boolean => taken.every((all) => all?.has(`${hostPort}/${protocol}`) === false)
  return ports.every(isFree) && network !== 'host' && volumes.every(({ isReadOnly }) => isReadOnly)
}

type Port = Component['ports'][number]

/** The ports of the machine that it has; undefined when its labels do not tell. */
function portsOf({ ports }: Ours['made']): ReadonlySet<string> | undefined {
  return Array.isArray(ports) ? new Set((ports as readonly Partial<Port>[]).map((one) => `${one?.hostPort}/${one?.protocol}`)) : undefined
}

/** One deed of the node by itself. */
export type Mend =
  | { readonly do: 'start'; readonly id: string }
  | { readonly do: 'stop'; readonly id: string }
  | { readonly do: 'remove'; readonly ids: readonly string[] }
  | { readonly do: 'rename'; readonly id: string; readonly name: string }
  /** A restart: it runs, and is ill. */
  | { readonly do: 'restart'; readonly id: string }
  /** By the digest it was last deployed with, else by what its image means now. */
  | { readonly do: 'create' }
  /** As the definition says, with its health and its way back. */
  | { readonly do: 'deploy' }

/**
 * What the node does by itself about one component, in order. Drift of image and configuration waits for a deployment, except with the policy `redeploy`;
 * with `alert` and `ignore` nothing is done, except to stop what should be stopped.
 */
export function planMend({ active, on_drift: policy }: Service, { place, current, others, drifts }: ComponentDrift): readonly Mend[] {
  const has = (cause: string): boolean => drifts.some((drift) => drift.cause === cause)
  const leftovers: readonly Mend[] = others.length === 0 ? [] : [{ do: 'remove', ids: others.map(({ id }) => id) }]
  const name: readonly Mend[] = current && has('misnamed') ? [{ do: 'rename', id: current.id, name: containerName(place) }] : []
  const tidy = [...leftovers, ...name]
  if (!active) {
    const running = [current, ...others].filter((one) => one?.state === 'running')
    return [...running.map((one) => ({ do: 'stop', id: one!.id }) as const), ...tidy]
  }
  if (policy === 'alert' || policy === 'ignore') return []
  if (policy === 'redeploy' && (has('image-changed') || has('config-changed'))) return [{ do: 'deploy' }]
  if (!current) return [...leftovers, { do: 'create' }]
  if (has('stale')) return [...leftovers, { do: 'remove', ids: [current.id] }, { do: 'create' }]
  if (has('exited')) return [...tidy, { do: 'start', id: current.id }]
  if (has('unhealthy')) return [...tidy, { do: 'restart', id: current.id }]
  return tidy
}
