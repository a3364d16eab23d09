// Takes over definitions and forgets what is gone: neither touches a container.
import { type Place, placeText } from '../container.ts'
import { containersOf } from '../drift.ts'
import type { Service } from '../service/config.ts'
import type { RunNode } from './node.ts'

type Change = { readonly field: string; readonly from: string; readonly to: string }
type Synced = { readonly name: string; readonly change: 'new' | 'changed' | 'same'; readonly changes: readonly Change[] }

/** All or none of them: one that is bad changes nothing. */
export async function synced(
  { registry, known, monitor }: RunNode,
  { texts, isDryRun }: { readonly texts: readonly string[]; readonly isDryRun: boolean },
): Promise<{ services: readonly Synced[] }> {
  const services: Synced[] = []
  const given: { name: string; text: string }[] = []
  for (const text of texts) {
    const service = await known.given(text)
    const before = registry.service(service.name)
    const old = before && (await known.one(service.name).catch(() => undefined))?.service
    const changes = before ? changesBetween(old, service) : []
    services.push({ name: service.name, change: !before ? 'new' : before.text === text ? 'same' : 'changed', changes })
    given.push({ name: service.name, text })
  }
  if (!isDryRun) {
    registry.setServices(given)
    for (const { name, change, changes } of services)
      if (change !== 'same')
        registry.note({ service: name }, 'synced', change === 'new' ? 'new' : changes.map(({ field }) => field).join(', '))
    monitor.hint()
  }
  return { services }
}

/** Field by field, components by their names. */
function changesBetween(before: Service | undefined, after: Service): readonly Change[] {
  if (!before) return [{ field: 'definition', from: 'not understood', to: 'new' }]
  const [from, to] = [flat(before), flat(after)]
  return [...new Set([...from.keys(), ...to.keys()])]
    .filter((field) => from.get(field) !== to.get(field))
    .map((field) => ({ field, from: from.get(field) ?? 'none', to: to.get(field) ?? 'none' }))
}

function flat({ components, ...service }: Service): ReadonlyMap<string, string> {
  const text = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'none'))
  return new Map([
    ...Object.entries(service).map(([field, value]) => [field, text(value)] as const),
    ...components.flatMap(({ name, ...rest }) => Object.entries(rest).map(([field, value]) => [`${name}.${field}`, text(value)] as const)),
  ])
}

/** Forgets services that nobody defines any more (`defined`: `service/component`) and of which nothing is left. What still exists is refused, with the reason. */
export async function purge(
  { registry, known, runtime }: RunNode,
  { defined, isDryRun, only }: { readonly defined: readonly string[]; readonly isDryRun: boolean; readonly only?: string | undefined },
): Promise<{ purged: string[]; refused: { place: string; reason: string }[] }> {
  const wanted = new Set(defined)
  const observed = await runtime.list()
  const purged: string[] = []
  const refused: { place: string; reason: string }[] = []
  for (const { service } of await known.all()) {
    if (only !== undefined && only !== service.name) continue
    const places = service.components.map(({ name }): Place => ({ service: service.name, component: name }))
    if (places.some((place) => wanted.has(placeText(place)))) continue
    const left = places.flatMap((place) => containersOf(observed, place).map(({ container }) => ({ place: placeText(place), container })))
    if (left.length > 0)
      refused.push(
        ...left.map(({ place, container }) => ({ place, reason: `its container is ${container.state}: mcp undeploy ${service.name}` })),
      )
    else purged.push(service.name)
  }
  if (!isDryRun)
    for (const name of purged) {
      registry.removeService(name)
      registry.note({ service: name }, 'purged', 'it is in no definition, and nothing of it is left')
    }
  return { purged, refused }
}
