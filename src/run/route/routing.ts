// What the definitions of a node say about names, as the routes of its listener: taken over whenever a definition changes, with a certificate kept good for each name that needs one.
import { join } from 'node:path'
import type { Route, Router } from '../../base/http/route/router.ts'
import type { Clock } from '../../kernel/clock.ts'
import { type Fault, asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { CertificateFacts } from '../certs/certificate.ts'
import { type CertificateSource, type KeptCertificate, keepCertificate } from '../certs/keeping.ts'
import { type Place, differences, labels, madeOf, placeText } from '../container.ts'
import { byPlace } from '../drift.ts'
import { fault } from '../faults.ts'
import type { RunNode } from '../node/node.ts'
import type { Container } from '../runtime.ts'
import type { Component, Service } from '../service/config.ts'

export type RoutingNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly node: Pick<RunNode, 'known' | 'registry' | 'runtime'>
  readonly router: Pick<Router, 'setRoutes' | 'setCertificate'>
  /** Where the certificate of that name comes from. */
  readonly source: (hostname: string) => CertificateSource
}

/** What no event tells is seen so soon. */
const lookEveryMs = 30_000
/** A certificate that could not be got is not asked for again for so long, doubled with each time: who gives them counts failures. */
const again = { firstMs: 300_000, mostMs: 6 * 3_600_000 }

const hasRoutes = ({ components }: Pick<Service, 'components'>): boolean => components.some(({ routes }) => routes.length > 0)

type Held = Route & { readonly service: string }

/**
 * The services with the routes that count now: those of the definition, unless what runs waits for a deployment, or is the one before while the next one shows what it can; then
 * those that it was made with.
 */
export function served<Of extends Pick<Service, 'name' | 'components'>>(
  services: readonly Of[],
  observed: readonly Container[],
  current: (place: Place) => { readonly deployment: string } | undefined,
): readonly Of[] {
  const places = byPlace(observed)
  return services.map((service) => ({
    ...service,
    components: service.components.map((component) => {
      const place = { service: service.name, component: component.name }
      const ours = places.get(placeText(place)) ?? []
      const serving = ours.find(({ deployment }) => deployment === current(place)?.deployment) ?? ours[0]
      const isOther = serving && (serving.reference !== component.image || differences(madeOf(component), serving.made).length > 0)
      return isOther ? { ...component, routes: routesMadeWith(serving.container) ?? component.routes } : component
    }),
  }))
}

/** Undefined: it was made before they were noted. */
function routesMadeWith(container: Container): Component['routes'] | undefined {
  try {
    return JSON.parse(container.labels[labels.routes] ?? '') as Component['routes']
  } catch {
    return undefined
  }
}

/** Of active services. A name that two want stays with the one that has it (`before`), else it is the first one's, by service; who is left out is told. */
export function routesOf(
  services: readonly Pick<Service, 'name' | 'active' | 'components'>[],
  before: ReadonlyMap<string, Held> = new Map(),
): { readonly routes: ReadonlyMap<string, Held>; readonly refused: readonly Held[] } {
  const wanted = services
    .filter(({ active }) => active)
    .flatMap(({ name: service, components }) =>
      components.flatMap(({ routes }) =>
        routes.map(({ hostname, port, mode }): Held => ({ service, name: hostname.toLowerCase(), port, mode })),
      ),
    )
  const has = ({ name, service }: Held): boolean => before.get(name)?.service === service
  const routes = new Map<string, Held>()
  const refused: Held[] = []
  for (const route of [...wanted.filter(has), ...wanted.filter((one) => !has(one))]) {
    if (routes.has(route.name)) refused.push(route)
    else routes.set(route.name, route)
  }
  return { routes, refused }
}

export type Routing = AsyncDisposable & {
  /** That of a name, which is asked for now if there is none yet; with `isNew` another one. Faults: `run.no_route_certificate`, those of its source. */
  certificate(name: string, isNew: boolean): Promise<CertificateFacts & { readonly source: string }>
}

