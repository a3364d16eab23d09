// What the definitions of a node say about names, as the routes of its listener: taken over whenever a definition changes, with a certificate kept good for each name that needs one.
import { join } from 'node:path'
import type { Route, Router } from '../../base/http/route/router.ts'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { type CertificateSource, type KeptCertificate, keepCertificate } from '../certs/keeping.ts'
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
/** A certificate that could not be got is not asked for again for so long. */
const againMs = 300_000

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

/** Goes on until it is disposed of. `certs`: holds `routes/`, with the certificates. */
export function keepRouting({ clock, log, node, router, source }: RoutingNeeds, certs: string): AsyncDisposable {
  const stop = new AbortController()
  const kept = new Map<string, KeptCertificate>()
  const notBefore = new Map<string, number>()
  let told: ReadonlySet<string> = new Set()
  let held: ReadonlyMap<string, Held> = new Map()
  let wake = (): void => {}
  const unfollow = node.registry.follow(() => wake())

  const keep = async (name: string): Promise<void> => {
    if (kept.has(name) || clock.mono() < (notBefore.get(name) ?? 0)) return
    const folder = join(certs, 'routes')
    const paths = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`) }
    const use = (pem: Parameters<Router['setCertificate']>[1]): void => router.setCertificate(name, pem)
    try {
      const certificate = await keepCertificate({ clock, log, onChange: use }, { paths, certs: folder, source: source(name) })
      kept.set(name, certificate)
      use(certificate.now())
    } catch (error) {
      notBefore.set(name, clock.mono() + againMs)
      node.registry.note({}, 'route-failed', `${name}: ${asFault(error).message}`)
    }
  }
  const look = async (): Promise<void> => {
    const now = routesOf(
      (await node.known.all()).map(({ service }) => service),
      held,
    )
    held = now.routes
    const routes = [...held.values()]
    router.setRoutes(routes)
    const refused = new Set(now.refused.map(({ service, name }) => `${service} ${name}`))
    for (const { service, name } of now.refused)
      if (!told.has(`${service} ${name}`)) node.registry.note({ service }, 'route-refused', `${name}: another route has that name already`)
    told = refused
    const names = new Set(routes.filter(({ mode }) => mode === 'l7').map(({ name }) => name))
    for (const [name, certificate] of kept) {
      if (names.has(name)) continue
      kept.delete(name)
      await certificate[Symbol.asyncDispose]()
    }
    for (const name of names) {
      await keep(name) // one after the other: each takes a process
      const certificate = kept.get(name)
      if (certificate) router.setCertificate(name, certificate.now()) // its route may have been away meanwhile
    }
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
    async [Symbol.asyncDispose]() {
      unfollow()
      stop.abort()
      await over
      for (const certificate of kept.values()) await certificate[Symbol.asyncDispose]()
    },
  }
}
