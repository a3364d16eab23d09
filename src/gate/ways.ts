// Who may come in by HTTP, and what proves them, as it is configured now: the doors hold on to this, and it changes inside.
import type { Clock } from '../kernel/clock.ts'
import type { Directory } from '../base/access/principal.ts'
import type { KeySet } from '../base/access/key-set.ts'
import { type Identify, createIdentify } from './identify.ts'
import { type CloudflareSettings, type IssuerSettings, cloudflareVerifier, issuersVerifier } from './issuers.ts'
import { ProtectedResource } from './protected-resource.ts'

export type WaysSettings = {
  /** Who everyone is that comes in by TCP and shows no credential; undefined: nobody. */
  readonly door: string | undefined
  readonly issuers: readonly IssuerSettings[]
  /** Every token of an issuer needs all of them. */
  readonly scopes: readonly string[]
  readonly cloudflare: CloudflareSettings | undefined
}

export type WaysNeeds = {
  readonly clock: Clock
  readonly directory: Directory
  /** Where clients reach the gate: scheme, host and port. */
  readonly publicUrl: () => string
}

export class Ways {
  readonly identify: Identify = (request, local) => this.#identify(request, local)
  /** As OAuth clients see it. */
  resource!: ProtectedResource
  /** Of those whose signed tokens are taken. */
  keySets!: readonly KeySet[]
  readonly #needs: WaysNeeds
  #identify!: Identify

  constructor(needs: WaysNeeds, settings: WaysSettings) {
    this.#needs = needs
    this.take(settings)
  }

  /** Takes these in place of those it has. What was remembered of checked tokens is forgotten. */
  take({ door, issuers, scopes, cloudflare }: WaysSettings): void {
    const { clock, directory, publicUrl } = this.#needs
    this.resource = new ProtectedResource({ publicUrl, issuers: issuers.map(({ issuer }) => issuer), scopes })
    this.keySets = [...issuers, ...(cloudflare ? [cloudflare] : [])].map(({ keys }) => keys)
    this.#identify = createIdentify(
      {
        directory,
        resource: this.resource,
        ...(issuers.length > 0 ? { issuers: issuersVerifier({ clock }, issuers) } : {}),
        ...(cloudflare ? { cloudflare: cloudflareVerifier({ clock }, cloudflare) } : {}),
      },
      door === undefined ? undefined : { name: door, via: 'door' },
    )
  }
}