/** Goes on until it is disposed of. `folder`: of the certificates, all of one authority. */
export function keepRouting({ clock, log, node, router, source }: RoutingNeeds, folder: string): Routing {
  const stop = new AbortController()
  const kept = new Map<string, KeptCertificate>()
  const failures = new Map<string, { readonly count: number; readonly notBefore: number }>()
  let told: ReadonlySet<string> = new Set()
  let held: ReadonlyMap<string, Held> = new Map()
  let wake = (): void => {}
  const unfollow = node.registry.follow(() => wake())
  node.registry.onCurrent = () => wake()

  const isDue = (name: string): boolean => !kept.has(name) && clock.mono() >= (failures.get(name)?.notBefore ?? 0)
  /** Answers with why there is none. */
  const keep = async (name: string): Promise<Fault | undefined> => {
    const paths = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`) }
    const use = (pem: Parameters<Router['setCertificate']>[1]): void => {
      if (held.has(name)) router.setCertificate(name, pem)
    }
    try {
      const certificate = await keepCertificate(
        { clock, log, onChange: use, signal: stop.signal },
        { paths, certs: folder, source: source(name) },
      )
      kept.set(name, certificate)
      failures.delete(name)
      use(certificate.now())
      return undefined
    } catch (error) {
      const reason = asFault(error)
      if (stop.signal.aborted) return reason
      const count = failures.get(name)?.count ?? 0
      failures.set(name, { count: count + 1, notBefore: clock.mono() + Math.min(again.firstMs * 2 ** count, again.mostMs) })
      const { message, hint } = reason
      node.registry.note({}, 'route-failed', `${name}: ${message}${hint === undefined ? '' : `; ${hint}`}`)
      return reason
    }
  }
  const secured = (): readonly string[] => [...held.values()].filter(({ mode }) => mode === 'l7').map(({ name }) => name)
  /** One after the other, each takes a process; beside the look at the routes, since an authority may take its time. */
  let tending: Promise<void> | undefined
  const tend = async (): Promise<void> => {
    for (let name = secured().find(isDue); name !== undefined && !stop.signal.aborted; name = secured().find(isDue)) await keep(name)
  }
  const look = async (): Promise<void> => {
    const services = (await node.known.all()).map(({ service }) => service)
    const observed = held.size > 0 || services.some(hasRoutes) ? await node.runtime.list().catch(() => undefined) : []
    if (!observed) return // routes stay as they are until the runtime is back
    const current = (place: Place) => node.registry.current(place)
    const now = routesOf(served(services, observed, current), held)
    held = now.routes
    router.setRoutes([...held.values()])
    const refused = new Set(now.refused.map(({ service, name }) => `${service} ${name}`))
    for (const { service, name } of now.refused)
      if (!told.has(`${service} ${name}`)) node.registry.note({ service }, 'route-refused', `${name}: another route has that name already`)
    told = refused
    const names = new Set(secured())
    for (const name of failures.keys()) if (!names.has(name)) failures.delete(name) // bounded; a name that comes back may try at once
    for (const [name, certificate] of kept) {
      if (names.has(name)) {
        router.setCertificate(name, certificate.now()) // its route may have been away meanwhile
        continue
      }
      kept.delete(name)
      await certificate[Symbol.asyncDispose]()
    }
    tending ??= tend()
      .catch((error: unknown) => log.error('run.routing_defect', { error }))
      .finally(() => (tending = undefined))
  }
  const over = (async () => {
    while (!stop.signal.aborted) {
      const woken = new Promise<void>((resolve) => (wake = resolve))
      await look().catch((error: unknown) => log.error('run.routing_defect', { error }))
      const pause = new AbortController()
      await Promise.race([woken, clock.wait(lookEveryMs, AbortSignal.any([stop.signal, pause.signal])).catch(() => {})])
      pause.abort()
    }
  })()
  return {
    async certificate(name, isNew) {
      await tending
      if (!secured().includes(name)) throw fault.no_route_certificate({ name, known: secured() })
      if (kept.has(name)) {
        if (isNew) await kept.get(name)!.renew()
      } else {
        const reason = await keep(name)
        if (reason) throw reason
      }
      return { source: source(name).name, ...kept.get(name)!.facts() }
    },
    async [Symbol.asyncDispose]() {
      unfollow()
      node.registry.onCurrent = () => {}
      stop.abort()
      await over
      await tending
      for (const certificate of kept.values()) await certificate[Symbol.asyncDispose]()
    },
  }
}
