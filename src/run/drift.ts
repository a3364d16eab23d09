// What differs between what should run and what does: pure, one answer for each component, with the field that differs.
import { type Ours, type Place, containerName, differences, madeOf, oursIn, placeText, shownOf } from './container.ts'
import type { Container } from './runtime.ts'
import type { Component, Service } from './service/config.ts'

/** What should be: a service, and the digest that each of its components was last deployed by (none: never). */
export type Desired = {
  readonly service: Service
  readonly digests: Readonly<Record<string, string>>
  /** Deployments that went back: a container of one is a leftover, which the runtime made too late to be taken back. */
  readonly discarded: ReadonlySet<string>
}

/** `cause` is the word for programs, `field` what differs, with both values. */
export type Drift =
  | { readonly cause: 'missing'; readonly field: 'state'; readonly desired: 'running'; readonly observed: 'missing' }
  | { readonly cause: 'exited'; readonly field: 'state'; readonly desired: 'running'; readonly observed: string; readonly exitCode: number }
  | { readonly cause: 'stale'; readonly field: 'state'; readonly desired: 'running'; readonly observed: 'running without a process' }
  | { readonly cause: 'running'; readonly field: 'state'; readonly desired: 'stopped'; readonly observed: 'running' }
  | { readonly cause: 'image-changed'; readonly field: 'image'; readonly desired: string; readonly observed: string }
  | { readonly cause: 'config-changed'; readonly field: string; readonly desired: string; readonly observed: string }
  | { readonly cause: 'unhealthy'; readonly field: 'health'; readonly desired: 'healthy'; readonly observed: string }
  | { readonly cause: 'doubled'; readonly field: 'containers'; readonly desired: '1'; readonly observed: string }
  | { readonly cause: 'misnamed'; readonly field: 'name'; readonly desired: string; readonly observed: string }
  | { readonly cause: 'unmanaged'; readonly field: 'service'; readonly desired: 'none'; readonly observed: string }

export type ComponentDrift = {
  readonly place: Place
  readonly component: Component
  /** The one that counts: what runs, else the newest. */
  readonly current: Container | undefined
  /** Others of the same place: left by a deployment that was cut. */
  readonly others: readonly Container[]
  readonly drifts: readonly Drift[]
}

/** What the runtime has, by place; of each place the one that counts first: what runs, else the newest. Made once for a look at everything. */
export type ByPlace = ReadonlyMap<string, readonly Ours[]>

export function byPlace(observed: readonly Container[]): ByPlace {
  const rank = ({ container: { state, startedAt = 0 } }: Ours): number => (state === 'running' ? 2 ** 52 : 0) + startedAt
  const found = observed.map(oursIn).filter((ours) => ours !== undefined)
  return new Map(
    [...Map.groupBy(found, ({ place }) => placeText(place))].map(([place, all]) => [place, all.toSorted((a, b) => rank(b) - rank(a))]),
  )
}

/** What belongs to one place. */
export function containersOf(observed: readonly Container[], place: Place): readonly Ours[] {
  return byPlace(observed).get(placeText(place)) ?? []
}

/** The health of each container that is known to be ill, by id, with the reason. */
export type Ills = ReadonlyMap<string, string>

/** How each component of the service stands. */
export function driftOf({ service, digests, discarded }: Desired, observed: ByPlace, ills: Ills): readonly ComponentDrift[] {
  return service.components.map((component): ComponentDrift => {
    const place = { service: service.name, component: component.name }
    const all = observed.get(placeText(place)) ?? []
    const first = all.find(({ deployment }) => !discarded.has(deployment))
    const rest = all.filter((one) => one !== first)
    const drifts = [...(service.active ? runningDrift(component, digests[component.name], first, ills) : stoppedDrift(first))]
    if (first && first.container.name !== containerName(place))
      drifts.push({ cause: 'misnamed', field: 'name', desired: containerName(place), observed: first.container.name })
    if (rest.length > 0) drifts.push({ cause: 'doubled', field: 'containers', desired: '1', observed: String(all.length) })
    return { place, component, current: first?.container, others: rest.map(({ container }) => container), drifts }
  })
}

function* stoppedDrift(first: Ours | undefined): Generator<Drift> {
  if (first?.container.state === 'running') yield { cause: 'running', field: 'state', desired: 'stopped', observed: 'running' }
}

function* runningDrift(component: Component, digest: string | undefined, first: Ours | undefined, ills: Ills): Generator<Drift> {
  if (!first) return yield { cause: 'missing', field: 'state', desired: 'running', observed: 'missing' }
  const { container, made, reference } = first
  if (container.isStale) yield { cause: 'stale', field: 'state', desired: 'running', observed: 'running without a process' }
  else if (container.state !== 'running') {
    const { exitCode = 0, state } = container
    yield { cause: 'exited', field: 'state', desired: 'running', observed: state === 'exited' ? `exited(${exitCode})` : state, exitCode }
  }
  const asked = digest ?? container.image.digest
  if (asked !== container.image.digest) yield { cause: 'image-changed', field: 'image', desired: asked, observed: container.image.digest }
  else if (component.image !== reference) yield { cause: 'image-changed', field: 'image', desired: component.image, observed: reference }
  const desired = madeOf(component)
  for (const field of differences(desired, made)) {
    const text = (own: unknown, other: unknown): string => JSON.stringify(shownOf(field, own, other)) ?? 'absent'
    const [wanted, found] = [desired[field as keyof typeof desired], made[field]]
    yield { cause: 'config-changed', field, desired: text(wanted, found), observed: text(found, wanted) }
  }
  const ill = ills.get(container.id)
  if (ill !== undefined && container.state === 'running') yield { cause: 'unhealthy', field: 'health', desired: 'healthy', observed: ill }
}

/** Containers that no service here has, ours or not. */
export function unmanaged(
  desired: readonly Desired[],
  observed: readonly Container[],
): readonly { readonly container: Container; readonly drift: Drift }[] {
  const places = new Set(desired.flatMap(({ service }) => service.components.map(({ name }) => `${service.name}/${name}`)))
  return observed
    .filter((container) => {
      const ours = oursIn(container)
      return !ours || !places.has(`${ours.place.service}/${ours.place.component}`)
    })
    .map((container) => ({ container, drift: { cause: 'unmanaged', field: 'service', desired: 'none', observed: container.name } }))
}
