// How a component becomes a container: its name, its labels, and what of the definition it is made of. Identity rests on the labels, never on names.
import type { Container, ContainerSpec, Labels, ResolvedImage } from './runtime.ts'
import type { Component } from './service/config.ts'

export const labels = {
  service: 'fairlead.service',
  component: 'fairlead.component',
  /** Which deployment made it: an id of ours. */
  deployment: 'fairlead.deployment',
  /** As the definition called the image: its tag may mean another one by now. */
  image: 'fairlead.image',
  /** JSON of all that it was made of: drift is told field by field, also when every record of ours is lost. */
  made: 'fairlead.made',
  /** JSON of the routes of its definition when it was made: a name leads to what serves, not to what was only asked for. */
  routes: 'fairlead.routes',
} as const

/** `service` or `service/component`, as a person writes it. */
export type Place = { readonly service: string; readonly component: string }

export function placeText({ service, component }: Place): string {
  return `${service}/${component}`
}

/** `<service>-<component>`, or `<service>` where both are called the same. */
export function containerName({ service, component }: Place): string {
  return service === component ? service : `${service}-${component}`
}

/** What a new container is called until the one before it is gone. */
export function nextName(place: Place, deployment: string): string {
  return `${containerName(place)}.${deployment}`
}

/** What of a component a container is made of: a change of anything else needs no new container. In a fixed order, since texts of it are compared. */
export type Made = Omit<ContainerSpec, 'name' | 'image' | 'labels'>

export function madeOf(component: Component): Made {
  const { cmd, env, ports, volumes, network, user, restart, memory, cpus, pids, stop_within: stopMs } = component
  return { cmd, env, ports, volumes, network, user, restart, memoryBytes: memory, cpus, pids, stopMs }
}

/** What all containers of a place have. */
export function labelsOfPlace({ service, component }: Place): Labels {
  return { [labels.service]: service, [labels.component]: component }
}

/** What makes a container ours. */
export function labelsOf(place: Place, deployment: string): Labels {
  return { ...labelsOfPlace(place), [labels.deployment]: deployment }
}

/** All that the runtime needs to make it, under its first name. */
export function specOf(place: Place, component: Component, image: ResolvedImage, deployment: string): ContainerSpec {
  const made = madeOf(component)
  return {
    ...made,
    name: nextName(place, deployment),
    image,
    labels: {
      ...labelsOf(place, deployment),
      [labels.image]: image.reference,
      [labels.made]: JSON.stringify(made),
      [labels.routes]: JSON.stringify(component.routes),
    },
  }
}

/** A container that we made, as its labels say. */
export type Ours = {
  readonly place: Place
  readonly deployment: string
  readonly reference: string
  readonly made: Readonly<Record<string, unknown>>
  readonly container: Container
}

/** Undefined when the labels are not ours, or not whole. */
export function oursIn(container: Container): Ours | undefined {
  const {
    [labels.service]: service,
    [labels.component]: component,
    [labels.deployment]: deployment,
    [labels.made]: made,
  } = container.labels
  if (service === undefined || component === undefined || deployment === undefined) return undefined
  return {
    place: { service, component },
    deployment,
    reference: container.labels[labels.image] ?? container.image.reference,
    made: parsed(made),
    container,
  }
}

function parsed(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** The fields in which the two differ, by name. */
export function differences(desired: Made, made: Readonly<Record<string, unknown>>): readonly string[] {
  const names = new Set([...Object.keys(desired), ...Object.keys(made)])
  const text = (value: unknown): string => JSON.stringify(value) ?? 'absent'
  return [...names].filter((name) => text((desired as Record<string, unknown>)[name]) !== text(made[name]))
}

/**
 * One side of a field, for everybody who may look: of variables, whose values may be secrets, only the names, with `=…` where the other side has not the same.
 */
export function shownOf(field: string, own: unknown, other: unknown): unknown {
  if (field !== 'env' || own === undefined) return own
  if (!Array.isArray(own)) return '…'
  const same = new Set(Array.isArray(other) ? (other as readonly unknown[]) : [])
  return own.map((one) => String(one).split('=', 1)[0]! + (same.has(one) ? '' : '=…'))
}
