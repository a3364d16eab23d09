// What the node offers to a gate: the MCP servers of its services that ask for it, with their health.
import { hash } from 'node:crypto'
import { type Offer, OfferList } from '../../base/control/offers.ts'
import { containerName, placeText } from '../container.ts'
import type { HealthRounds } from './health-rounds.ts'
import type { Seen } from './monitor.ts'

export class Offering extends OfferList {
  readonly #health: Pick<HealthRounds, 'verdict'>

  constructor(health: Pick<HealthRounds, 'verdict'>) {
    super()
    this.#health = health
  }

  /** Of what was seen: every component that speaks MCP over HTTP, of each service with `gate = true` that should run. */
  take({ desired, components }: Pick<Seen, 'desired' | 'components'>): void {
    const offered = new Set(desired.filter(({ service }) => service.gate && service.active).map(({ service }) => service.name))
    this.set(
      components.flatMap(({ place, component, current }): Offer[] => {
        const { mcp } = component
        if (!offered.has(place.service) || mcp?.url === undefined) return []
        const verdict = current?.state === 'running' ? this.#health.verdict(placeText(place)) : undefined
        const health =
          current?.state !== 'running'
            ? 'failing'
            : verdict?.health === 'healthy'
              ? 'ok'
              : verdict?.health === 'unhealthy'
                ? 'failing'
                : 'unknown'
        const reason = current?.state === 'running' ? verdict?.reason : 'it does not run'
        return [
          {
            id: containerName(place),
            transport: 'http',
            address: mcp.url,
            health,
            ...(reason ? { reason } : {}),
            probe: mcp.probe ? `handshake, and a call of ${mcp.probe.tool}` : 'handshake',
            digest: hash('sha256', JSON.stringify([mcp.url, current?.image.digest])),
          },
        ]
      }),
    )
  }
}
