// What the definitions of a node say about names, as the routes of its listener: taken over whenever a definition changes, with a certificate kept good for each name that needs one.
import { join } from 'node:path'
import type { Route, Router } from '../../base/http/route/router.ts'
import type { Clock } from '../../kernel/clock.ts'
import { type Fault, asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { CertificateFacts } from '../certs/certificate.ts'
import { type CertificateSource, type KeptCertificate, keepCertificate } from '../certs/keeping.ts'
import { fault } from '../faults.ts'
import type { RunNode } from '../node/node.ts'
import type { Service } from '../service/config.ts'

export type RoutingNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly node: Pick<RunNode, 'known' | 'registry'>
  readonly router: Pick<Router, 'setRoutes' | 'setCertificate'>
  /** Where the certificate of that name comes from. */
  readonly source: (hostname: string) => CertificateSource
}

/** What no event tells is seen so soon. */
const lookEveryMs = 30_000
/** A certificate that could not be got is not asked for again for so long, doubled with each time: who gives them counts failures. */
const again = { firstMs: 300_000, mostMs: 6 * 3_600_000 }

type Held = Route & { readonly service: string }

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
    const now = routesOf(
      (await node.known.all()).map(({ service }) => service),
      held,
    )
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
      stop.abort()
      await over
      await tending
      for (const certificate of kept.values()) await certificate[Symbol.asyncDispose]()
    },
  }
}
