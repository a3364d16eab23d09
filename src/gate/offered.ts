// Upstreams that daemons of this machine offer: followed as they come, change and go. What a daemon says is an upstream's address and health; all else the configuration says.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { type Offer, watchOffers } from '../base/control/offers.ts'
import { isLoopback } from '../base/http/host.ts'
import type { GateConfig, UpstreamConfig } from './upstream-kind.ts'

type Source = GateConfig['offers'][string]

/** An upstream with its settings, whoever named it. `digest`: what it is made of, beside its settings. */
export type Named = {
  readonly name: string
  readonly settings: UpstreamConfig
  readonly digest: string
  /** Why it is not well, as far as others than the gate know; it is used all the same. */
  readonly ailing?: () => string | undefined
}

export type OfferedNeeds = {
  readonly clock: Clock
  readonly log: Log
  /** A relative path starts from the configuration's folder. */
  pathOf(path: string): string
  /** Called when other servers are offered, or some of them are others now. */
  readonly changed: () => void
}

type Followed = {
  /** What it is followed by. */
  readonly by: string
  offers: readonly Offer[]
  /** Why the daemon does not answer. */
  lost: string | undefined
  stop: () => void
  /** Of the wait until a lost daemon's servers are given up. */
  stopWaiting: () => void
}

/** Offers that cannot be upstreams, by their source; told once, and in the health until it is mended. */
type Refusals = ReadonlyMap<string, readonly string[]>

export class Offered {
  readonly #needs: OfferedNeeds
  readonly #followed = new Map<string, Followed>()
  #refusals: Refusals = new Map()

  constructor(needs: OfferedNeeds) {
    this.#needs = needs
  }

  /** Follows these daemons, and no others. */
  take(sources: Readonly<Record<string, Source>>): void {
    for (const [name, { by }] of this.#followed) if (!Object.hasOwn(sources, name) || followedBy(sources[name]!) !== by) this.#leave(name)
    for (const [name, source] of Object.entries(sources)) if (!this.#followed.has(name)) this.#follow(name, source)
  }

  /** What is offered now, as upstreams beside those of the configuration; an offer whose name is taken is none, loudly. */
  upstreams({ offers: sources, upstreams }: GateConfig): readonly Named[] {
    const named = new Map<string, Named>()
    const refusals = new Map<string, string[]>()
    for (const [source, settings] of Object.entries(sources).sort(([one], [other]) => (one < other ? -1 : 1))) {
      for (const offer of this.#followed.get(source)?.offers ?? []) {
        const name = upstreamName(offer.id)
        const problem =
          name === ''
            ? 'no name can be made of its id'
            : Object.hasOwn(upstreams, name)
              ? `[gate.upstreams.${name}] has that name`
              : named.has(name)
                ? `another offer has the name ${name}`
                : addressProblem(offer)
        if (problem === undefined) named.set(name, this.#upstream(source, settings, name, offer))
        else refusals.set(source, [...(refusals.get(source) ?? []), `${JSON.stringify(offer.id)} is no upstream: ${problem}`])
      }
    }
    this.#tell(refusals)
    return [...named.values()]
  }

  /** Why each source, or something that it offers, cannot be used. */
  get problems(): readonly (readonly [source: string, problem: string | undefined])[] {
    return [...this.#followed].map(([source, { lost }]) => {
      const all = [...(lost === undefined ? [] : [`it does not answer: ${lost}`]), ...(this.#refusals.get(source) ?? [])]
      return [source, all.length === 0 ? undefined : all.join('; ')]
    })
  }

  close(): void {
    for (const name of this.#followed.keys()) this.#leave(name)
  }

  #follow(name: string, source: Source): void {
    const { clock, log, pathOf, changed } = this.#needs
    const followed: Followed = { by: followedBy(source), offers: [], lost: undefined, stop: () => {}, stopWaiting: () => {} }
    this.#followed.set(name, followed)
    const set = (offers: readonly Offer[]): void => {
      const before = identities(followed.offers)
      followed.offers = offers
      if (identities(offers) !== before) changed()
    }
    followed.stop = watchOffers({ clock }, pathOf(source.control), {
      offered(offers) {
        followed.stopWaiting()
        if (followed.lost !== undefined) log.info('gate.offers.found', { offers: name })
        followed.lost = undefined
        set(offers)
      },
      lost(reason) {
        if (followed.lost !== undefined) return
        followed.lost = reason
        log.warn('gate.offers.lost', { offers: name, reason, keepMs: source.keep })
        followed.stopWaiting = clock.after(source.keep, () => set([]))
      },
    })
  }

  #leave(name: string): void {
    const followed = this.#followed.get(name)!
    this.#followed.delete(name)
    followed.stop()
    followed.stopWaiting()
  }

  #upstream(source: string, settings: Source, name: string, offer: Offer): Named {
    const { control: _control, keep: _keep, ...serving } = settings
    const place = offer.transport === 'http' ? { url: offer.address } : { socket: offer.address }
    const ailing = (): string | undefined => {
      const { lost, offers } = this.#followed.get(source) ?? { lost: undefined, offers: [] }
      if (lost !== undefined) return `${source}, which offers it, does not answer (${lost})`
      const now = offers.find(({ id }) => id === offer.id)
      return now?.health === 'failing' ? `${source} says that it fails: ${now.reason ?? now.probe}` : undefined
    }
    return { name, settings: { env: {}, secrets: {}, addresses: [], pins: {}, ...serving, ...place }, digest: offer.digest, ailing }
  }

  #tell(refusals: Refusals): void {
    for (const [source, all] of refusals)
      for (const problem of all)
        if (!this.#refusals.get(source)?.includes(problem)) this.#needs.log.error('gate.offer.refused', { offers: source, problem })
    this.#refusals = refusals
  }
}

function followedBy({ control, keep }: Source): string {
  return JSON.stringify([control, keep])
}

/** The id in letters, digits and hyphens, as names of upstreams are; '' when nothing is left of it. */
export function upstreamName(id: string): string {
  const name = id.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  return name.replace(/^-/, '').slice(0, 63).replace(/-$/, '')
}

/** A daemon answers for servers of its own machine: no message and no token leaves it, whatever the daemon says. */
function addressProblem({ transport, address }: Offer): string | undefined {
  if (transport === 'socket') return address.startsWith('/') ? undefined : 'its socket is no absolute path'
  if (!URL.canParse(address)) return 'its address is no URL'
  const { protocol, hostname, username, password } = new URL(address)
  const isHere = protocol === 'http:' && isLoopback(hostname.replaceAll(/[[\]]/g, ''))
  return isHere && username === '' && password === '' ? undefined : 'its address is not on this machine'
}

/** What makes one list of offers another one, health aside. */
function identities(offers: readonly Offer[]): string {
  return JSON.stringify(offers.map(({ id, transport, address, digest }) => [id, transport, address, digest]))
}
